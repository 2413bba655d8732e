//! Files that a reader never sees half, and those of this user that nobody else reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Whether what was written has to be there after a power cut.
///
/// Without that a write costs no wait for the disk. Nobody sees half of it either, but after a power
/// cut it may be the old contents, or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It outlives every process, and a power cut.
    PowerCut,
    /// It outlives every process.
    Process,
}

/// Writes a file of mode 600 so that a reader sees the old contents or the new, never half.
///
/// # Errors
///
/// When the file cannot be written; then the old one still stands.
pub fn write_private(path: &Path, bytes: &[u8], lasting: Lasting) -> io::Result<()> {
    replace(path, bytes, lasting, |_| Ok(()))
}

/// Writes a file anew so that a reader sees the old contents or the new, never half, and owner,
/// group and permissions stay.
///
/// # Errors
///
/// When the file is not there, is no plain file, or cannot be written; then the old one still
/// stands.
pub fn write_alike(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::symlink_metadata(path)?;
    if !old.is_file() {
        return Err(io::Error::other("it is a link or no plain file"));
    }
    replace(path, bytes, Lasting::PowerCut, |draft| {
        let (uid, gid) = (old.uid(), old.gid());
        let new = draft.metadata()?;
        if (new.uid(), new.gid()) != (uid, gid) {
            std::os::unix::fs::fchown(draft, Some(uid), Some(gid))?;
        }
        draft.set_permissions(old.permissions())
    })
}

fn replace(
    path: &Path,
    bytes: &[u8],
    lasting: Lasting,
    prepare: impl FnOnce(&fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let suffix = data_encoding::HEXLOWER.encode(&random);
    let draft = path.with_extension(format!("{suffix}.draft"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = prepare(&file)
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| match lasting {
            Lasting::PowerCut => file.sync_all(),
            Lasting::Process => Ok(()),
        })
        .and_then(|()| put(&draft, path, lasting));
    if written.is_err() {
        drop(fs::remove_file(&draft));
        return written;
    }
    match (lasting, path.parent()) {
        (Lasting::PowerCut, Some(dir)) => fs::File::open(dir)?.sync_all(),
        (Lasting::PowerCut, None) | (Lasting::Process, _) => Ok(()),
    }
}

/// Gives the draft the name it is for, at once.
fn put(draft: &Path, path: &Path, lasting: Lasting) -> io::Result<()> {
    // A file that takes the name of another one is written out right away by some file systems (ext4
    // does), for programs that forget to wait for the disk. Whoever waits next, such as the daemon, then
    // waits for that as well. Names that are exchanged have no such effect.
    let exchange = || renameat_with(CWD, draft, CWD, path, RenameFlags::EXCHANGE);
    let is_exchanged = lasting == Lasting::Process && exchange().is_ok();
    if !is_exchanged {
        // Nothing has the name yet, or this file system does not know how to exchange.
        return fs::rename(draft, path);
    }
    fs::remove_file(draft).inspect_err(|_| {
        // What had the name is no file, and keeps it.
        let _back = exchange();
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_written_anew_keeps_its_permissions_and_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reviewers.toml");
        for mode in [0o644, 0o600, 0o640] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            write_alike(&path, b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found, mode);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_private_file_takes_the_place_of_another_whether_or_not_the_disk_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticket.json");
        for lasting in [Lasting::PowerCut, Lasting::Process] {
            for contents in ["first", "second", "third"] {
                write_private(&path, contents.as_bytes(), lasting).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), contents);
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, 0o600);
            }
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn what_is_no_file_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticket.json");
        fs::create_dir(&path).unwrap();
        for lasting in [Lasting::PowerCut, Lasting::Process] {
            assert!(write_private(&path, b"new", lasting).is_err());
            assert!(path.is_dir());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_link_or_a_missing_file_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        assert!(write_alike(&file, b"new").is_err());
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(write_alike(&link, b"new").is_err());
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }
}
