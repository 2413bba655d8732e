//! Paths as texts: made absolute, and held against the workspace.
//!
//! A path is inside when what is written is inside and where it leads is inside as well. What
//! nobody resolved is not known to be inside.

use super::Surroundings;

/// Returns a path without `.`, `..` and doubled slashes, absolute, or nothing when it is relative
/// and there is no directory it is relative to.
pub fn normalised(path: &str, cwd: Option<&str>) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if !path.starts_with('/') {
        let cwd = cwd.filter(|cwd| cwd.starts_with('/'))?;
        push(&mut parts, cwd);
    }
    push(&mut parts, path);
    Some(format!("/{}", parts.join("/")))
}

fn push<'p>(parts: &mut Vec<&'p str>, path: &'p str) {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
}

/// Whether a path leads into the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Inside,
    Outside,
    Unknown,
}

/// Tells where a normalised path leads.
pub(super) fn place(path: &str, around: &Surroundings) -> Where {
    let Some(workspace) = around
        .workspace
        .as_deref()
        .and_then(|workspace| normalised(workspace, None))
        // The root holds everything: a workspace it is not.
        .filter(|workspace| workspace != "/")
    else {
        return Where::Unknown;
    };
    let leads = around.resolved.get(path).map(String::as_str);
    let leads = leads.and_then(|path| normalised(path, None));
    match leads {
        _ if !is_inside(path, &workspace) => Where::Outside,
        None => Where::Unknown,
        Some(path) if is_inside(&path, &workspace) => Where::Inside,
        Some(_) => Where::Outside,
    }
}

fn is_inside(path: &str, workspace: &str) -> bool {
    path == workspace
        || path
            .strip_prefix(workspace)
            .is_some_and(|rest| rest.starts_with('/'))
}
