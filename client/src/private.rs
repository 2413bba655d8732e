//! Files that a reader never sees half, and those of this user that nobody else reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

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
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        drop(fs::remove_file(&draft));
        return written;
    }
    match (lasting, path.parent()) {
        (Lasting::PowerCut, Some(dir)) => fs::File::open(dir)?.sync_all(),
        (Lasting::PowerCut, None) | (Lasting::Process, _) => Ok(()),
    }
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
