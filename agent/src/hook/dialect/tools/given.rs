//! What else the tools of each client are given, besides what their meaning takes up.
//!
//! These members change nothing about where a tool looks or what it changes. Any other one may be a
//! second name for just that, which the tool goes by and policy has not read.

use super::super::Dialect;
use super::super::fields::{FieldError, Fields};
use super::Meaning;
use crate::hook::call::ToolCall;

/// What no shell is given, though it could be taken for its command, its directory or itself. A shell
/// is given much else, which differs from version to version: it is shown, and every run is judged by
/// its command.
const NOT_A_SHELLS: [&str; 18] = [
    "argv",
    "args",
    "cmd",
    "code",
    "commands",
    "command_line",
    "cwd",
    "dir",
    "dir_path",
    "directory",
    "path",
    "program",
    "script",
    "shell",
    "stdin",
    "workdir",
    "working_dir",
    "working_directory",
];

/// Tells whether what is left of an input says nothing about what its tool does; `false` when the call
/// has to be taken for one of a tool that is not known.
///
/// # Errors
/// When the tool changes something or leads out, and could do another thing than its meaning says.
pub(super) fn is_understood(
    call: &ToolCall,
    meaning: &Meaning,
    left: &Fields,
) -> Result<bool, FieldError> {
    let known = known(call.client, &call.tool);
    match meaning {
        Meaning::Read { .. } | Meaning::Search { .. } => Ok(left.other_than(known).is_none()),
        Meaning::Shell { .. } => left.without(&NOT_A_SHELLS).map(|()| true),
        // For another kind of action the rules about this one would not be asked.
        Meaning::Write { .. }
        | Meaning::Edit { .. }
        | Meaning::Notebook(_)
        | Meaning::Patch { .. }
        | Meaning::Fetch { .. } => left.only(known).map(|()| true),
        // All of the input stands in the action as what it is.
        Meaning::Mcp(_) | Meaning::Other => Ok(true),
    }
}

fn known(client: Dialect, tool: &str) -> &'static [&'static str] {
    match client {
        Dialect::Claude => claude(tool),
        Dialect::Codex => &[],
        Dialect::Gemini => gemini(tool),
        Dialect::Copilot => copilot(tool),
    }
}

/// How a search for contents is shown, in the words of Claude Code and Copilot.
const GREP: [&str; 14] = [
    "-A",
    "-B",
    "-C",
    "-i",
    "-n",
    "-o",
    "context",
    "glob",
    "head_limit",
    "multiline",
    "offset",
    "output_mode",
    "pattern",
    "type",
];

fn claude(tool: &str) -> &'static [&'static str] {
    match tool {
        "Read" => &["limit", "offset", "pages"],
        "NotebookRead" => &["cell_id"],
        "LS" => &["ignore"],
        "Glob" => &["pattern"],
        "Grep" => &GREP,
        "WebFetch" => &["prompt"],
        _ => &[],
    }
}

fn gemini(tool: &str) -> &'static [&'static str] {
    match tool {
        "read_file" => &[
            "end_line",
            "limit",
            "offset",
            "start_line",
            "wait_for_previous",
        ],
        "list_directory" => &[
            "file_filtering_options",
            "ignore",
            "respect_gemini_ignore",
            "respect_git_ignore",
            "wait_for_previous",
        ],
        "glob" => &[
            "case_sensitive",
            "pattern",
            "respect_gemini_ignore",
            "respect_git_ignore",
            "wait_for_previous",
        ],
        "search_file_content" | "grep_search" => &[
            "after",
            "before",
            "case_sensitive",
            "context",
            "exclude_pattern",
            "fixed_strings",
            "include",
            "include_pattern",
            "max_matches_per_file",
            "names_only",
            "no_ignore",
            "pattern",
            "total_max_matches",
            "wait_for_previous",
        ],
        // What a person changed in the proposal before: the contents are those that are written.
        "write_file" => &[
            "ai_proposed_content",
            "modified_by_user",
            "wait_for_previous",
        ],
        "replace" => &[
            "ai_proposed_content",
            "instruction",
            "modified_by_user",
            "wait_for_previous",
        ],
        _ => &[],
    }
}

fn copilot(tool: &str) -> &'static [&'static str] {
    match tool {
        "view" => &["forceReadLargeFiles", "view_range"],
        "glob" => &["pattern"],
        "grep" => &GREP,
        _ => &[],
    }
}
