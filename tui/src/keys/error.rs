//! Why there is no key, or no signature.

use std::io;

use countersign_shared::sshsig::SigError;

/// Why there is no key, or no signature.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None of the person's keys is here.
    #[error(
        "none of your enrolled keys ({}) is in {places}; name one with --key, or load it with ssh-add",
        list(enrolled)
    )]
    None {
        /// The fingerprints of the enrolled keys.
        enrolled: Vec<String>,
        /// Where it was looked for.
        places: String,
    },
    /// More than one of the person's keys is here.
    #[error(
        "several of your enrolled keys are here: {}; choose one with --key",
        list(found)
    )]
    Several {
        /// What was found, and where.
        found: Vec<String>,
    },
    /// The person has no enrolled key at all.
    #[error("no key is enrolled for you; ask for `countersign reviewer add`")]
    NothingEnrolled,
    /// The key is not one of the person's.
    #[error("the key `{fingerprint}` in {place} is not enrolled for you")]
    NotEnrolled {
        /// The key's fingerprint.
        fingerprint: String,
        /// Where it lies.
        place: String,
    },
    /// A file cannot be read or written.
    #[error("`{path}` cannot be {done}")]
    File {
        /// The path.
        path: String,
        /// What could not be done with it.
        done: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is no key.
    #[error(
        "`{path}` is not a key in OpenSSH's format; `ssh-keygen -p -f FILE` turns older formats into it"
    )]
    Format {
        /// The path.
        path: String,
    },
    /// The file is a private key that is damaged, or written shorter than the parser takes it.
    ///
    /// `ssh-key` 0.6 does not read ECDSA keys whose secret number begins with a zero byte: one in
    /// 256, and every second one of P-521. `ssh-agent` reads and uses them.
    #[error(
        "the private key `{path}` is damaged, or an ECDSA key that can be used through ssh-agent \
         only; load it with `ssh-add`"
    )]
    Unreadable {
        /// The path.
        path: String,
    },
    /// Others can read the private key.
    #[error(
        "`{path}` has the permissions {mode:04o}, others can use it; `chmod 600` it and consider a new key"
    )]
    Permissions {
        /// The path.
        path: String,
        /// The file's mode.
        mode: u32,
    },
    /// The key is of a kind that is not accepted.
    #[error(
        "the key in {place} is of a kind that is not accepted; use ed25519, ecdsa or a security key"
    )]
    Kind {
        /// Where it lies.
        place: String,
    },
    /// The file only points at a security key.
    #[error("`{path}` belongs to a security key; load it with `ssh-add` and plug the key in")]
    SecurityKey {
        /// The path.
        path: String,
    },
    /// The private half is missing.
    #[error("`{path}` is a public key, and its private half is neither beside it nor in ssh-agent")]
    PublicOnly {
        /// The path.
        path: String,
    },
    /// The key is encrypted and was not unlocked.
    #[error("the key in {place} is locked; its passphrase is needed")]
    Locked {
        /// Where it lies.
        place: String,
    },
    /// The passphrase is not the key's.
    #[error("this is not the passphrase of the key in {place}")]
    Passphrase {
        /// Where it lies.
        place: String,
    },
    /// The key cannot give what the request needs; nothing was signed.
    #[error("{0}")]
    TooWeak(super::Lack),
    /// A new key needs a passphrase.
    #[error("a new key needs a passphrase: without one, every program of yours could sign")]
    Empty,
    /// There is no terminal to ask on.
    #[error("no terminal to ask for the passphrase on; it is never read from anywhere else")]
    Terminal {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The agent does not answer, or does not sign.
    #[error("ssh-agent at `{socket}` {failed}")]
    Agent {
        /// The agent's socket.
        socket: String,
        /// What it did not do.
        failed: &'static str,
        /// Why not.
        #[source]
        source: Box<ssh_agent_client_rs::Error>,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The key did not sign.
    #[error("the key in {place} did not sign")]
    Signing {
        /// Where it lies.
        place: String,
        /// Why not.
        #[source]
        source: ssh_key::Error,
    },
    /// The signature that was just made does not verify.
    #[error("the signature made by the key in {place} does not verify; nothing was sent")]
    Unsound {
        /// Where the key lies.
        place: String,
        /// What is wrong with it.
        #[source]
        source: SigError,
    },
}

impl KeyError {
    /// Returns the exit code of the command line: 4, "not authorised or no key".
    pub const fn exit_code(&self) -> u8 {
        4
    }
}

fn list(items: &[String]) -> String {
    items.join(", ")
}
