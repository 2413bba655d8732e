//! One entry, as exports read it: its exact bytes, the fields that every entry has, and its body as
//! JSON.
//!
//! The body is not read as the machine's event: an entry of a type that this version does not know
//! is exported like any other. Whether an entry follows from the ones before it is not asked here.

use countersign_shared::id::RequestId;
use countersign_shared::json::{self, JsonError};
use countersign_shared::limits::Limits;
use countersign_shared::log::entry::{Actor, MAX_ENTRY, Separation, Sync};
use countersign_shared::text::{Printable, Untrusted};
use countersign_shared::time::{BootId, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The bytes are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is larger than entries are.
    #[error("it has {found} bytes, and an entry has at most {MAX_ENTRY}")]
    TooLarge {
        /// The size in bytes.
        found: usize,
    },
    /// Not canonical JSON.
    #[error("it is not canonical JSON")]
    Json(#[source] JsonError),
    /// A field is missing, unknown, or of the wrong kind.
    #[error("it has not the fields of an entry: {problem}")]
    Fields {
        /// What is wrong, as the reader says.
        problem: String,
    },
    /// It is of a version that this program does not know.
    #[error("it is of version {found}, and only 1 is known")]
    Version {
        /// The version found.
        found: u64,
    },
    /// It stands in another place than it says.
    #[error("it says that it is entry {found}")]
    Place {
        /// The position it names.
        found: u64,
    },
    /// What this type of entry has is missing or of the wrong kind.
    #[error("its body has no usable `{field}`")]
    Body {
        /// The field, as a path into the body.
        field: &'static str,
    },
}

/// The moment of an entry on the clock of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// The kernel's boot id.
    pub boot: BootId,
    /// Milliseconds since boot.
    pub mono_ms: u64,
    /// Whether the wall clock was synchronised.
    pub sync: Sync,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    v: u64,
    log: String,
    seq: u64,
    time: Timestamp,
    clock: Clock,
    #[serde(rename = "type")]
    entry_type: String,
    actor: Actor,
    // Without this a missing field would pass for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    request: Option<RequestId>,
    separation: Separation,
    body: Value,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// The exact bytes: what the log's tree is over.
    pub bytes: &'a [u8],
    /// The log's origin.
    pub log: String,
    /// The position, from 0.
    pub seq: u64,
    /// The wall time.
    pub time: Timestamp,
    /// The same moment on the clock of one boot.
    pub clock: Clock,
    /// The type, such as `decision.recorded`.
    pub entry_type: String,
    /// Who brought it about.
    pub actor: Actor,
    /// The request it is about.
    pub request: Option<RequestId>,
    /// How far agents, reviewers and daemon were kept apart.
    pub separation: Separation,
    /// What happened.
    pub body: Value,
}

impl<'a> Record<'a> {
    /// Reads the entry that stands at the position `at`.
    ///
    /// # Errors
    ///
    /// When the bytes are not an entry, or one of another position.
    pub fn read(at: u64, bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_ENTRY {
            return Err(RecordError::TooLarge { found: bytes.len() });
        }
        let value = json::read_canonical(bytes, &Limits::default()).map_err(RecordError::Json)?;
        let fields: Fields =
            serde_json::from_value(value).map_err(|error| RecordError::Fields {
                problem: error.to_string(),
            })?;
        if fields.v != 1 {
            return Err(RecordError::Version { found: fields.v });
        }
        if fields.seq != at {
            return Err(RecordError::Place { found: fields.seq });
        }
        Ok(Self {
            bytes,
            log: fields.log,
            seq: fields.seq,
            time: fields.time,
            clock: fields.clock,
            entry_type: fields.entry_type,
            actor: fields.actor,
            request: fields.request,
            separation: fields.separation,
            body: fields.body,
        })
    }

    /// Returns a value of the body; `null` counts as not there.
    pub fn value(&self, path: &str) -> Option<&Value> {
        self.body.pointer(path).filter(|value| !value.is_null())
    }

    /// Returns a text of the body as it is: for comparing, never for showing.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.value(path)?.as_str()
    }

    /// Returns a text that this type of entry must have.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn need(&self, path: &'static str) -> Result<&str, RecordError> {
        self.text(path).ok_or(RecordError::Body { field: path })
    }

    /// Returns the name of the person the entry is about, if it is about one.
    pub fn person(&self) -> Option<&str> {
        ["/member/name", "/act/member/name", "/reviewer"]
            .into_iter()
            .find_map(|path| self.text(path))
    }

    /// Returns why, as whoever brought it about said.
    pub fn reason(&self) -> Option<&str> {
        ["/reason", "/act/reason", "/because"]
            .into_iter()
            .find_map(|path| self.text(path))
    }

    /// Returns how a run ended, if the entry says that.
    pub fn run_outcome(&self) -> Option<&str> {
        ["/outcome", "/report/outcome"]
            .into_iter()
            .find_map(|path| self.text(path))
    }

    /// Returns a text of the body in the Exact encoding, empty when there is none.
    pub fn shown(&self, path: &str) -> String {
        self.text(path).map(shown).unwrap_or_default()
    }
}

/// Writes a text that somebody else chose in the Exact encoding, on one line.
pub(crate) fn shown(text: &str) -> String {
    Printable::exact(&Untrusted::from(text)).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn every_entry_of_a_log_is_read_and_keeps_its_bytes() {
        let log = Fixture::story();
        for (at, bytes) in (0u64..).zip(&log.entries) {
            let record = Record::read(at, bytes).unwrap();
            assert_eq!((record.seq, record.bytes), (at, bytes.as_slice()));
        }
    }

    #[test]
    fn an_entry_out_of_its_place_is_refused() {
        let log = Fixture::story();
        let error = Record::read(4, &log.entries[3]).unwrap_err();
        assert_eq!(error, RecordError::Place { found: 3 });
    }

    #[test]
    fn each_field_of_an_entry_has_to_be_there_and_no_other() {
        let log = Fixture::story();
        let whole: Value = serde_json::from_slice(&log.entries[1]).unwrap();
        for name in whole.as_object().unwrap().keys() {
            let mut value = whole.clone();
            value.as_object_mut().unwrap().remove(name);
            let bytes = json::canonical(&value).unwrap();
            assert!(Record::read(1, &bytes).is_err(), "without {name}");
        }
        let mut value = whole.clone();
        value["more"] = Value::Null;
        assert!(Record::read(1, &json::canonical(&value).unwrap()).is_err());
        let mut value = whole;
        value["v"] = 2.into();
        let bytes = json::canonical(&value).unwrap();
        assert_eq!(
            Record::read(1, &bytes),
            Err(RecordError::Version { found: 2 })
        );
        assert!(Record::read(1, b"{ }").is_err());
        assert!(Record::read(1, &vec![b' '; MAX_ENTRY + 1]).is_err());
    }
}
