//! Patches in the form that `apply_patch` takes: files that are added, deleted, and updated by hunks
//! that are found by their lines, not by numbers.
//!
//! A hunk's place is looked for the way the tool does it (`seek`). What the file's lines are then is the
//! hunk's, so the result is the same.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_shared::action::{Change, Contents};

use super::seek::seek;
use super::work::{A_FILE, Work};
use super::{ChangeError, Workspace, file};

/// One file of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilePatch {
    /// A new file, or one whose contents are replaced.
    Add { path: String, contents: String },
    /// A file that goes.
    Delete { path: String },
    /// A file that changes, and maybe moves.
    Update {
        path: String,
        moves_to: Option<String>,
        hunks: Vec<Hunk>,
    },
}

/// Lines for other lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hunk {
    /// A line to look for first.
    below: Option<String>,
    old: Vec<String>,
    new: Vec<String>,
    /// The lines stand at the end of the file.
    at_end: bool,
}

/// The lines of a patch, with where they are.
struct Lines<'t> {
    lines: Vec<&'t str>,
    next: usize,
}

impl<'t> Lines<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.lines.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'t str> {
        let line = self.peek()?;
        self.next = self.next.saturating_add(1);
        Some(line)
    }

    /// Makes an error about the line that was taken last.
    const fn wrong(&self, problem: &'static str) -> ChangeError {
        ChangeError::Patch {
            line: self.next,
            problem,
        }
    }
}

/// Reads a patch.
pub(super) fn read(text: &str) -> Result<Vec<FilePatch>, ChangeError> {
    let mut lines = Lines {
        lines: text.trim().lines().collect(),
        next: 0,
    };
    if lines.take().map(str::trim) != Some("*** Begin Patch") {
        return Err(lines.wrong("is not `*** Begin Patch`"));
    }
    if lines.lines.pop().map(str::trim) != Some("*** End Patch") {
        lines.next = lines.lines.len().saturating_add(1);
        return Err(lines.wrong("is not `*** End Patch`"));
    }
    let mut files = Vec::new();
    while let Some(line) = lines.take() {
        files.push(read_file(line.trim(), &mut lines)?);
    }
    if files.is_empty() {
        return Err(lines.wrong("ends a patch that changes nothing"));
    }
    Ok(files)
}

fn read_file(header: &str, lines: &mut Lines<'_>) -> Result<FilePatch, ChangeError> {
    if let Some(path) = header.strip_prefix("*** Add File: ") {
        let mut contents = String::new();
        while let Some(line) = lines.peek().and_then(|line| line.strip_prefix('+')) {
            lines.take();
            contents.push_str(line);
            contents.push('\n');
        }
        return Ok(FilePatch::Add {
            path: path.to_owned(),
            contents,
        });
    }
    if let Some(path) = header.strip_prefix("*** Delete File: ") {
        return Ok(FilePatch::Delete {
            path: path.to_owned(),
        });
    }
    let Some(path) = header.strip_prefix("*** Update File: ") else {
        return Err(lines.wrong("does not begin a file that is added, deleted or updated"));
    };
    let moves_to = lines
        .peek()
        .and_then(|line| line.strip_prefix("*** Move to: "))
        .map(str::to_owned);
    if moves_to.is_some() {
        lines.take();
    }
    let mut hunks = Vec::new();
    while let Some(line) = lines.peek() {
        if line.trim().is_empty() {
            lines.take();
        } else if line.starts_with('*') {
            break;
        } else {
            hunks.push(read_hunk(lines, hunks.is_empty())?);
        }
    }
    if hunks.is_empty() {
        return Err(lines.wrong("begins an update without changes"));
    }
    Ok(FilePatch::Update {
        path: path.to_owned(),
        moves_to,
        hunks,
    })
}

fn read_hunk(lines: &mut Lines<'_>, is_first: bool) -> Result<Hunk, ChangeError> {
    let mut hunk = Hunk::default();
    match lines.peek() {
        Some("@@") => {
            lines.take();
        }
        Some(line) if line.starts_with("@@ ") => {
            hunk.below = line.strip_prefix("@@ ").map(str::to_owned);
            lines.take();
        }
        _ if is_first => {}
        _ => {
            lines.take();
            return Err(lines.wrong("does not begin a hunk with `@@`"));
        }
    }
    let mut is_empty = true;
    while let Some(line) = lines.peek() {
        let (sign, rest) = split(line);
        match sign {
            None => {
                hunk.old.push(String::new());
                hunk.new.push(String::new());
            }
            Some(' ') => {
                hunk.old.push(rest.to_owned());
                hunk.new.push(rest.to_owned());
            }
            Some('-') => hunk.old.push(rest.to_owned()),
            Some('+') => hunk.new.push(rest.to_owned()),
            Some(_) if line == "*** End of File" && !is_empty => {
                lines.take();
                hunk.at_end = true;
                break;
            }
            Some(_) if is_empty => {
                lines.take();
                return Err(lines.wrong("begins with none of ` `, `-` and `+`"));
            }
            Some(_) => break,
        }
        is_empty = false;
        lines.take();
    }
    if is_empty {
        return Err(lines.wrong("ends a hunk without lines"));
    }
    Ok(hunk)
}

