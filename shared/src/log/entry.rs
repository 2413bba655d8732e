//! Entries: the leaves of the log. One canonical JSON object each, hashed as stored.
//!
//! Most entries are events of one request; their bodies are the machine's events, complete. The
//! rest are about the log and the daemon themselves. An entry is read strictly: what would be
//! written differently is not an entry.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::accessed::DataAccessed;
use super::pruning::Pruned;
use crate::digest::Digest;
use crate::id::RequestId;
use crate::json::{self, JsonError};
use crate::limits::Limits;
use crate::machine::{Act, Event, Mode, RulesChanged};
use crate::requirement::Member;
use crate::time::{Moment, Timestamp};

/// The largest entry, in bytes: its length fits the two bytes of an entry bundle (C2SP tlog-tiles).
pub const MAX_ENTRY: usize = 65_535;

/// The bytes are not an entry, or the entry cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not canonical JSON.
    #[error("not canonical JSON")]
    Json(#[source] JsonError),
    /// A field is missing, unknown, or of the wrong kind.
    #[error("field `{field}`: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The entry is too large.
    #[error("an entry has at most {limit} bytes, this one has {found}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The size in bytes.
        found: usize,
    },
}

/// Whether the wall clock is known to be synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// The kernel says so.
    Synced,
    /// The kernel says it is not.
    Unsynced,
    /// The kernel does not say.
    Unknown,
}

/// How far agents, reviewers and daemon are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Separation {
    /// One OS user for all, and no key that needs a touch.
    None,
    /// One OS user for all; the deciding key needs a touch or a PIN.
    Key,
    /// Separate OS users.
    Uid,
}

/// Who brought an entry about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// The requester's side.
    Agent,
    /// A person of the roster.
    Reviewer,
    /// The daemon by itself: time, policy, recovery.
    Daemon,
}

/// Who brought an entry about, as the kernel and the roster say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Which side.
    pub kind: ActorKind,
    /// The person's name, or the principal.
    pub id: String,
    /// The OS user, if a process asked.
    pub uid: Option<u32>,
}

/// What an entry says about the log and the daemon themselves, or of a request beside its life:
/// no state follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", deny_unknown_fields)]
pub enum LogEvent {
    /// The first entry.
    #[serde(rename = "log.genesis")]
    Genesis {
        /// The log's verifier key (C2SP vkey).
        vkey: String,
        /// The software that began it.
        software: String,
        /// The mode it began in.
        mode: Mode,
        /// The rules it began with.
        rules: Box<RulesChanged>,
    },
    /// The daemon began to serve.
    #[serde(rename = "daemon.started")]
    DaemonStarted {
        /// The software that serves.
        software: String,
    },
    /// The daemon stopped in good order.
    #[serde(rename = "daemon.stopped")]
    DaemonStopped {},
    /// The wall clock was behind the log, and a person with access to the home accepted it.
    #[serde(rename = "clock.jumped")]
    ClockJumped {
        /// The time of the last entry before.
        last: Timestamp,
        /// The wall time that is accepted.
        wall: Timestamp,
        /// Why.
        reason: String,
    },
    /// The database was older than the log had been, and a person with access to the home went on
    /// from it.
    #[serde(rename = "rollback.adopted")]
    RollbackAdopted {
        /// How many entries the log had had, where that is known.
        size: Option<u64>,
        /// The root over them.
        root: Option<Digest>,
        /// Why.
        reason: String,
    },
    /// The log goes on under another key. The old one signs every head as well, until it ends.
    #[serde(rename = "key.rotated")]
    KeyRotated {
        /// The verifier key so far.
        old: String,
        /// The verifier key from now on.
        new: String,
        /// When the old one ends by itself.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// The old key signs no more heads.
    #[serde(rename = "key.retired")]
    KeyRetired {
        /// The verifier key that ended.
        vkey: String,
        /// The last head that both keys signed, as a note.
        head: String,
        /// Why it ends before its time; nothing when its time was over.
        reason: Option<String>,
    },
    /// The operator's files were read anew and not taken; the rules stay as they were.
    #[serde(rename = "rules.refused")]
    RulesRefused {
        /// What is wrong with them.
        problem: String,
    },
    /// The operator's files make other rules than those in force, and wait for signatures.
    #[serde(rename = "rules.proposed")]
    RulesProposed {
        /// The digest of the proposed rules.
        rules: Digest,
        /// The digest of those in force.
        previous: Digest,
    },
    /// The operator's files no longer make the rules that were proposed.
    #[serde(rename = "rules.withdrawn")]
    RulesWithdrawn {
        /// The digest of the rules that are not proposed any more.
        rules: Digest,
    },
    /// A reviewer signed the rules that are proposed.
    #[serde(rename = "rules.signed")]
    RulesSigned {
        /// The digest of the proposed rules.
        rules: Digest,
        /// The person's word.
        act: Box<Act>,
    },
    /// A reviewer took note of rules that the operator had adopted without the reviewers.
    #[serde(rename = "rules.acknowledged")]
    RulesAcknowledged {
        /// The digest of the adopted rules.
        rules: Digest,
        /// The person's word.
        act: Box<Act>,
    },
    /// Calls that were refused before they became requests, summed up by user and minute.
    #[serde(rename = "event.refused")]
    CallsRefused {
        /// The OS user.
        uid: u32,
        /// The minute, by its start.
        minute: Timestamp,
        /// How many, by the refusal's code.
        counts: std::collections::BTreeMap<String, u64>,
    },
    /// The document of a request that ended was erased; its digest stays in `request.received`.
    #[serde(rename = "document.erased")]
    DocumentErased {
        /// Until when it had to be kept, when its time was over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retained_until: Option<Timestamp>,
        /// By whom and why, when it was erased before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        early: Option<Box<ErasedEarly>>,
    },
    /// Entries about requests that were over long ago are gone; their hashes stay.
    #[serde(rename = "log.pruned")]
    Pruned(Box<Pruned>),
    /// The action of a request ran and touched data; right after the entry that says it ran, by
    /// the requester.
    #[serde(rename = "data.accessed")]
    DataAccessed(Box<DataAccessed>),
}

/// By whom a document was erased before its time, and why. The person had access to the home, as the
/// kernel says; nobody signs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedEarly {
    /// The OS user that the command ran as.
    pub uid: u32,
    /// Its account's name; empty when it has none.
    pub user: String,
    /// The OS user that had logged in for it (`loginuid`), where the kernel knows.
    // Without this a missing field would pass for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub login_uid: Option<u32>,
    /// Why.
    pub reason: String,
}

