//! The rules as they are written down: one object of canonical JSON (RFC 8785), in which everything
//! stands that decides, and the SHA-256 of each file that it rests on. Its own SHA-256 is the digest
//! of the rules. Rules are put together again from these bytes and the files' texts alone.
//!
//! The format is described in `docs/log-format.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use countersign_policy::load::SCHEMA;
use countersign_shared::digest::Digest;
use countersign_shared::json::{self, JsonError};
use countersign_shared::limits::Limits;
use countersign_shared::machine::Mode;
use countersign_shared::requirement::{Member, Requirement};
use countersign_shared::roster::{EnrolledKey, Person, Roster, RosterError};
use serde::{Deserialize, Serialize};

use super::{Parts, Rules, RulesError};
use crate::config::Groups;
use crate::store::KeptRules;

/// The name under which the schema of policies stands among the files: what policies mean rests on
/// it, and it is ours.
pub const SCHEMA_FILE: &str = "countersign-1.cedarschema";

/// The version of the format.
const VERSION: u8 = 1;

/// Rules that were kept cannot be put together again.
#[derive(Debug, thiserror::Error)]
pub enum WrittenError {
    /// The bytes are not the canonical JSON of rules.
    #[error("not the canonical JSON of rules: {problem}")]
    Shape {
        /// What is wrong.
        problem: String,
    },
    /// A file that they name is not there, or has another digest.
    #[error("the file `{name}` is missing, or is not the one that the rules name")]
    File {
        /// The file's name.
        name: String,
    },
    /// The people do not make a roster.
    #[error("their people do not make a roster")]
    Roster(#[from] RosterError),
    /// They cannot be written.
    #[error("the rules cannot be written")]
    Write(#[source] JsonError),
}

/// Everything that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    v: u8,
    /// The mode of the daemon.
    pub mode: Mode,
    /// The people, by name.
    pub members: Vec<WrittenMember>,
    /// Who may break the glass.
    pub break_glass: BTreeSet<String>,
    /// How many different reviewers have to sign what replaces these rules.
    pub signers: NonZeroU32,
    /// What a request needs that no policy speaks about.
    pub default_requirement: Requirement,
    limits: WrittenLimits,
    /// The SHA-256 of each file, 64 hexadecimal digits, by name.
    pub files: BTreeMap<String, String>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMember {
    /// The name that statements are signed in.
    pub name: String,
    /// The OS account.
    pub user: String,
    /// The account's number, as it was resolved.
    pub uid: u32,
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The public keys, as lines of the roster.
    pub keys: Vec<String>,
}

/// The limits; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLimits {
    action_bytes: usize,
    lines: usize,
    line_bytes: usize,
    held_per_uid: u32,
    held_per_uid_and_hour: u32,
    pending: u32,
    lifetime: u64,
    approval: u64,
    max_run: u64,
    disconnect_grace: u64,
    deny_cooldown: u64,
    claim_lease: u64,
    escalate_at_percent: u8,
}

impl Written {
    /// Reads the canonical JSON of rules.
    ///
    /// # Errors
    /// When the bytes are not exactly what would be written.
    pub fn read(bytes: &[u8]) -> Result<Self, WrittenError> {
        let shape = |problem: String| WrittenError::Shape { problem };
        let written: Self =
            serde_json::from_slice(bytes).map_err(|error| shape(error.to_string()))?;
        if written.v != VERSION {
            return Err(shape(format!("version {} is not known", written.v)));
        }
        let again = json::canonical(&written).map_err(WrittenError::Write)?;
        if again == bytes {
            Ok(written)
        } else {
            Err(shape("they would be written differently".to_owned()))
        }
    }

    /// Tells whether these rules differ from others in nothing but people and break-glass list.
    pub fn differs_in_people_only(&self, other: &Self) -> bool {
        let without = |written: &Self| Self {
            members: Vec::new(),
            break_glass: BTreeSet::new(),
            ..written.clone()
        };
        without(self) == without(other)
    }

