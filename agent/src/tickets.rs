//! What one user's processes must keep between `request` and `report`: the ticket secret, the
//! document and the openings of its masks.
//!
//! One directory for each request, 0700, its files 0600, written under another name first and then
//! renamed. It goes when the request ends. Only names of our own making are used as paths, since a
//! request's id has one spelling. Whether a ticket is still good is the daemon's to say.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::digest::Digest;
use countersign_shared::id::{RequestId, RunSecret};
use countersign_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use countersign_client::private::write_private;

use crate::client::Claim;

/// The ticket store cannot be used, or has no such ticket.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// No ticket of that request lies here.
    #[error("there is no ticket for `{id}` in `{}`", dir.display())]
    Unknown {
        /// The request.
        id: RequestId,
        /// The store.
        dir: PathBuf,
    },
    /// Somebody else could read or change what lies there.
    #[error("`{}` must be a directory of this user's own with mode 700", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}` does not hold a ticket", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// How far a request has come, as far as this side did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Asked for.
    Asked,
    /// The one use is taken, or was tried to be.
    Redeemed,
    /// The start of the run was reported.
    Started,
}

/// One ticket.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The request and the right to it.
    pub claim: Claim,
    /// The digest of its document.
    pub digest: Digest,
    /// When it ends by itself, as last heard.
    pub expires_at: Option<Timestamp>,
    /// How far it has come.
    pub stage: Stage,
    /// When the one use was taken.
    pub redeemed_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    id: RequestId,
    ticket: String,
    digest: Digest,
    expires_at: Option<Timestamp>,
    stage: Stage,
    redeemed_at: Option<Timestamp>,
}

/// The files of one ticket's directory.
const TICKET: &str = "ticket.json";
const DOCUMENT: &str = "document.json";
const OPENINGS: &str = "openings.json";
const REPORT: &str = "report.json";
const RUN: &str = "run";

/// All tickets of one user.
#[derive(Debug, Clone)]
pub struct Tickets {
    dir: PathBuf,
}

impl Tickets {
    /// Opens the store in the directory of our own files, and makes it if need be.
    ///
    /// # Errors
    /// When it cannot be made, or is not private.
    pub fn open(state_dir: &Path) -> Result<Self, TicketError> {
        let dir = state_dir.join("tickets");
        make_private(&dir)?;
        Ok(Self { dir })
    }

    /// Keeps a new ticket with its document and openings.
    ///
    /// # Errors
    /// When it cannot be written. Then the ticket is lost with this process.
    pub fn keep(
        &self,
        ticket: &Ticket,
        document: &[u8],
        openings: &[u8],
    ) -> Result<(), TicketError> {
        make_private(&self.of(&ticket.claim.id))?;
        self.write(&ticket.claim.id, DOCUMENT, document)?;
        self.write(&ticket.claim.id, OPENINGS, openings)?;
        self.update(ticket)
    }

