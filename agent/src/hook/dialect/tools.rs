//! What the tools of each client do, as far as their names and inputs say.
//!
//! Nothing passes because it stands here: a kind is chosen, and policy judges it. A tool that is not
//! known is asked for as what it is, a call with an input. So is one that looks at something and is
//! given what is not known of it, for that may be where it looks; one that changes something is not
//! described at all then.

mod given;

use serde_json::{Map, Value};

use super::Dialect;
use super::fields::{FieldError, Fields};
use crate::hook::call::{Server, ToolCall};
use crate::hook::changes::{NotebookEdit, Replacement};

/// What a call would do.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::hook) enum Meaning {
    /// Runs a text in a shell.
    Shell {
        /// The text.
        command: String,
        /// The directory, where it is another than the agent's.
        directory: Option<String>,
    },
    /// Looks at a file or directory.
    Read {
        /// Which.
        path: String,
    },
    /// Looks through the contents of files below a directory, which it does not name.
    Search {
        /// Which directory, or which file.
        path: String,
        /// By which patterns it picks files; none for all of them.
        patterns: Vec<String>,
    },
    /// Gives a file its contents.
    Write {
        /// The file.
        path: String,
        /// The contents.
        contents: String,
    },
    /// Replaces texts in a file, one after the other.
    Edit {
        /// The file.
        path: String,
        /// What is replaced.
        replacements: Vec<Replacement>,
    },
    /// Changes a cell of a notebook.
    Notebook(NotebookEdit),
    /// Applies a patch to files.
    Patch {
        /// The patch.
        text: String,
    },
    /// Gets a page.
    Fetch {
        /// From where.
        url: String,
    },
    /// Calls a tool of an MCP server.
    Mcp(Server),
    /// Anything else.
    Other,
}

/// What is known of a call: what it means, what else it was given, and how the agent describes it.
pub(in crate::hook) type Known = (Meaning, Map<String, Value>, Option<String>);

/// Reads the meaning of a call out of its input.
///
/// # Errors
/// When a tool that is known was given something it does not take.
pub(in crate::hook) fn meaning(call: &ToolCall) -> Result<Known, FieldError> {
    if let Some(server) = &call.server {
        return Ok((Meaning::Mcp(server.clone()), call.input.clone(), None));
    }
    let mut input = Fields::new(call.input.clone(), "");
    let meaning = match call.client {
        Dialect::Claude => claude(&call.tool, &mut input),
        Dialect::Codex => codex(&call.tool, &mut input),
        Dialect::Gemini => gemini(&call.tool, &mut input),
        Dialect::Copilot => copilot(&call.tool, &mut input),
    }?;
    if meaning == Meaning::Other || !given::is_understood(call, &meaning, &input)? {
        return Ok((Meaning::Other, call.input.clone(), None));
    }
    let description = if matches!(meaning, Meaning::Shell { .. }) {
        input.optional_text("description")?
    } else {
        None
    };
    Ok((meaning, input.into_rest(), description))
}

fn claude(tool: &str, input: &mut Fields) -> Result<Meaning, FieldError> {
    Ok(match tool {
        "Bash" => shell(input, None)?,
        "Write" => Meaning::Write {
            path: input.text("file_path")?,
            contents: input.text("content")?,
        },
        "Edit" => Meaning::Edit {
            path: input.text("file_path")?,
            replacements: vec![claude_replacement(input)?],
        },
        "MultiEdit" => Meaning::Edit {
            path: input.text("file_path")?,
            replacements: input
                .objects("edits")?
                .into_iter()
                .map(|mut edit| {
                    let replacement = claude_replacement(&mut edit)?;
                    edit.only(&[]).map(|()| replacement)
                })
                .collect::<Result<_, _>>()?,
        },
        "NotebookEdit" => Meaning::Notebook(NotebookEdit {
            path: input.text("notebook_path")?,
            cell: input.optional_text("cell_id")?,
            source: input.text("new_source")?,
            cell_type: input.optional_text("cell_type")?,
            mode: input.optional_text("edit_mode")?,
        }),
        "Read" => Meaning::Read {
            path: input.text("file_path")?,
        },
        "NotebookRead" => Meaning::Read {
            path: input.text("notebook_path")?,
        },
        "LS" => Meaning::Read {
            path: input.text("path")?,
        },
        "Glob" => list(input, "path")?,
        "Grep" => search(input, "path", &["glob"])?,
        "WebFetch" => Meaning::Fetch {
            url: input.text("url")?,
        },
        _ => Meaning::Other,
    })
}

fn claude_replacement(input: &mut Fields) -> Result<Replacement, FieldError> {
    Ok(Replacement {
        old: input.text("old_string")?,
        new: input.text("new_string")?,
        all: input.optional_flag("replace_all")?.unwrap_or(false),
        expected: None,
    })
}