    /// Returns the people as the request machine knows them.
    ///
    /// # Errors
    /// When they make no roster.
    pub fn people(&self) -> Result<(Roster, Vec<Member>), WrittenError> {
        let people = self.members.iter().map(|member| Person {
            name: member.name.clone(),
            user: member.user.clone(),
            groups: member.groups.iter().cloned().collect(),
            keys: member.keys.clone(),
        });
        let roster = Roster::from_people(people.collect())?;
        let members = roster
            .iter()
            .filter_map(|person| {
                let written = self.members.iter().find(|it| it.name == person.name())?;
                Some(member_of(person, written.uid))
            })
            .collect();
        Ok((roster, members))
    }
}

/// Returns a person as the request machine knows them.
pub(super) fn member_of(person: &countersign_shared::roster::Member, uid: u32) -> Member {
    Member {
        name: person.name().to_owned(),
        uid,
        groups: person.groups().map(str::to_owned).collect(),
        keys: person
            .keys()
            .iter()
            .map(|key| key.fingerprint().to_owned())
            .collect(),
    }
}

/// Writes rules down, with the texts of their files.
pub(super) fn write(
    parts: &Parts,
    texts: BTreeMap<String, String>,
    schema: String,
) -> Result<KeptRules, JsonError> {
    let mut files = texts;
    files.insert(SCHEMA_FILE.to_owned(), schema);
    let members = parts.roster.iter().filter_map(|person| {
        let member = parts.members.iter().find(|it| it.name == person.name())?;
        Some(WrittenMember {
            name: person.name().to_owned(),
            user: person.user().to_owned(),
            uid: member.uid,
            groups: person.groups().map(str::to_owned).collect(),
            keys: person.keys().iter().map(EnrolledKey::line).collect(),
        })
    });
    let written = Written {
        v: VERSION,
        mode: parts.mode,
        members: members.collect(),
        break_glass: parts.break_glass.clone(),
        signers: parts.signers,
        default_requirement: parts.default_requirement.clone(),
        limits: WrittenLimits::from(&parts.limits),
        files: files
            .iter()
            .map(|(name, text)| (name.clone(), Digest::of(text.as_bytes()).to_hex()))
            .collect(),
    };
    let bytes = json::canonical(&written)?;
    Ok(KeptRules { bytes, files })
}

impl Rules {
    /// Puts rules together again that were written down, where these are the OS groups of agents and
    /// reviewers.
    ///
    /// # Errors
    /// When bytes and files are not what was written, or this program does not understand them.
    pub fn restore(kept: KeptRules, groups: Groups) -> Result<Self, RulesError> {
        let written = Written::read(&kept.bytes)?;
        let names: Vec<&String> = kept.files.keys().collect();
        if !names.iter().copied().eq(written.files.keys()) {
            let name = written.files.keys().find(|name| !names.contains(name));
            let name = name.cloned().unwrap_or_default();
            return Err(WrittenError::File { name }.into());
        }
        for (name, text) in &kept.files {
            if written.files.get(name) != Some(&Digest::of(text.as_bytes()).to_hex()) {
                return Err(WrittenError::File { name: name.clone() }.into());
            }
        }
        let bytes = kept.bytes;
        let mut texts = kept.files;
        let schema = texts.remove(SCHEMA_FILE).unwrap_or_default();
        if schema != SCHEMA {
            tracing::warn!(
                "the rules in force were written for another schema of policies; they are judged \
                 by the one of this program until new rules are signed"
            );
        }
        let (roster, members) = written.people()?;
        let parts = Parts {
            mode: written.mode,
            roster,
            members,
            break_glass: written.break_glass,
            signers: written.signers,
            default_requirement: written.default_requirement,
            limits: Limits::from(&written.limits),
            groups,
        };
        let rules = Self::assemble(parts, texts, schema)?;
        if rules.kept.bytes == bytes {
            Ok(rules)
        } else {
            Err(WrittenError::Shape {
                problem: "they make other rules than they say".to_owned(),
            }
            .into())
        }
    }
}

impl From<&Limits> for WrittenLimits {
    fn from(limits: &Limits) -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            action_bytes: limits.action_bytes,
            lines: limits.lines,
            line_bytes: limits.line_bytes,
            held_per_uid: limits.held_per_uid,
            held_per_uid_and_hour: limits.held_per_uid_and_hour,
            pending: limits.pending,
            lifetime: ms(limits.lifetime),
            approval: ms(limits.approval),
            max_run: ms(limits.max_run),
            disconnect_grace: ms(limits.disconnect_grace),
            deny_cooldown: ms(limits.deny_cooldown),
            claim_lease: ms(limits.claim_lease),
            escalate_at_percent: limits.escalate_at_percent,
        }
    }
}

impl From<&WrittenLimits> for Limits {
    fn from(limits: &WrittenLimits) -> Self {
        Self {
            action_bytes: limits.action_bytes,
            lines: limits.lines,
            line_bytes: limits.line_bytes,
            held_per_uid: limits.held_per_uid,
            held_per_uid_and_hour: limits.held_per_uid_and_hour,
            pending: limits.pending,
            lifetime: Duration::from_millis(limits.lifetime),
            approval: Duration::from_millis(limits.approval),
            max_run: Duration::from_millis(limits.max_run),
            disconnect_grace: Duration::from_millis(limits.disconnect_grace),
            deny_cooldown: Duration::from_millis(limits.deny_cooldown),
            claim_lease: Duration::from_millis(limits.claim_lease),
            escalate_at_percent: limits.escalate_at_percent,
        }
    }
}

#[cfg(test)]
mod tests;
