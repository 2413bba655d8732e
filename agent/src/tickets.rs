//! What one user's processes must keep between `request` and `report`: the ticket secret, the
//! document and the openings of its masks.
//!
//! One directory for each request, 0700, its files 0600, written under another name first and then
//! renamed. It goes when the request ends; where nobody was there to see that, a month later. Only
//! names of our own making are used as paths, since a request's id has one spelling. Whether a ticket
//! is still good is the daemon's to say.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use countersign_shared::digest::Digest;
use countersign_shared::id::{RequestId, RunSecret};
use countersign_shared::time::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use countersign_client::private::{Lasting, write_private};

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

/// How far a request has come, as far as this side did it. Later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Whether another asking has the same request, so that another process may take the use.
    pub shared: bool,
}

impl Ticket {
    /// Adds what another process of this user has kept of the same request. What it has reached
    /// stays reached.
    fn merge(&mut self, kept: &Self) {
        self.stage = self.stage.max(kept.stage);
        self.redeemed_at = kept.redeemed_at.or(self.redeemed_at);
        self.shared |= kept.shared;
    }
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
    #[serde(default)]
    shared: bool,
}

/// How long a ticket is kept after its request expired, and after it was touched last: longer than any
/// run that could still be reported.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The files of one ticket's directory.
const TICKET: &str = "ticket.json";
const DOCUMENT: &str = "document.json";
const OPENINGS: &str = "openings.json";
const REPORT: &str = "report.json";
const RUN: &str = "run";

/// The file beside the store that whoever reads and writes a ticket in one step has locked.
const LOCK: &str = "tickets.lock";

/// All tickets of one user.
#[derive(Debug, Clone)]
pub struct Tickets {
    dir: PathBuf,
    lock: PathBuf,
    lasting: Lasting,
}

impl Tickets {
    /// Opens the store in the directory of our own files, and makes it if need be.
    ///
    /// # Errors
    /// When it cannot be made, or is not private.
    pub fn open(state_dir: &Path, lasting: Lasting) -> Result<Self, TicketError> {
        let dir = state_dir.join("tickets");
        make_private(&dir)?;
        let lock = state_dir.join(LOCK);
        Ok(Self { dir, lock, lasting })
    }

    /// Keeps a new ticket with its document and openings.
    ///
    /// Whoever joins an earlier asking finds its ticket here, and takes nothing of it away: not how
    /// far it has come, and not the openings, which come with the first asking only.
    ///
    /// # Errors
    /// When it cannot be written. Then the ticket is lost with this process.
    pub fn keep(
        &self,
        ticket: &Ticket,
        document: &[u8],
        openings: &[u8],
    ) -> Result<(), TicketError> {
        let _lock = self.lock()?;
        let id = ticket.claim.id;
        make_private(&self.of(&id))?;
        if !self.has(id, TICKET)? {
            self.write(&id, DOCUMENT, document)?;
            self.write(&id, OPENINGS, openings)?;
            self.sweep(&id);
        }
        self.update_locked(ticket)
    }

    /// Keeps the ticket of a request whose one use came with it, and what lets its holder report.
    ///
    /// # Errors
    /// When it cannot be written. Then the ticket is lost with this process.
    pub fn keep_used(&self, ticket: &Ticket, run: &RunSecret) -> Result<(), TicketError> {
        let _lock = self.lock()?;
        self.update_locked(ticket)?;
        self.sweep(&ticket.claim.id);
        self.write(&ticket.claim.id, RUN, run.reveal().as_bytes())
    }

    /// Writes a ticket again that has come further.
    ///
    /// Processes that asked for the same share it, so one of them may have come further than this
    /// one, which stands; or may have removed it: whoever goes on with the request has it again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn update(&self, ticket: &Ticket) -> Result<(), TicketError> {
        let _lock = self.lock()?;
        self.update_locked(ticket)
    }

    fn update_locked(&self, ticket: &Ticket) -> Result<(), TicketError> {
        let mut ticket = ticket.clone();
        match self.load(ticket.claim.id) {
            Ok(kept) => ticket.merge(&kept),
            Err(TicketError::Unknown { .. }) => {}
            Err(error) => return Err(error),
        }
        let stored = Stored {
            v: 1,
            id: ticket.claim.id,
            ticket: ticket.claim.secret.reveal(),
            digest: ticket.digest,
            expires_at: ticket.expires_at,
            stage: ticket.stage,
            redeemed_at: ticket.redeemed_at,
            shared: ticket.shared,
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
            shared: stored.shared,
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

    /// Returns the document of a request and the openings of its masks.
    ///
    /// # Errors
    /// When they are not there, or cannot be read.
    pub fn document(&self, id: RequestId) -> Result<(Vec<u8>, Vec<u8>), TicketError> {
        Ok((self.read(id, DOCUMENT)?, self.read(id, OPENINGS)?))
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

    /// Removes what nobody can need any more: tickets of requests that ended long before this one began,
    /// with their openings. As far as that goes; the next one tries again.
    fn sweep(&self, newest: &RequestId) {
        let written = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).ok();
        let (Some(now), Ok(names)) = (written(&self.of(newest)), fs::read_dir(&self.dir)) else {
            return;
        };
        let is_old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > KEPT);
        for name in names.flatten() {
            let id = name.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(id) = id
                && written(&name.path()).is_some_and(is_old)
                && let Ok(Some(expired)) = self.load(id).map(|ticket| ticket.expires_at)
                && let Ok(millis) = u64::try_from(expired.as_millis())
                && is_old(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
            {
                drop(self.remove(id));
            }
        }
    }

    /// Keeps other processes out until the result is dropped.
    fn lock(&self) -> Result<File, TicketError> {
        let failed = |source| TicketError::Write {
            path: self.lock.clone(),
            source,
        };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.lock)
            .map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)
            .map_err(|errno| failed(errno.into()))?;
        Ok(lock)
    }

    fn has(&self, id: RequestId, name: &str) -> Result<bool, TicketError> {
        let path = self.of(&id).join(name);
        path.try_exists()
            .map_err(|source| TicketError::Read { path, source })
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
        write_private(&path, bytes, self.lasting)
            .map_err(|source| TicketError::Write { path, source })
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
mod tests;