fn split(line: &str) -> (Option<char>, &str) {
    let mut rest = line.chars();
    (rest.next(), rest.as_str())
}

/// Returns what a patch changes.
pub(super) fn apply(
    files: &[FilePatch],
    workspace: &Workspace<'_>,
) -> Result<Vec<Change>, ChangeError> {
    let mut touched = BTreeSet::new();
    let mut changes = Vec::new();
    let mut work = Work::new();
    let mut shown = 0;
    let mut once = |place: &file::Place| {
        // Each would be worked out from the file as it is now, and only one could be right.
        if touched.insert(place.real.clone()) {
            Ok(())
        } else {
            Err(ChangeError::Twice {
                path: place.real.clone(),
            })
        }
    };
    for patch in files {
        let (FilePatch::Add { path, .. }
        | FilePatch::Delete { path }
        | FilePatch::Update { path, .. }) = patch;
        work.spend(A_FILE)?;
        let had = changes.len();
        let place = file::resolve(path, workspace.cwd)?;
        once(&place)?;
        let before = file::read(&place.real, workspace.limit)?;
        match patch {
            FilePatch::Add { contents, .. } => {
                changes.push(place.change(before, Some(Contents::Text(contents.clone()))));
            }
            FilePatch::Delete { .. } if before.is_none() => {
                return Err(ChangeError::Absent { path: place.real });
            }
            FilePatch::Delete { .. } => changes.push(place.change(before, None)),
            FilePatch::Update {
                moves_to, hunks, ..
            } => {
                let text = file::text(&place.real, before.as_ref())?;
                let after = Contents::Text(update(&place.real, text, hunks, &mut work)?);
                match moves_to {
                    None => changes.push(place.change(before, Some(after))),
                    Some(target) => {
                        let target = file::resolve(target, workspace.cwd)?;
                        once(&target)?;
                        let there = file::read(&target.real, workspace.limit)?;
                        changes.push(place.change(before, None));
                        changes.push(target.change(there, Some(after)));
                    }
                }
            }
        }
        let new = changes.iter().skip(had);
        shown = new.map(size).fold(shown, usize::saturating_add);
        if shown > workspace.limit {
            return Err(ChangeError::TooMuch);
        }
    }
    Ok(changes)
}

/// Returns how many bytes of contents would be shown.
fn size(change: &Change) -> usize {
    let sides = [&change.before, &change.after].into_iter().flatten();
    sides
        .map(|side| side.as_bytes().len())
        .fold(0, usize::saturating_add)
}

/// Applies the hunks of one file.
fn update(path: &Path, text: &str, hunks: &[Hunk], work: &mut Work) -> Result<String, ChangeError> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    let missing = |what, text: Option<&String>| ChangeError::DoesNotFit {
        path: path.to_path_buf(),
        what,
        text: text.cloned().unwrap_or_default(),
    };
    // Where, how many lines go, and what comes there.
    let mut replacements: Vec<(usize, usize, &[String])> = Vec::new();
    let mut from = 0;
    for hunk in hunks {
        if let Some(below) = &hunk.below {
            let found = seek(&lines, std::slice::from_ref(below), from, false, work)?;
            let at = found.ok_or_else(|| missing("the line behind `@@`", Some(below)))?;
            from = at.saturating_add(1);
        }
        if hunk.old.is_empty() {
            let end = match lines.last() {
                Some(&"") => lines.len().saturating_sub(1),
                _ => lines.len(),
            };
            replacements.push((end, 0, &hunk.new));
            continue;
        }
        let (mut old, mut new) = (hunk.old.as_slice(), hunk.new.as_slice());
        let mut found = seek(&lines, old, from, hunk.at_end, work)?;
        if let (None, Some((last, shorter))) = (found, old.split_last())
            && last.is_empty()
        {
            // The empty line at the end may stand for the end of the file.
            old = shorter;
            if let Some((last, shorter)) = new.split_last()
                && last.is_empty()
            {
                new = shorter;
            }
            found = seek(&lines, old, from, hunk.at_end, work)?;
        }
        let at = found.ok_or_else(|| missing("what it replaces", hunk.old.first()))?;
        replacements.push((at, old.len(), new));
        from = at.saturating_add(old.len());
    }
    replacements.sort_by_key(|(at, _, _)| *at);
    for (at, count, new) in replacements.into_iter().rev() {
        // All that stands behind it moves.
        work.spend(lines.len().saturating_sub(at))?;
        let end = at.saturating_add(count).min(lines.len());
        lines.splice(at.min(end)..end, new.iter().map(String::as_str));
    }
    if lines.last() != Some(&"") {
        lines.push("");
    }
    Ok(lines.join("\n"))
}
