//! Making a new key: Ed25519, in an encrypted file that nobody else can read.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ssh_key::{Cipher, Kdf, LineEnding, PublicKey};

use super::{KeyError, MemoryKey, Passphrase, file_error, file_place, public_path};

/// How often bcrypt-pbkdf is repeated; what `ssh-keygen` does without `-a` since OpenSSH 9.4.
const ROUNDS: u32 = 24;

/// Makes an Ed25519 key in the files `path` (mode 0600, encrypted) and `path.pub`. Neither may exist.
///
/// # Errors
///
/// [`KeyError::Empty`] without a passphrase; [`KeyError::File`] when a file is there already or
/// cannot be written, with nothing left behind.
pub fn generate(
    path: &Path,
    comment: &str,
    passphrase: &Passphrase,
) -> Result<PublicKey, KeyError> {
    if passphrase.is_empty() {
        return Err(KeyError::Empty);
    }
    let mut salt = vec![0; 16];
    let mut check = [0; 4];
    getrandom::fill(&mut salt).map_err(|_| KeyError::Random)?;
    getrandom::fill(&mut check).map_err(|_| KeyError::Random)?;
    let failed = |source| KeyError::Signing {
        place: file_place(path),
        source,
    };
    let key = MemoryKey::random()?;
    let mut private = key.private_key().clone();
    private.set_comment(comment);
    let kdf = Kdf::Bcrypt {
        salt,
        rounds: ROUNDS,
    };
    let encrypted = private
        .encrypt_with(
            Cipher::Aes256Ctr,
            kdf,
            u32::from_be_bytes(check),
            passphrase.as_bytes(),
        )
        .and_then(|key| key.to_openssh(LineEnding::LF))
        .map_err(failed)?;
    let public = private.public_key().clone();
    let line = public.to_openssh().map_err(failed)?;

    let public_path = public_path(path);
    write_new(
        &public_path,
        0o644,
        format!("{}\n", line.trim_end()).as_bytes(),
    )?;
    if let Err(error) = write_new(path, 0o600, encrypted.as_bytes()) {
        // The public half was made a moment ago and belongs to no key.
        std::fs::remove_file(&public_path).map_err(file_error(&public_path, "removed"))?;
        return Err(error);
    }
    Ok(public)
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(file_error(path, "created"))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|source| {
            let error = file_error(path, "written")(source);
            // Half a key is worse than none; what failed first is what is told.
            drop(std::fs::remove_file(path));
            error
        })
}
