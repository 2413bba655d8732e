//! The daemon's directories and files, trusted only after a look at who could have changed them.
//!
//! Paths come from [`countersign_shared::home::Layout`]. Here is the I/O: directories that are ours
//! and private, files that nobody else can write, parents that nobody else can rearrange. Nothing
//! is repaired: what is wrong is named and refused. Creating is left to `init`.

pub(crate) mod way;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::home::{Layout, Mode};
use zeroize::Zeroizing;

/// The permission bits of a mode, the sticky and set-id bits included.
const MODE_BITS: u32 = 0o7777;

/// The longest key file that is read, in bytes.
const SECRET_LIMIT: usize = 4096;

/// A directory or file that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is nothing at the path.
    #[error(
        "`{}` does not exist; `countersign init` makes a home, and what a configuration names is the \
         operator's to make",
        shown(.0)
    )]
    Missing(PathBuf),
    /// The file system answered with an error.
    #[error("cannot read `{}`", shown(path))]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A link could be pointed elsewhere by whoever owns the place it leads to.
    #[error("`{}` is a symbolic link, so put the real one there", shown(.0))]
    Symlink(PathBuf),
    /// Something else stands where a directory belongs.
    #[error("`{}` is not a directory", shown(.0))]
    NotADirectory(PathBuf),
    /// Something else stands where a file belongs.
    #[error("`{}` is not a regular file", shown(.0))]
    NotAFile(PathBuf),
    /// It belongs to somebody who may change it.
    #[error("`{}` is owned by uid {found}, expected uid {wanted}", shown(path))]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// Who should own it.
        wanted: u32,
    },
    /// Others may read or change it.
    #[error(
        "`{}` has mode {found:04o}, so run `chmod {:04o}` on it",
        shown(path), found & (allowed | 0o700)
    )]
    TooOpen {
        /// Where.
        path: PathBuf,
        /// Its mode.
        found: u32,
        /// The widest mode that is accepted.
        allowed: u32,
    },
    /// Somebody could put another directory in the place of ours.
    #[error(
        "`{}` lies below `{}`, which uid {owner} owns with mode {mode:04o}: others could replace it",
        shown(path),
        shown(parent)
    )]
    Replaceable {
        /// What was to be trusted.
        path: PathBuf,
        /// The directory above it.
        parent: PathBuf,
        /// Who owns that.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// The file is larger than what it holds can be.
    #[error("`{}` has {found} bytes, the limit is {limit}", shown(path))]
    TooLarge {
        /// Where.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A key file of the wrong size is not a key.
    #[error("`{}` has {found} bytes, expected {wanted}", shown(path))]
    NotAKey {
        /// Where.
        path: PathBuf,
        /// Its size in bytes.
        found: usize,
        /// The size of the key in bytes.
        wanted: usize,
    },
}

/// Writes a path on one line so that different paths look different.
pub(crate) fn shown(path: &Path) -> impl std::fmt::Display {
    path.as_os_str().as_encoded_bytes().escape_ascii()
}

/// The directories of a running daemon, checked.
#[derive(Debug, Clone)]
pub struct Home {
    layout: Layout,
    mode: Mode,
}

impl Home {
    /// Checks the directories of `layout` and returns them.
    ///
    /// The state directory must be ours with mode 0700. One exception: when everything lives in
    /// one directory in system mode, agents and reviewers have to pass through it to reach their
    /// sockets, so 0711 is accepted there; the files in it are checked one by one anyway.
    ///
    /// # Errors
    /// The first check that failed, by name.
    pub fn open(layout: Layout, mode: Mode) -> Result<Self, HomeError> {
        let state_mode = match mode {
            Mode::System if layout.is_one_directory() => 0o711,
            Mode::System | Mode::User => 0o700,
        };
        check_directory(layout.state_dir(), &[us()], state_mode)?;
        if !layout.is_one_directory() {
            check_directory(layout.config_dir(), &[us(), 0], 0o755)?;
        }
        check_directory(&layout.policy_dir(), &[us(), 0], 0o755)?;
        Ok(Self { layout, mode })
    }

    /// Returns the paths.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns who shares the machine with whom.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Reads the log's signing key in force.
    ///
    /// # Errors
    /// When the file is not ours alone, or not 32 bytes long.
    pub fn log_key(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        read_key(&self.layout.log_key())
    }

    /// Reads the key of the mask tags.
    ///
    /// # Errors
    /// When the file is not ours alone, or not 32 bytes long.
    pub fn mask_key(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        read_key(&self.layout.mask_key())
    }
}

/// The user this process acts as.
pub(crate) fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Checks one directory: no link, owned by one of `owners`, no permission beyond `allowed`, and not
/// replaceable by anybody else.
pub(crate) fn check_directory(path: &Path, owners: &[u32], allowed: u32) -> Result<(), HomeError> {
    let metadata = look(path)?;
    if metadata.is_symlink() {
        return Err(HomeError::Symlink(path.to_path_buf()));
    }
    if !metadata.is_dir() {
        return Err(HomeError::NotADirectory(path.to_path_buf()));
    }
    check_owner_and_mode(path, &metadata, owners, allowed)?;
    check_parents(path, owners)
}

/// Reads a file that decides: owned by us or root, writable by nobody else, at most `limit` bytes.
///
/// # Errors
/// The first check that failed, by name.
pub fn read_trusted(path: &Path, limit: usize) -> Result<Vec<u8>, HomeError> {
    check_parents(path, &[])?;
    let (file, metadata) = open_regular(path)?;
    check_owner_and_mode(path, &metadata, &[us(), 0], 0o755)?;
    read_at_most(path, file, limit)
}

/// Reads a secret from a file that is ours or root's, and that nobody else may even read.
///
/// # Errors
/// The first check that failed, by name.
pub(crate) fn read_private(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, HomeError> {
    check_parents(path, &[])?;
    let (file, metadata) = open_regular(path)?;
    check_owner_and_mode(path, &metadata, &[us(), 0], 0o600)?;
    read_at_most(path, file, limit).map(Zeroizing::new)
}

/// Reads a secret key of 32 bytes from a file that is ours and that nobody else may even read.
pub(crate) fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, HomeError> {
    check_parents(path, &[])?;
    let (file, metadata) = open_regular(path)?;
    check_owner_and_mode(path, &metadata, &[us()], 0o600)?;
    let bytes = Zeroizing::new(read_at_most(path, file, SECRET_LIMIT)?);
    <[u8; 32]>::try_from(bytes.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| HomeError::NotAKey {
            path: path.to_path_buf(),
            found: bytes.len(),
            wanted: 32,
        })
}

fn look(path: &Path) -> Result<Metadata, HomeError> {
    fs::symlink_metadata(path).map_err(|source| read_error(path, source))
}

fn read_error(path: &Path, source: io::Error) -> HomeError {
    let path = path.to_path_buf();
    if source.kind() == io::ErrorKind::NotFound {
        HomeError::Missing(path)
    } else {
        HomeError::Read { path, source }
    }
}

/// Opens a regular file without following a link in its last part, and without waiting for a pipe.
fn open_regular(path: &Path) -> Result<(File, Metadata), HomeError> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|source| {
            if source.raw_os_error() == Some(libc::ELOOP) {
                HomeError::Symlink(path.to_path_buf())
            } else {
                read_error(path, source)
            }
        })?;
    let metadata = file.metadata().map_err(|source| read_error(path, source))?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(HomeError::NotAFile(path.to_path_buf()))
    }
}

