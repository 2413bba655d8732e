//! Keys in `ssh-agent`, and through it keys on security keys.

use std::path::{Path, PathBuf};

use countersign_shared::sshsig;
use countersign_shared::statement::Assurance;
use ssh_agent_client_rs::{Client, Identity};
use ssh_key::PublicKey;

use super::{KeyError, shown};

/// A key that an `ssh-agent` holds.
#[derive(Debug)]
pub struct AgentKey {
    socket: PathBuf,
    public: PublicKey,
}

impl AgentKey {
    /// Lists the plain keys of an agent that can be used here; certificates and keys of other kinds
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`KeyError::Agent`] when the agent does not answer.
    pub fn list(socket: &Path) -> Result<Vec<Self>, KeyError> {
        let failed = agent_error(socket, "does not list its keys");
        let mut client = Client::connect(socket).map_err(agent_error(socket, "does not answer"))?;
        let identities = client.list_all_identities().map_err(failed)?;
        Ok(identities
            .into_iter()
            .filter_map(|identity| match identity {
                Identity::PublicKey(key) => Some(key.into_owned()),
                Identity::Certificate(_) => None,
            })
            .filter(|key| sshsig::check_key(key).is_ok())
            .map(|key| Self {
                socket: socket.to_owned(),
                public: PublicKey::from(key.key_data().clone()),
            })
            .collect())
    }

    pub(super) const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn assurance(&self) -> Assurance {
        let key = self.public.key_data();
        if key.is_sk_ed25519() || key.is_sk_ecdsa_p256() {
            Assurance::Touch
        } else {
            Assurance::SshAgent
        }
    }

    pub(super) fn sign(
        &self,
        namespace: &str,
        message: &[u8],
    ) -> Result<ssh_key::Signature, KeyError> {
        let data = sshsig::signed_data(namespace, message).map_err(|source| KeyError::Unsound {
            place: "ssh-agent".to_owned(),
            source,
        })?;
        let mut client =
            Client::connect(&self.socket).map_err(agent_error(&self.socket, "does not answer"))?;
        client
            .sign(&self.public, &data)
            .map_err(agent_error(&self.socket, "did not sign"))
    }
}

fn agent_error(
    socket: &Path,
    failed: &'static str,
) -> impl FnOnce(ssh_agent_client_rs::Error) -> KeyError {
    let socket = shown(socket);
    move |source| KeyError::Agent {
        socket,
        failed,
        source: Box::new(source),
    }
}