impl LogEvent {
    /// The entry types of all of them.
    pub const ENTRY_TYPES: [&str; 16] = [
        "log.genesis",
        "daemon.started",
        "daemon.stopped",
        "clock.jumped",
        "rollback.adopted",
        "key.rotated",
        "key.retired",
        "rules.refused",
        "rules.proposed",
        "rules.withdrawn",
        "rules.signed",
        "rules.acknowledged",
        "event.refused",
        "document.erased",
        "log.pruned",
        "data.accessed",
    ];

    /// Returns the entry type.
    pub const fn entry_type(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "log.genesis",
            Self::DaemonStarted { .. } => "daemon.started",
            Self::DaemonStopped {} => "daemon.stopped",
            Self::ClockJumped { .. } => "clock.jumped",
            Self::RollbackAdopted { .. } => "rollback.adopted",
            Self::KeyRotated { .. } => "key.rotated",
            Self::KeyRetired { .. } => "key.retired",
            Self::RulesRefused { .. } => "rules.refused",
            Self::RulesProposed { .. } => "rules.proposed",
            Self::RulesWithdrawn { .. } => "rules.withdrawn",
            Self::RulesSigned { .. } => "rules.signed",
            Self::RulesAcknowledged { .. } => "rules.acknowledged",
            Self::CallsRefused { .. } => "event.refused",
            Self::DocumentErased { .. } => "document.erased",
            Self::Pruned(_) => "log.pruned",
            Self::DataAccessed(_) => "data.accessed",
        }
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Body {
    /// Something happened to a request, or to all of them.
    Request(Event),
    /// Something else happened, of which no request's state depends.
    Log(LogEvent),
}

impl Body {
    /// Returns the types of all entries there are.
    pub fn entry_types() -> impl Iterator<Item = &'static str> {
        Event::ENTRY_TYPES.into_iter().chain(LogEvent::ENTRY_TYPES)
    }

    /// Returns the entry type.
    pub const fn entry_type(&self) -> &'static str {
        match self {
            Self::Request(event) => event.entry_type(),
            Self::Log(event) => event.entry_type(),
        }
    }
}

/// One leaf of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The log's origin.
    pub log: String,
    /// The position, from 0.
    pub seq: u64,
    /// The moment the event was applied with.
    pub now: Moment,
    /// Whether the wall clock was synchronised.
    pub sync: Sync,
    /// Who brought it about.
    pub actor: Actor,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// How far the sides were kept apart.
    pub separation: Separation,
    /// What happened.
    pub body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockFields {
    boot: crate::time::BootId,
    mono_ms: u64,
    sync: Sync,
}

const FIELDS: [&str; 10] = [
    "v",
    "log",
    "seq",
    "time",
    "clock",
    "type",
    "actor",
    "request",
    "separation",
    "body",
];

