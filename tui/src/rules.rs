//! Rules as a person looks at them before signing: the canonical JSON and the files that it names,
//! checked against the digest that is signed, and compared with the rules in force.
//!
//! The daemon is not believed: what is shown has the digest, and the proposal is an entry of the log
//! that continues the kept head.

use std::collections::{BTreeMap, BTreeSet};

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::refusal::Failure;
use countersign_client::shown::{AnswerError, Inclusion};
use countersign_shared::diff::{Change, Contents};
use countersign_shared::digest::{Digest, DigestError};
use countersign_shared::log::entry::{Body, Entry, EntryError, LogEvent};
use countersign_shared::machine::{Event, RulesVia};
use countersign_shared::text::Untrusted;
use countersign_shared::wire::pb;
use serde_json::Value;

use crate::client::{Client, ClientError};
use crate::review::caught_up;

/// The name under which the rules themselves stand among their files when they are compared.
const WHOLE: &str = "rules";

/// Rules cannot be looked at, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The daemon refused, or was not reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer cannot be read.
    #[error("the daemon's answer cannot be read")]
    Answer(#[from] AnswerError),
    /// A digest in the answer is none.
    #[error("the daemon names no rules")]
    Digest(#[from] DigestError),
    /// The log contradicts what was seen before.
    #[error(transparent)]
    Log(#[from] HeadsError),
    /// The entry cannot be read.
    #[error("the entry about the rules cannot be read")]
    Entry(#[source] EntryError),
    /// The entry says something else.
    #[error("the log does not say what the daemon says about these rules")]
    OtherEntry,
    /// The rules, or a file of them, do not have the digest.
    #[error("`{what}` does not have the digest that stands for it")]
    OtherBytes {
        /// The rules, or a file's name.
        what: String,
    },
    /// The rules are not JSON of their form.
    #[error("the rules are not JSON of their form")]
    Form,
}

impl RulesError {
    /// Tells whether the daemon says that it never kept these rules.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::Failure(Failure::Refused(refusal)))
                if refusal.code == "not-found"
        )
    }

    /// Tells whether what the daemon says contradicts itself or the log.
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::Log(error) => !error.is_ours(),
            Self::OtherEntry | Self::OtherBytes { .. } | Self::Entry(_) => true,
            Self::Client(_) | Self::Answer(_) | Self::Digest(_) | Self::Form => false,
        }
    }
}

/// Rules whole, checked against their digest.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The digest.
    pub digest: Digest,
    /// The canonical JSON, read.
    pub value: Value,
    /// The texts of the files, by name.
    pub files: BTreeMap<String, String>,
}

impl Whole {
    /// Reads rules by their digest, and checks every byte.
    pub async fn read(client: &mut Client, digest: Digest) -> Result<Self, RulesError> {
        Self::check(digest, client.read_rules(digest).await?)
    }

    /// Checks an answer: the rules have the digest, and each file the one that the rules name.
    pub fn check(digest: Digest, answer: pb::ReadRulesResponse) -> Result<Self, RulesError> {
        let other = |what: &str| RulesError::OtherBytes {
            what: what.escape_default().to_string(),
        };
        if Digest::of(&answer.rules) != digest {
            return Err(other(WHOLE));
        }
        let value: Value = serde_json::from_slice(&answer.rules).map_err(|_| RulesError::Form)?;
        let named = value
            .get("files")
            .and_then(Value::as_object)
            .ok_or(RulesError::Form)?;
        let mut files = BTreeMap::new();
        for file in answer.files {
            let found = Digest::of(file.text.as_bytes()).to_hex();
            if named.get(&file.name).and_then(Value::as_str) != Some(&found) {
                return Err(other(&file.name));
            }
            files.insert(file.name, file.text);
        }
        if let Some(lacking) = named.keys().find(|name| !files.contains_key(*name)) {
            return Err(other(lacking));
        }
        Ok(Self {
            digest,
            value,
            files,
        })
    }

