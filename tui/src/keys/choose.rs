//! Which key signs: the named one, the configured one, or the only enrolled one that is found.

use std::path::{Path, PathBuf};

use countersign_shared::sshsig;
use ssh_key::PublicKey;

use super::file::{self, PRIVATE};
use super::{AgentKey, FileKey, KeyError, Signer, file_error, public_path, shown};

/// The most files of a directory that are looked at.
const MAX_FILES: usize = 1_000;

/// Where keys are looked for.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The person's `.ssh` directory.
    pub directory: Option<PathBuf>,
    /// The socket of `ssh-agent`.
    pub agent: Option<PathBuf>,
}

impl Places {
    /// Takes `~/.ssh` and the agent that `SSH_AUTH_SOCK` names.
    pub fn from_environment() -> Self {
        Self {
            directory: std::env::home_dir().map(|home| home.join(".ssh")),
            agent: std::env::var_os("SSH_AUTH_SOCK")
                .filter(|socket| !socket.is_empty())
                .map(PathBuf::from),
        }
    }

    fn names(&self) -> String {
        let directory = self
            .directory
            .as_deref()
            .map(|path| format!("`{}`", shown(path)));
        let agent = self.agent.as_ref().map(|_| "ssh-agent".to_owned());
        let names: Vec<String> = directory.into_iter().chain(agent).collect();
        if names.is_empty() {
            "any known place".to_owned()
        } else {
            names.join(" or ")
        }
    }
}

/// Chooses the key to sign with: `--key`, else the configured key, else the one of `enrolled` that
/// is found in `places`. Whatever is chosen is one of `enrolled`, the person's keys in the roster.
///
/// # Errors
///
/// A [`KeyError`] that names what was found, or where nothing was.
pub fn choose(
    named: Option<&Path>,
    configured: Option<&Path>,
    enrolled: &[PublicKey],
    places: &Places,
) -> Result<Signer, KeyError> {
    if enrolled.is_empty() {
        return Err(KeyError::NothingEnrolled);
    }
    if let Some(path) = named.or(configured) {
        let signer = open(path, places)?;
        return if is_enrolled(signer.public_key(), enrolled) {
            Ok(signer)
        } else {
            Err(KeyError::NotEnrolled {
                fingerprint: signer.fingerprint(),
                place: format!("`{}`", shown(path)),
            })
        };
    }
    let mut found = find(enrolled, places);
    match (found.pop(), found.as_slice()) {
        (Some(signer), []) => Ok(signer),
        (Some(last), others) => Err(KeyError::Several {
            found: others
                .iter()
                .chain([&last])
                .map(ToString::to_string)
                .collect(),
        }),
        (None, _) => Err(
            why_unusable(enrolled, places).unwrap_or_else(|| KeyError::None {
                enrolled: enrolled.iter().map(sshsig::fingerprint).collect(),
                places: places.names(),
            }),
        ),
    }
}

/// Tells why an enrolled key that lies there, as the public half beside it says, cannot be used.
fn why_unusable(enrolled: &[PublicKey], places: &Places) -> Option<KeyError> {
    let files = key_files(places.directory.as_deref()?).ok()?;
    files.into_iter().find_map(|path| {
        let public = PublicKey::read_openssh_file(&public_path(&path)).ok()?;
        let is_it = is_enrolled(&public, enrolled);
        FileKey::open(&path).err().filter(|_| is_it)
    })
}

/// Opens the key that a file names: a private key, or a public one whose private half lies beside
/// it or in `ssh-agent`. Whether it is enrolled is not looked at.
///
/// # Errors
///
/// A [`KeyError`] when there is no such key, or it does not sign.
pub fn open(path: &Path, places: &Places) -> Result<Signer, KeyError> {
    let text = file::read(path)?;
    if text.starts_with(PRIVATE) {
        return match FileKey::open(path) {
            Ok(key) => Ok(Signer::File(key)),
            // The file of a security key is only a handle, and some keys the agent alone can read.
            Err(error @ (KeyError::SecurityKey { .. } | KeyError::Unreadable { .. })) => {
                PublicKey::read_openssh_file(&public_path(path))
                    .ok()
                    .and_then(|public| in_agent(&public, places))
                    .ok_or(error)
            }
            Err(error) => Err(error),
        };
    }
    let public =
        PublicKey::from_openssh(&text).map_err(|_| KeyError::Format { path: shown(path) })?;
    let beside = match private_beside(path, &public) {
        Some(Ok(signer)) => return Ok(signer),
        Some(Err(error)) => error,
        None => KeyError::PublicOnly { path: shown(path) },
    };
    in_agent(&public, places).ok_or(beside)
}

/// Opens the private half beside a public one; nothing where there is none, or another one.
fn private_beside(path: &Path, public: &PublicKey) -> Option<Result<Signer, KeyError>> {
    let private = path.with_extension("");
    if path.extension()? != "pub" || !private.exists() {
        return None;
    }
    match FileKey::open(&private) {
        Ok(key) if key.public_key().key_data() == public.key_data() => Some(Ok(Signer::File(key))),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    }
}

fn in_agent(public: &PublicKey, places: &Places) -> Option<Signer> {
    AgentKey::list(places.agent.as_deref()?)
        .ok()?
        .into_iter()
        .find(|key| key.public_key().key_data() == public.key_data())
        .map(Signer::Agent)
}

/// Finds the enrolled keys, each once. A file goes before the agent: its passphrase says more about
/// who is there.
fn find(enrolled: &[PublicKey], places: &Places) -> Vec<Signer> {
    let files = places
        .directory
        .as_deref()
        .and_then(|directory| key_files(directory).ok())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| FileKey::open(&path).ok())
        .map(Signer::File);
    let agent = places
        .agent
        .as_deref()
        .and_then(|socket| AgentKey::list(socket).ok())
        .unwrap_or_default()
        .into_iter()
        .map(Signer::Agent);
    let mut found: Vec<Signer> = Vec::new();
    for signer in files.chain(agent) {
        let key = signer.public_key();
        let is_new = !found
            .iter()
            .any(|other| other.public_key().key_data() == key.key_data());
        if is_new && is_enrolled(key, enrolled) {
            found.push(signer);
        }
    }
    found
}

/// Returns the files of a directory that may hold private keys, sorted by name.
fn key_files(directory: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .map_err(file_error(directory, "listed"))?
        .take(MAX_FILES)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_none_or(|extension| extension != "pub"))
        .collect();
    files.sort();
    Ok(files)
}

fn is_enrolled(key: &PublicKey, enrolled: &[PublicKey]) -> bool {
    enrolled
        .iter()
        .any(|other| other.key_data() == key.key_data())
}