impl Entry {
    /// Writes the entry as the bytes that are hashed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let clock = ClockFields {
            boot: self.now.boot.clone(),
            mono_ms: self.now.mono_ms,
            sync: self.sync,
        };
        let said = match &self.body {
            Body::Request(event) => serde_json::to_value(event),
            Body::Log(event) => serde_json::to_value(event),
        }
        .map_err(|error| field("body", &error))?;
        let mut value = json!({
            "v": 1,
            "log": self.log,
            "seq": self.seq,
            "time": self.now.wall,
            "clock": serde_json::to_value(&clock).map_err(|error| field("clock", &error))?,
            "actor": serde_json::to_value(&self.actor).map_err(|error| field("actor", &error))?,
            "request": self.request,
            "separation": self.separation,
        });
        // Moved, not copied: a body is most of an entry.
        if let (Some(fields), Value::Object(said)) = (value.as_object_mut(), said) {
            fields.extend(said);
        }
        let bytes = json::canonical_value(&value).map_err(EntryError::Json)?;
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge {
                limit: MAX_ENTRY,
                found: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// Reads an entry; refuses what it would write differently.
    pub fn read(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge {
                limit: MAX_ENTRY,
                found: bytes.len(),
            });
        }
        let limits = Limits::default();
        let value = json::read(bytes, &limits).map_err(EntryError::Json)?;
        let Value::Object(mut fields) = value else {
            return Err(problem("body", "an entry is an object"));
        };
        if let Some(unknown) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(problem(
                "body",
                &format!("unknown field `{}`", unknown.escape_default()),
            ));
        }
        if fields.remove("v") != Some(json!(1)) {
            return Err(problem("v", "must be 1"));
        }
        let clock: ClockFields = take(&mut fields, "clock")?;
        let wall: Timestamp = take(&mut fields, "time")?;
        let kind: String = take(&mut fields, "type")?;
        let is_of_log = LogEvent::ENTRY_TYPES.contains(&kind.as_str());
        let mut said = Map::new();
        said.insert("type".to_owned(), kind.into());
        said.insert("body".to_owned(), fields.remove("body").unwrap_or_default());
        let said = Value::Object(said);
        let body = if is_of_log {
            Body::Log(serde_json::from_value(said).map_err(|error| field("body", &error))?)
        } else {
            Body::Request(serde_json::from_value(said).map_err(|error| field("body", &error))?)
        };
        let entry = Self {
            log: take(&mut fields, "log")?,
            seq: take(&mut fields, "seq")?,
            now: Moment {
                wall,
                boot: clock.boot,
                mono_ms: clock.mono_ms,
            },
            sync: clock.sync,
            actor: take(&mut fields, "actor")?,
            request: take(&mut fields, "request")?,
            separation: take(&mut fields, "separation")?,
            body,
        };
        // What was written is in RFC 8785 form: bytes that are alike are as well.
        if entry.to_bytes()? == bytes {
            return Ok(entry);
        }
        json::read_canonical(bytes, &limits).map_err(EntryError::Json)?;
        Err(problem("body", "the entry would be written differently"))
    }

    /// Returns the people of the roster that the entry puts in force, if it does.
    pub fn members(&self) -> Option<&[Member]> {
        match &self.body {
            Body::Log(LogEvent::Genesis { rules, .. })
            | Body::Request(Event::RulesChanged(rules)) => Some(&rules.members),
            Body::Log(_) | Body::Request(_) => None,
        }
    }
}

fn take<T: serde::de::DeserializeOwned>(
    fields: &mut Map<String, Value>,
    name: &'static str,
) -> Result<T, EntryError> {
    let value = fields
        .remove(name)
        .ok_or_else(|| problem(name, "is missing"))?;
    serde_json::from_value(value).map_err(|error| field(name, &error))
}

fn field(field: &'static str, error: &serde_json::Error) -> EntryError {
    EntryError::Field {
        field,
        problem: error.to_string(),
    }
}

fn problem(field: &'static str, problem: &str) -> EntryError {
    EntryError::Field {
        field,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names that an enum is read from, as its reader lists them when it meets another one.
    fn read_by<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> BTreeSet<String> {
        let other = json!({"type": "no such type", "body": {}});
        let error = serde_json::from_value::<T>(other).unwrap_err().to_string();
        let (_, names) = error.split_once("expected one of ").unwrap();
        let names = names.split(", ").map(|name| name.replace('`', ""));
        names.collect()
    }

    #[test]
    fn the_lists_of_entry_types_are_whole() {
        let listed = |types: &[&str]| types.iter().map(ToString::to_string).collect();
        assert_eq!(read_by::<Event>(), listed(&Event::ENTRY_TYPES));
        assert_eq!(read_by::<LogEvent>(), listed(&LogEvent::ENTRY_TYPES));
        let all: BTreeSet<&str> = Body::entry_types().collect();
        assert_eq!(all.len(), Body::entry_types().count());
    }
}