    /// Writes a ticket again that has come further.
    ///
    /// Processes that asked for the same share it, so one of them may have removed it meanwhile;
    /// whoever goes on with the request has it again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn update(&self, ticket: &Ticket) -> Result<(), TicketError> {
        let stored = Stored {
            v: 1,
            id: ticket.claim.id,
            ticket: ticket.claim.secret.reveal(),
            digest: ticket.digest,
            expires_at: ticket.expires_at,
            stage: ticket.stage,
            redeemed_at: ticket.redeemed_at,
        };
        let bytes = serde_json::to_vec(&stored).map_err(|source| TicketError::Format {
            path: self.of(&ticket.claim.id).join(TICKET),
            source,
        })?;
        make_private(&self.of(&ticket.claim.id))?;
        self.write(&ticket.claim.id, TICKET, &bytes)
    }

    /// Returns the ticket of a request.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn load(&self, id: RequestId) -> Result<Ticket, TicketError> {
        let path = self.of(&id).join(TICKET);
        let bytes = self.read(id, TICKET)?;
        let wrong = |source| TicketError::Format {
            path: path.clone(),
            source,
        };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(wrong)?;
        let other = || {
            wrong(serde::de::Error::custom(
                "it is the ticket of another request",
            ))
        };
        if stored.v != 1 || stored.id != id {
            return Err(other());
        }
        Ok(Ticket {
            claim: Claim {
                id,
                secret: stored.ticket.parse().map_err(|_| other())?,
            },
            digest: stored.digest,
            expires_at: stored.expires_at,
            stage: stored.stage,
            redeemed_at: stored.redeemed_at,
        })
    }

    /// Keeps the run secret that came with the one use, for whichever process reports.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_run(&self, id: RequestId, run: &RunSecret) -> Result<(), TicketError> {
        make_private(&self.of(&id))?;
        self.write(&id, RUN, run.reveal().as_bytes())
    }

    /// Returns the run secret, if a process of this user took the one use.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn run(&self, id: RequestId) -> Result<Option<RunSecret>, TicketError> {
        let bytes = match self.read(id, RUN) {
            Ok(bytes) => bytes,
            Err(TicketError::Unknown { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(|| TicketError::Format {
                path: self.of(&id).join(RUN),
                source: serde::de::Error::custom("it is no run secret"),
            })
    }

    /// Keeps a report that the daemon has not heard.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_report(&self, id: RequestId, report: &[u8]) -> Result<(), TicketError> {
        self.write(&id, REPORT, report)
    }

    /// Returns the report that the daemon has not heard, if there is one.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn report(&self, id: RequestId) -> Result<Option<Vec<u8>>, TicketError> {
        match self.read(id, REPORT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(TicketError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets a request that has ended. What is gone already is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, id: RequestId) -> Result<(), TicketError> {
        let dir = self.of(&id);
        match fs::remove_dir_all(&dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(TicketError::Write { path: dir, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn of(&self, id: &RequestId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn read(&self, id: RequestId, name: &str) -> Result<Vec<u8>, TicketError> {
        let path = self.of(&id).join(name);
        fs::read(&path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                let dir = self.dir.clone();
                TicketError::Unknown { id, dir }
            } else {
                TicketError::Read { path, source }
            }
        })
    }

    fn write(&self, id: &RequestId, name: &str, bytes: &[u8]) -> Result<(), TicketError> {
        let path = self.of(id).join(name);
        write_private(&path, bytes).map_err(|source| TicketError::Write { path, source })
    }
}

/// Makes a directory that only this user can look into, or checks that it is one.
fn make_private(path: &Path) -> Result<(), TicketError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| TicketError::Write {
            path: path.to_path_buf(),
            source,
        })?;
    let found = fs::symlink_metadata(path).map_err(|source| TicketError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let own = rustix::process::geteuid().as_raw();
    if found.is_dir() && found.uid() == own && found.mode().trailing_zeros() >= 6 {
        return Ok(());
    }
    Err(TicketError::Foreign {
        path: path.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use countersign_shared::id::TicketSecret;

    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            claim: Claim {
                id: RequestId::from_bytes([3; 16]),
                secret: TicketSecret::from_bytes([7; 16]),
            },
            digest: Digest::of(b"document"),
            expires_at: Some(Timestamp::from_millis(1_795_294_153_007)),
            stage: Stage::Asked,
            redeemed_at: None,
        }
    }

    #[test]
    fn another_process_finds_what_one_kept() {
        let home = tempfile::tempdir().unwrap();
        let mut kept = ticket();
        let store = Tickets::open(home.path()).unwrap();
        store.keep(&kept, b"document", b"{}").unwrap();
        kept.stage = Stage::Redeemed;
        kept.redeemed_at = kept.expires_at;
        store.update(&kept).unwrap();

        let found = Tickets::open(home.path())
            .unwrap()
            .load(kept.claim.id)
            .unwrap();
        assert_eq!(found.claim.secret.reveal(), kept.claim.secret.reveal());
        assert_eq!(found.digest, kept.digest);
        assert_eq!(found.stage, Stage::Redeemed);
        assert_eq!(found.redeemed_at, kept.redeemed_at);
    }

    #[test]
    fn nobody_else_can_read_a_ticket() {
        let home = tempfile::tempdir().unwrap();
        let kept = ticket();
        let store = Tickets::open(home.path()).unwrap();
        store.keep(&kept, b"document", b"{}").unwrap();
        store.keep_report(kept.claim.id, b"{}").unwrap();
        let run = RunSecret::from_bytes([8; 16]);
        store.keep_run(kept.claim.id, &run).unwrap();
        let found = store.run(kept.claim.id).unwrap().unwrap();
        assert_eq!(found.reveal(), run.reveal());
        let dir = store.of(&kept.claim.id);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        let names: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600);
                entry.file_name()
            })
            .collect();
        assert_eq!(names.len(), 5, "{names:?}");
    }

    #[test]
    fn a_store_that_others_can_open_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        Tickets::open(home.path()).unwrap();
        for mode in [0o750, 0o705, 0o711] {
            let dir = home.path().join("tickets");
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
            let error = Tickets::open(home.path()).unwrap_err();
            assert!(matches!(error, TicketError::Foreign { .. }), "{error}");
        }
    }

    #[test]
    fn a_linked_store_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(home.path().join("elsewhere"), home.path().join("tickets"))
            .unwrap();
        let error = Tickets::open(home.path()).unwrap_err();
        assert!(matches!(error, TicketError::Foreign { .. }), "{error}");
    }

    #[test]
    fn a_request_that_ended_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let kept = ticket();
        let store = Tickets::open(home.path()).unwrap();
        store.keep(&kept, b"document", b"{}").unwrap();
        store.remove(kept.claim.id).unwrap();
        store.remove(kept.claim.id).unwrap();
        assert!(matches!(
            store.load(kept.claim.id),
            Err(TicketError::Unknown { .. })
        ));
        assert_eq!(
            fs::read_dir(home.path().join("tickets")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_ticket_that_another_process_removed_is_kept_again() {
        let home = tempfile::tempdir().unwrap();
        let mut kept = ticket();
        let store = Tickets::open(home.path()).unwrap();
        store.keep(&kept, b"document", b"{}").unwrap();
        store.remove(kept.claim.id).unwrap();
        kept.stage = Stage::Redeemed;
        store.update(&kept).unwrap();
        assert_eq!(store.load(kept.claim.id).unwrap().stage, Stage::Redeemed);
    }

    #[test]
    fn a_ticket_under_another_requests_name_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let kept = ticket();
        let store = Tickets::open(home.path()).unwrap();
        store.keep(&kept, b"document", b"{}").unwrap();
        let other = RequestId::from_bytes([4; 16]);
        fs::rename(store.of(&kept.claim.id), store.of(&other)).unwrap();
        assert!(matches!(store.load(other), Err(TicketError::Format { .. })));
    }
}