    /// Returns the rules without their files' digests, one value to a line.
    pub fn text(&self) -> String {
        let mut value = self.value.clone();
        if let Value::Object(fields) = &mut value {
            fields.remove("files");
        }
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns what these rules change, as changes of files; the rules themselves come first. Where
    /// those before are not there any more, everything is new.
    pub fn changes_since(&self, before: Option<&Self>) -> Vec<Change> {
        let nothing = BTreeMap::new();
        let files = before.map_or(&nothing, |before| &before.files);
        let (before, after) = (before.map(Self::text), self.text());
        let mut changes = Vec::new();
        let contents = |text: &String| Contents::Text(Untrusted::new(text.as_str()));
        if before.as_ref() != Some(&after) {
            changes.push(Change {
                path: Untrusted::new(WHOLE),
                before: before.as_ref().map(contents),
                after: Some(contents(&after)),
                mode: None,
            });
        }
        let names: BTreeSet<&String> = files.keys().chain(self.files.keys()).collect();
        for name in names {
            let (before, after) = (files.get(name), self.files.get(name));
            if before != after {
                changes.push(Change {
                    path: Untrusted::new(name.as_str()),
                    before: before.map(contents),
                    after: after.map(contents),
                    mode: None,
                });
            }
        }
        changes
    }
}

/// A change of rules that waits for a person's word, seen in the log.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The rules before it.
    pub previous: Digest,
    /// The rules after it.
    pub rules: Digest,
}

/// What waits for people's word.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The rules in force.
    pub in_force: Digest,
    /// The rules that are proposed.
    pub proposed: Option<Waiting>,
    /// The rules that were adopted without the reviewers.
    pub adopted: Option<Waiting>,
    /// The answer as it came.
    pub answer: pb::ProposedRulesResponse,
}

impl Standing {
    /// Asks the daemon what waits, and checks it against the log.
    pub async fn load(client: &mut Client, heads: &mut Heads) -> Result<Self, RulesError> {
        let known = caught_up::<RulesError>(client, heads).await?;
        let answer = client.proposed_rules(known).await?;
        let standing = answer
            .standing
            .clone()
            .ok_or(AnswerError { field: "standing" })?;
        let in_force = standing.in_force.parse()?;
        let mut proposed = None;
        if let Some(inclusion) = answer.proposed.clone() {
            let entry = held(heads, inclusion)?;
            let Body::Log(LogEvent::RulesProposed { rules, previous }) = entry.body else {
                return Err(RulesError::OtherEntry);
            };
            if standing.proposed.parse::<Digest>()? != rules || previous != in_force {
                return Err(RulesError::OtherEntry);
            }
            proposed = Some(Waiting { previous, rules });
        }
        let mut adopted = None;
        if let Some(inclusion) = answer.adopted.clone() {
            // The proof has to begin at the head that the first one brought.
            let known = caught_up::<RulesError>(client, heads).await?;
            let inclusion = client.prove(inclusion.index, known).await?;
            heads.hold(&inclusion)?;
            let entry = Entry::read(&inclusion.entry).map_err(RulesError::Entry)?;
            let Body::Request(Event::RulesChanged(change)) = entry.body else {
                return Err(RulesError::OtherEntry);
            };
            if !matches!(change.via, Some(RulesVia::Adoption { .. }))
                || standing.adopted.parse::<Digest>()? != in_force
            {
                return Err(RulesError::OtherEntry);
            }
            // What changed since, by whatever right, is looked at with it.
            adopted = Some(Waiting {
                previous: change.previous,
                rules: in_force,
            });
        }
        Ok(Self {
            in_force,
            proposed,
            adopted,
            answer,
        })
    }
}

fn held(heads: &mut Heads, inclusion: pb::Inclusion) -> Result<Entry, RulesError> {
    let inclusion = Inclusion::try_from(inclusion)?;
    heads.hold(&inclusion)?;
    Entry::read(&inclusion.entry).map_err(RulesError::Entry)
}

#[cfg(test)]
mod tests;
