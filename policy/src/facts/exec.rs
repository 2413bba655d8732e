//! The facts of `exec.run`: program, arguments, environment. A vector is never joined or split.

use std::collections::BTreeSet;

use serde_json::Value;

use super::paths::{Where, normalised, place};
use super::{Draft, Reversibility, Surroundings, is_masked, seen, text};

/// Programs that run what their arguments or input say, by the beginning of their name.
const INTERPRETERS: [&str; 27] = [
    "ash",
    "awk",
    "bash",
    "busybox",
    "bun",
    "csh",
    "dash",
    "deno",
    "doas",
    "env",
    "fish",
    "gawk",
    "ksh",
    "lua",
    "mawk",
    "nix-shell",
    "node",
    "perl",
    "php",
    "pwsh",
    "python",
    "ruby",
    "sh",
    "ssh",
    "sudo",
    "xargs",
    "zsh",
];

pub(super) fn look(
    action: &Value,
    around: &Surroundings,
    draft: &mut Draft,
) -> Option<Reversibility> {
    let program = text(action, "/arguments/program/path");
    let stated = text(action, "/arguments/program/sha256");
    draft.set("program", program);
    draft.set("program_name", base_name(program));
    draft.set("program_sha256", stated);
    match &around.program {
        Ok(found) if found == stated => {}
        Ok(_) => draft.unknown("program", "the file is not the one that the action names"),
        Err(why) => draft.unknown("program", why.clone()),
    }
    if let Some(why) = draft.unknown.get("context.program").cloned() {
        draft.unknown("program_sha256", why);
    }
    let elements = action.pointer("/arguments/argv").and_then(Value::as_array);
    let elements = elements.map(Vec::as_slice).unwrap_or_default();
    let hides = |index: usize| elements.get(index).is_some_and(is_masked);
    for (name, hides) in [
        ("argv", elements.iter().any(is_masked)),
        ("first", hides(1)),
        ("second", hides(2)),
    ] {
        if hides {
            draft.unknown(name, "a part of it is masked");
        }
    }
    let argv: Vec<String> = elements.iter().filter_map(seen).collect();
    let at = |index: usize| argv.get(index).map_or("", String::as_str);
    draft.set("first", at(1));
    draft.set("second", at(2));
    draft.set("argument_count", argv.len().saturating_sub(1));
    draft.set_all("argv", argv.iter().map(String::as_str));
    // What a program is called decides what some of them do.
    let called = [base_name(program), base_name(at(0))];
    draft.set(
        "interpreter",
        called.iter().any(|name| is_interpreter(name)),
    );
    let variables = action
        .pointer("/context/environment")
        .and_then(Value::as_object);
    let names: BTreeSet<&str> = variables
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    draft.set_all("environment", names);
    let input = action.pointer("/arguments/stdin");
    draft.set("has_input", input.is_some_and(|input| !input.is_null()));
    directory(action, around, draft);
    // What a program does, its name does not say.
    None
}

fn directory(action: &Value, around: &Surroundings, draft: &mut Draft) {
    let cwd = action.pointer("/context/cwd").and_then(Value::as_str);
    let place = cwd
        .and_then(|cwd| normalised(cwd, None))
        .map_or(Where::Unknown, |cwd| place(&cwd, around));
    draft.set("inside_workspace", place == Where::Inside);
    if place == Where::Unknown {
        draft.unknown("inside_workspace", "nobody resolved where it would run");
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Tells whether a name is an interpreter's, with or without a version: `python3.12`.
fn is_interpreter(name: &str) -> bool {
    let version = |rest: &str| {
        rest.bytes()
            .all(|b| b.is_ascii_digit() || b".-".contains(&b))
    };
    INTERPRETERS
        .iter()
        .any(|known| name.strip_prefix(known).is_some_and(version))
}