fn codex(tool: &str, input: &mut Fields) -> Result<Meaning, FieldError> {
    Ok(match tool {
        "Bash" => shell(input, Some("workdir"))?,
        "apply_patch" => Meaning::Patch {
            text: input.text("command")?,
        },
        _ => Meaning::Other,
    })
}

fn gemini(tool: &str, input: &mut Fields) -> Result<Meaning, FieldError> {
    Ok(match tool {
        "run_shell_command" => shell(input, Some("dir_path"))?,
        "write_file" => Meaning::Write {
            path: input.text("file_path")?,
            contents: input.text("content")?,
        },
        "replace" => Meaning::Edit {
            path: input.text("file_path")?,
            replacements: vec![Replacement {
                old: input.text("old_string")?,
                new: input.text("new_string")?,
                all: input.optional_flag("allow_multiple")?.unwrap_or(false),
                expected: input.optional_number("expected_replacements")?,
            }],
        },
        "read_file" => Meaning::Read {
            path: input.text_of(&["file_path", "absolute_path"])?,
        },
        "list_directory" => Meaning::Read {
            path: input.text_of(&["dir_path", "path"])?,
        },
        "glob" => list(input, "dir_path")?,
        "search_file_content" | "grep_search" => {
            search(input, "dir_path", &["include", "include_pattern"])?
        }
        _ => Meaning::Other,
    })
}

fn copilot(tool: &str, input: &mut Fields) -> Result<Meaning, FieldError> {
    Ok(match tool {
        "bash" => shell(input, None)?,
        "create" => Meaning::Write {
            path: input.text("path")?,
            contents: input.text("file_text")?,
        },
        "edit" => Meaning::Edit {
            path: input.text("path")?,
            replacements: vec![Replacement {
                old: input.text("old_str")?,
                new: input.text("new_str")?,
                all: false,
                expected: None,
            }],
        },
        "view" => Meaning::Read {
            path: input.text("path")?,
        },
        "glob" => list(input, "path")?,
        "grep" => search(input, "path", &["glob"])?,
        _ => Meaning::Other,
    })
}

fn shell(input: &mut Fields, directory: Option<&str>) -> Result<Meaning, FieldError> {
    let directory = match directory {
        Some(name) => input.optional_text(name)?,
        None => None,
    };
    Ok(Meaning::Shell {
        command: input.text("command")?,
        directory,
    })
}

/// Takes a search for names, which reads no file.
fn list(input: &mut Fields, directory: &str) -> Result<Meaning, FieldError> {
    let pattern = input.text_at("pattern")?.to_owned();
    Ok(match below(input, directory, &[&pattern])? {
        Some(path) => Meaning::Read { path },
        None => Meaning::Other,
    })
}

/// Takes a search for contents; `names` are those of the pattern by which it picks files.
fn search(input: &mut Fields, directory: &str, names: &[&str]) -> Result<Meaning, FieldError> {
    let pattern = match input.one_of(names)? {
        Some(name) => input.look_text(name)?.map(str::to_owned),
        None => None,
    };
    let patterns: Vec<String> = pattern.into_iter().collect();
    let looked: Vec<&str> = patterns.iter().map(String::as_str).collect();
    Ok(match below(input, directory, &looked)? {
        Some(path) => Meaning::Search { path, patterns },
        None => Meaning::Other,
    })
}

/// Takes the directory that a search looks below; `None` when a pattern leads out of it.
fn below(
    input: &mut Fields,
    directory: &str,
    patterns: &[&str],
) -> Result<Option<String>, FieldError> {
    if patterns.iter().any(|pattern| leads_out(pattern)) {
        return Ok(None);
    }
    let path = input.optional_text(directory)?;
    // Without one it is the agent's own directory.
    Ok(Some(path.unwrap_or_else(|| ".".to_owned())))
}

fn leads_out(pattern: &str) -> bool {
    // Where a name can begin: alternatives stand in braces, and in some dialects in brackets.
    let between = ['/', ',', '{', '}', '(', ')', '|'];
    pattern.starts_with(['/', '~'])
        || pattern.split(between).any(|part| part == "..")
        || [",/", "{/", "(/", "|/"]
            .iter()
            .any(|from| pattern.contains(from))
}

/// Takes a name like `mcp__server__tool` apart, with the server's name where the client says it.
pub(super) fn of_server(tool: &str, server: Option<&str>) -> Option<Server> {
    let rest = tool.strip_prefix("mcp__")?;
    let (name, tool) = match server {
        Some(name) => (name, rest.strip_prefix(name)?.strip_prefix("__")?),
        None => rest.split_once("__")?,
    };
    let is_named = !name.is_empty() && !tool.is_empty();
    is_named.then(|| Server {
        name: name.to_owned(),
        tool: tool.to_owned(),
    })
}
