//! The witness's own key: a line of text in a file that nobody else can read.
//!
//! The line is `PRIVATE+KEY+<name>+<id>+<base64 of 0x04 and the seed>`, the form in which Go's
//! `sumdb/note` writes keys, so the name belongs to the key: it cannot be run under another one by a
//! slip of the command line, which would make it another witness.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use countersign_shared::id::RequestId;
use countersign_shared::log::cosignature::CosignerKey;
use countersign_shared::log::note::KeyError as NameError;
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

use crate::home::{HomeError, read_private, shown};

/// How the line begins.
const PREFIX: &str = "PRIVATE+KEY+";

/// The type byte of a key that makes Ed25519 cosignatures.
const COSIGNATURE: u8 = 0x04;

/// The longest file with a key, in bytes.
const LONGEST: usize = 4096;

/// A witness's key that cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be trusted.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The file holds something else.
    #[error(
        "`{}` does not hold the key of a witness: one line `{PREFIX}…`; a new one is made where there \
         is no file",
        shown(.0)
    )]
    Form(PathBuf),
    /// The key is of a witness of another name.
    #[error(
        "the key in `{}` is of the witness `{found}`, not `{named}`; leave out `--name`, or name \
         another file",
        shown(file)
    )]
    OtherName {
        /// The file.
        file: PathBuf,
        /// The name in it.
        found: String,
        /// The name that was given.
        named: String,
    },
    /// The name cannot be that of a witness.
    #[error("`{}` cannot be the name of a witness", name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        source: NameError,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The file cannot be made.
    #[error("cannot make `{}`", shown(file))]
    Make {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Reads the key in `file`, or makes one called `name` there when there is no file.
///
/// # Errors
///
/// When the file can be read by others, holds something else or another name, or cannot be made.
pub fn read_or_make(file: &Path, name: Option<&str>) -> Result<CosignerKey, KeyError> {
    let key = match read_private(file, LONGEST) {
        Ok(bytes) => read(&bytes).ok_or_else(|| KeyError::Form(file.to_owned()))?,
        Err(HomeError::Missing(missing)) if missing == file => return make(file, name),
        Err(error) => return Err(error.into()),
    };
    let found = key.verifier().name();
    match name {
        Some(named) if named != found => Err(KeyError::OtherName {
            file: file.to_owned(),
            found: found.to_owned(),
            named: named.to_owned(),
        }),
        Some(_) | None => Ok(key),
    }
}

fn read(bytes: &[u8]) -> Option<CosignerKey> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (name, rest) = line.strip_prefix(PREFIX)?.split_once('+')?;
    let (id, secret) = rest.split_once('+')?;
    let secret = Zeroizing::new(BASE64.decode(secret.as_bytes()).ok()?);
    let (kind, seed) = secret.split_first()?;
    let key = CosignerKey::from_seed(name, seed.try_into().ok()?).ok()?;
    let is_whole = *kind == COSIGNATURE && HEXLOWER.encode(key.verifier().id()) == id;
    is_whole.then_some(key)
}

fn make(file: &Path, name: Option<&str>) -> Result<CosignerKey, KeyError> {
    let name = name.map_or_else(name_by_chance, |name| Ok(name.to_owned()))?;
    let mut secret = Zeroizing::new([COSIGNATURE; 33]);
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(KeyError::Random)?;
    for (place, byte) in secret.iter_mut().skip(1).zip(*seed) {
        *place = byte;
    }
    let key = CosignerKey::from_seed(&name, &seed).map_err(|source| KeyError::Name {
        name: name.clone(),
        source,
    })?;
    let id = HEXLOWER.encode(key.verifier().id());
    let text = Zeroizing::new(BASE64.encode(&*secret));
    let line = Zeroizing::new(format!("{PREFIX}{name}+{id}+{}\n", *text));
    write(file, line.as_bytes()).map_err(|source| KeyError::Make {
        file: file.to_owned(),
        source,
    })?;
    Ok(key)
}

/// Makes a name that no other witness has.
fn name_by_chance() -> Result<String, KeyError> {
    let mut word = [0; 16];
    getrandom::fill(&mut word).map_err(KeyError::Random)?;
    let word = RequestId::from_bytes(word).to_string();
    let word = word.strip_prefix(RequestId::PREFIX).unwrap_or(&word);
    Ok(format!("witness/{word}"))
}

/// Makes a file that was not there, durably.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_keeps_its_name_and_is_nobody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("witness.key");
        let made = read_or_make(&file, Some("w.example/one")).unwrap();
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for name in [None, Some("w.example/one")] {
            let again = read_or_make(&file, name).unwrap();
            assert_eq!(again.verifier(), made.verifier());
        }
        let error = read_or_make(&file, Some("w.example/two")).unwrap_err();
        assert!(matches!(error, KeyError::OtherName { .. }), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_or_make(&file, None).unwrap_err();
        assert!(matches!(error, KeyError::Home(_)), "{error}");
    }

    #[test]
    fn without_a_name_each_witness_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let name = |file: &str| {
            let key = read_or_make(&directory.path().join(file), None).unwrap();
            key.verifier().name().to_owned()
        };
        let (one, two) = (name("one"), name("two"));
        assert!(one.starts_with("witness/") && one.len() == 34, "{one}");
        assert_ne!(one, two);
        assert!(read_or_make(&directory.path().join("x"), Some("a b")).is_err());
        assert!(!directory.path().join("x").exists());
    }

    #[test]
    fn a_file_that_is_bent_or_cut_off_is_no_key_and_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("witness.key");
        read_or_make(&file, Some("w.example/one")).unwrap();
        let whole = fs::read_to_string(&file).unwrap();
        for text in [
            String::new(),
            whole.trim_end().to_owned(),
            whole.replace("w.example/one", "w.example/two"),
            whole.replace("PRIVATE", "PUBLIC"),
            format!("{whole}\n"),
        ] {
            fs::write(&file, &text).unwrap();
            let error = read_or_make(&file, None).unwrap_err();
            assert!(matches!(error, KeyError::Form(_)), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }
}