fn read_at_most(path: &Path, file: File, limit: usize) -> Result<Vec<u8>, HomeError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|source| read_error(path, source))?;
    if bytes.len() > limit {
        let found = look(path)?.len();
        return Err(HomeError::TooLarge {
            path: path.to_path_buf(),
            found,
            limit,
        });
    }
    Ok(bytes)
}

fn check_owner_and_mode(
    path: &Path,
    metadata: &Metadata,
    owners: &[u32],
    allowed: u32,
) -> Result<(), HomeError> {
    let owner = metadata.uid();
    if !owners.contains(&owner) {
        return Err(HomeError::Foreign {
            path: path.to_path_buf(),
            found: owner,
            wanted: owners.first().copied().unwrap_or_default(),
        });
    }
    // The owner's own bits are the owner's business; a set-id or sticky bit harms nobody here.
    let found = metadata.mode() & MODE_BITS;
    if found & 0o077 & !allowed != 0 {
        return Err(HomeError::TooOpen {
            path: path.to_path_buf(),
            found,
            allowed,
        });
    }
    Ok(())
}

/// Checks that nobody but root, us and `owners` can rename or replace any directory above `path`, or a
/// link that leads to one.
fn check_parents(path: &Path, owners: &[u32]) -> Result<(), HomeError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    // A bare name lies in the current directory.
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let owners = [owners, &[us(), 0]].concat();
    way::check_way(parent, path, &owners).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    struct Place {
        directory: tempfile::TempDir,
        layout: Layout,
    }

    fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        fs::create_dir(&home).unwrap();
        set_mode(&home, 0o700);
        fs::create_dir(home.join("policy")).unwrap();
        let layout = Layout::at(&home).unwrap();
        Place { directory, layout }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn write(path: &Path, bytes: &[u8], mode: u32) {
        fs::write(path, bytes).unwrap();
        set_mode(path, mode);
    }

    #[test]
    fn a_private_home_is_accepted() {
        let place = place();
        let home = Home::open(place.layout.clone(), Mode::User).unwrap();
        write(&place.layout.log_key(), &[7; 32], 0o600);
        assert_eq!(*home.log_key().unwrap(), [7; 32]);
    }

    #[test]
    fn a_home_that_others_may_enter_is_refused() {
        let place = place();
        set_mode(place.layout.state_dir(), 0o750);
        let error = Home::open(place.layout.clone(), Mode::User).unwrap_err();
        assert!(
            matches!(
                error,
                HomeError::TooOpen {
                    found: 0o750,
                    allowed: 0o700,
                    ..
                }
            ),
            "{error}"
        );
        set_mode(place.layout.state_dir(), 0o711);
        Home::open(place.layout.clone(), Mode::User).unwrap_err();
        Home::open(place.layout.clone(), Mode::System).unwrap();
        set_mode(place.layout.state_dir(), 0o755);
        Home::open(place.layout, Mode::System).unwrap_err();
    }

    #[test]
    fn a_home_behind_a_symbolic_link_is_refused() {
        let place = place();
        let link = place.layout.state_dir().with_file_name("link");
        symlink(place.layout.state_dir(), &link).unwrap();
        let error = Home::open(Layout::at(&link).unwrap(), Mode::User).unwrap_err();
        assert!(matches!(error, HomeError::Symlink(_)), "{error}");
    }

    #[test]
    fn a_missing_home_and_a_file_in_its_place_are_told_apart() {
        let place = place();
        let nowhere = place.layout.state_dir().with_file_name("nowhere");
        let error = Home::open(Layout::at(&nowhere).unwrap(), Mode::User).unwrap_err();
        assert!(matches!(error, HomeError::Missing(_)), "{error}");
        write(&nowhere, b"", 0o600);
        let error = Home::open(Layout::at(&nowhere).unwrap(), Mode::User).unwrap_err();
        assert!(matches!(error, HomeError::NotADirectory(_)), "{error}");
    }

    #[test]
    fn a_home_that_others_could_replace_is_refused() {
        let place = place();
        let parent = place.layout.state_dir().parent().unwrap().to_path_buf();
        set_mode(&parent, 0o777);
        let error = Home::open(place.layout.clone(), Mode::User).unwrap_err();
        assert!(matches!(error, HomeError::Replaceable { .. }), "{error}");
        set_mode(&parent, 0o1777);
        Home::open(place.layout, Mode::User).unwrap();
    }

    #[test]
    fn a_foreign_home_is_refused() {
        if us() != 0 {
            eprintln!("a_foreign_home_is_refused skipped: needs root");
            return;
        }
        let place = place();
        chown(place.layout.state_dir(), Some(65_534), None).unwrap();
        let error = Home::open(place.layout, Mode::User).unwrap_err();
        assert!(
            matches!(
                error,
                HomeError::Foreign {
                    found: 65_534,
                    wanted: 0,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let place = place();
        let home = Home::open(place.layout.clone(), Mode::User).unwrap();
        write(&place.layout.mask_key(), &[7; 32], 0o640);
        assert!(matches!(home.mask_key(), Err(HomeError::TooOpen { .. })));
        write(&place.layout.mask_key(), &[7; 31], 0o600);
        assert!(matches!(
            home.mask_key(),
            Err(HomeError::NotAKey {
                found: 31,
                wanted: 32,
                ..
            })
        ));
    }

    #[test]
    fn a_decisive_file_that_others_may_write_is_refused() {
        let place = place();
        let file = place.layout.config_file();
        write(&file, b"mode", 0o664);
        assert!(matches!(
            read_trusted(&file, 10),
            Err(HomeError::TooOpen { .. })
        ));
        set_mode(&file, 0o644);
        assert_eq!(read_trusted(&file, 10).unwrap(), b"mode");
        assert!(matches!(
            read_trusted(&file, 3),
            Err(HomeError::TooLarge {
                found: 4,
                limit: 3,
                ..
            })
        ));
    }

    #[test]
    fn a_link_in_the_middle_that_others_could_turn_is_found() {
        let place = place();
        let root = fs::canonicalize(place.directory.path()).unwrap();
        let open = root.join("open");
        fs::create_dir(&open).unwrap();
        // ours -> open/theirs -> home: neither end says who could turn it.
        symlink(root.join("home"), open.join("theirs")).unwrap();
        symlink(open.join("theirs"), root.join("ours")).unwrap();
        let file = root.join("ours/countersign.toml");
        write(&root.join("home/countersign.toml"), b"", 0o600);
        check_parents(&file, &[]).unwrap();
        set_mode(&open, 0o777);
        let error = check_parents(&file, &[]).unwrap_err();
        assert!(matches!(error, HomeError::Replaceable { .. }), "{error}");
        set_mode(&open, 0o755);
        // Only root can give a link to somebody else.
        if us() != 0 {
            return;
        }
        std::os::unix::fs::lchown(open.join("theirs"), Some(65_534), None).unwrap();
        let error = check_parents(&file, &[]).unwrap_err();
        assert!(matches!(error, HomeError::Replaceable { .. }), "{error}");
    }

    #[test]
    fn a_link_or_a_directory_is_no_decisive_file() {
        let place = place();
        let file = place.layout.config_file();
        symlink("/etc/passwd", &file).unwrap();
        assert!(matches!(
            read_trusted(&file, 10),
            Err(HomeError::Symlink(_))
        ));
        assert!(matches!(
            read_trusted(&place.layout.policy_dir(), 10),
            Err(HomeError::NotAFile(_))
        ));
    }
}
