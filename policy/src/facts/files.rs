//! The facts of `file.read`, `file.search` and `file.write`: which paths, where they lead, what happens to them.
//!
//! The paths are those of `changes`, `arguments.path`, `arguments.paths` and, where none of these
//! names one, the target's name. A search names the directory it looks below, and no file; where it
//! picks files by patterns (`arguments.patterns`), the words in those count as names too.

use std::collections::BTreeSet;

use serde_json::Value;

use super::paths::{Where, normalised, place};
use super::{Draft, Reversibility, Surroundings, text};

pub(super) fn look(
    action: &Value,
    around: &Surroundings,
    draft: &mut Draft,
) -> Option<Reversibility> {
    let cwd = action.pointer("/context/cwd").and_then(Value::as_str);
    let mut paths = BTreeSet::new();
    let mut problem = None;
    let written = written(action);
    if written.is_none() {
        problem = Some("a path is not a text");
    }
    for path in written.unwrap_or_default() {
        match normalised(path, cwd) {
            Some(path) => {
                paths.insert(path);
            }
            None => problem = Some("a path is relative, and the action names no directory"),
        }
    }
    if paths.is_empty() && problem.is_none() {
        problem = Some("the action names no path");
    }
    let places: Vec<Where> = paths.iter().map(|path| place(path, around)).collect();
    let inside = problem.is_none() && places.iter().all(|it| *it == Where::Inside);
    draft.set("inside_workspace", inside);
    if let Some(problem) = problem {
        for name in ["paths", "names", "components", "inside_workspace"] {
            draft.unknown(name, problem);
        }
    } else if places.contains(&Where::Unknown) && !places.contains(&Where::Outside) {
        draft.unknown("inside_workspace", "nobody resolved where a path leads");
    }
    // Where a path leads is as much a path of the action as what is written.
    let leads = paths.iter().filter_map(|path| around.resolved.get(path));
    let all: BTreeSet<&str> = paths.iter().chain(leads).map(String::as_str).collect();
    draft.set_all("paths", all.iter().copied());
    let patterns = patterns(action);
    if patterns.is_none() {
        for name in ["names", "components"] {
            draft.unknown(name, "a pattern is not a text");
        }
    }
    let words = patterns.unwrap_or_default().into_iter().flat_map(words);
    let words: BTreeSet<&str> = words.collect();
    let names = all.iter().filter_map(|path| path.rsplit('/').next());
    let names = names.chain(words.iter().copied());
    draft.set_all("names", names.filter(|name| !name.is_empty()));
    let components = all.iter().flat_map(|path| path.split('/'));
    let components = components.chain(words.iter().copied());
    draft.set_all("components", components.filter(|name| !name.is_empty()));
    changes(action, draft)
}

/// Returns the paths of an action as they are written there: what the daemon resolves, after
/// making them absolute ([`normalised`]).
pub fn paths_of(action: &Value) -> Vec<&str> {
    let mut all: Vec<&str> = match text(action, "/kind") {
        "file.read" | "file.search" | "file.write" => written(action).unwrap_or_default(),
        _ => Vec::new(),
    };
    all.extend(action.pointer("/context/cwd").and_then(Value::as_str));
    all
}

/// Returns the paths of an action; nothing when one of them is no text.
fn written(action: &Value) -> Option<Vec<&str>> {
    let changes = action.get("changes").and_then(Value::as_array);
    let changes = changes.into_iter().flatten();
    let mut all: Vec<&str> = changes.map(|change| text(change, "/path")).collect();
    match action.pointer("/arguments/path") {
        None | Some(Value::Null) => {}
        Some(one) => all.push(one.as_str()?),
    }
    match action.pointer("/arguments/paths") {
        None | Some(Value::Null) => {}
        Some(many) => {
            for path in many.as_array()? {
                all.push(path.as_str()?);
            }
        }
    }
    if all.is_empty() {
        all.push(text(action, "/target/name"));
    }
    Some(all)
}

/// Returns the patterns by which a search picks files; nothing when one of them is no text.
fn patterns(action: &Value) -> Option<Vec<&str>> {
    match action.pointer("/arguments/patterns") {
        Some(Value::Array(all)) => all.iter().map(Value::as_str).collect(),
        Some(_) => None,
        None => Some(Vec::new()),
    }
}

/// Returns the words of a pattern: what it says of names beside its wildcards. `**/.env*` says `.env`.
fn words(pattern: &str) -> impl Iterator<Item = &str> {
    pattern
        .split(['/', ',', '{', '}', '*', '?', '!'])
        .filter(|word| !word.is_empty())
}

fn changes(action: &Value, draft: &mut Draft) -> Option<Reversibility> {
    let (mut creates, mut alters, mut deletes, mut modes) = (0_u32, 0_u32, 0_u32, false);
    let mut restorable = true;
    let all = action.get("changes").and_then(Value::as_array);
    for change in all.into_iter().flatten() {
        let side = |name: &str| change.get(name).filter(|side| !side.is_null());
        let count = match (side("before"), side("after")) {
            (None, _) => &mut creates,
            (Some(_), Some(_)) => &mut alters,
            (Some(_), None) => &mut deletes,
        };
        *count = count.saturating_add(1);
        modes |= side("mode").is_some();
        // The permissions that were are not in the action.
        restorable &= side("mode").is_none() || side("before").is_none();
    }
    draft.set("creates", creates);
    draft.set("changes", alters);
    draft.set("deletes", deletes);
    draft.set("sets_mode", modes);
    let is_write = text(action, "/kind") == "file.write";
    match (is_write, creates + alters + deletes) {
        (false, 0) => Some(Reversibility::ReadOnly),
        // The contents that were are in the request, which is kept.
        (_, 1..) if restorable => Some(Reversibility::Reversible),
        (_, _) => None,
    }
}
