//! The way to a file, link by link: who could lead it elsewhere.
//!
//! A path that is looked at as a whole says where it leads now. What counts for a program that is named
//! once and run for others later is who could change that: whoever may write in any of the directories
//! on the way, those that hold its links among them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::{HomeError, MODE_BITS, check_owner_and_mode, look, read_error, us};

/// How many links may be on one way, as for the kernel.
const MOST_LINKS: usize = 40;

/// Refuses a file that anybody but us or root could change, replace, or lead elsewhere; returns where
/// the path leads.
///
/// # Errors
/// The first check that failed, by name.
pub(crate) fn check_unchangeable(path: &Path) -> Result<PathBuf, HomeError> {
    let owners = [us(), 0];
    let here = check_way(path, path, &owners)?;
    let metadata = look(&here)?;
    if !metadata.is_file() {
        return Err(HomeError::NotAFile(path.to_path_buf()));
    }
    check_owner_and_mode(&here, &metadata, &owners, 0o755)?;
    Ok(here)
}

/// Refuses a way on which anybody but `owners` could put something else in the place of what is there;
/// returns where it leads. `whose` is the path that is said to be replaceable.
///
/// # Errors
/// The first name on the way that others own, or may write in.
pub(super) fn check_way(path: &Path, whose: &Path, owners: &[u32]) -> Result<PathBuf, HomeError> {
    let (names, end) = way(path)?;
    for name in names {
        let metadata = look(&name)?;
        // In a sticky directory only the owner of an entry may move it, who is looked at as well.
        let others_write =
            metadata.is_dir() && metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0;
        if others_write || !owners.contains(&metadata.uid()) {
            return Err(HomeError::Replaceable {
                path: whose.to_path_buf(),
                parent: name,
                owner: metadata.uid(),
                mode: metadata.mode() & MODE_BITS,
            });
        }
    }
    Ok(end)
}

/// Returns every directory and every link on the way of a path, and where it leads.
///
/// # Errors
/// When something on the way is missing, or there are more links than the kernel follows.
pub(crate) fn way(path: &Path) -> Result<(Vec<PathBuf>, PathBuf), HomeError> {
    let absolute = std::path::absolute(path).map_err(|source| read_error(path, source))?;
    let mut ahead = steps(&absolute);
    let mut here = PathBuf::from("/");
    let mut names = vec![here.clone()];
    let mut links = 0_usize;
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&step);
        names.push(next.clone());
        if !look(&next)?.is_symlink() {
            here = next;
            continue;
        }
        links = links.saturating_add(1);
        if links > MOST_LINKS {
            return Err(HomeError::Symlink(path.to_path_buf()));
        }
        let target = fs::read_link(&next).map_err(|source| read_error(&next, source))?;
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        for step in steps(&target).into_iter().rev() {
            ahead.push_front(step);
        }
    }
    Ok((names, here))
}

/// Returns the names of a path in order.
fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

    use super::*;

    /// Somebody else.
    const NOBODY: u32 = 65_534;

    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for name in ["ours", "theirs"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        for name in ["tool", "ours/tool"] {
            let file = place.path().join(name);
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        place
    }

    #[test]
    fn a_file_that_only_we_could_change_is_found_through_links_of_ours() {
        let place = place();
        let root = place.path().canonicalize().unwrap();
        symlink("../ours", root.join("ours/again")).unwrap();
        symlink("again/tool", root.join("ours/link")).unwrap();
        assert_eq!(
            check_unchangeable(&root.join("ours/link")).unwrap(),
            root.join("ours/tool")
        );
        assert!(matches!(
            check_unchangeable(&root.join("ours")),
            Err(HomeError::NotAFile(_))
        ));
        symlink("loop", root.join("loop")).unwrap();
        assert!(matches!(
            check_unchangeable(&root.join("loop")),
            Err(HomeError::Symlink(_))
        ));
    }

    #[test]
    fn a_link_that_others_could_lead_elsewhere_is_refused_wherever_it_leads() {
        let place = place();
        let root = place.path().canonicalize().unwrap();
        let theirs = root.join("theirs");
        symlink(root.join("tool"), theirs.join("tool")).unwrap();
        // A link of ours, through a directory of theirs.
        symlink(theirs.join("tool"), root.join("through")).unwrap();
        for name in ["theirs/tool", "through"] {
            assert_eq!(
                check_unchangeable(&root.join(name)).unwrap(),
                root.join("tool")
            );
        }
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
        for name in ["theirs/tool", "through"] {
            let refused = check_unchangeable(&root.join(name)).unwrap_err();
            assert!(
                matches!(&refused, HomeError::Replaceable { parent, .. } if *parent == theirs),
                "{refused}"
            );
        }
        // In a sticky directory the owner of the link counts.
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o1777)).unwrap();
        check_unchangeable(&root.join("theirs/tool")).unwrap();
        if us() != 0 {
            eprintln!("skipped: without root nothing can be given to another user");
            return;
        }
        lchown(theirs.join("tool"), Some(NOBODY), None).unwrap();
        assert!(check_unchangeable(&root.join("through")).is_err());
        chown(root.join("ours"), Some(NOBODY), None).unwrap();
        assert!(check_unchangeable(&root.join("ours/tool")).is_err());
    }
}
