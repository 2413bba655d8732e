//! The roster: who may decide, and with which keys.
//!
//! A person has a name, an OS account, groups and keys; nothing of it is shared between two people.
//! The roster's canonical form is what the log's first entry and the rules' digest hold, and
//! [`Roster::allowed_signers`] writes it for stock `ssh-keygen -Y verify`.
//!
//! Whether a person may decide on a given request is not known here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ssh_key::PublicKey;

use crate::digest::Digest;
use crate::sshsig::{self, Checked, Envelope, Presence, SigError};
use crate::statement::NAMESPACES;
use crate::time::Timestamp;

pub use self::error::{RosterError, VerifyError};
pub use self::key::{EnrolledKey, KeyError};

pub mod change;
mod error;
mod key;
mod name;

#[cfg(test)]
mod tests;

/// The group that everyone in the roster belongs to; nobody lists it.
pub const ANYONE: &str = "anyone";
/// What a policy says in place of a group when it asks no one; never a group.
const NOBODY: &str = "nobody";

/// One `[[reviewer]]` as the operator writes it: unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The name that statements are signed in.
    pub name: String,
    /// The OS account.
    pub user: String,
    /// The groups, for policies to ask for.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The public keys, as lines of OpenSSH, each with an optional `valid-before="…"` in front.
    pub keys: Vec<String>,
}

/// A person of a roster: checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    name: String,
    user: String,
    groups: BTreeSet<String>,
    keys: Vec<EnrolledKey>,
}

impl Member {
    /// Returns the name that statements are signed in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the OS account.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the groups, sorted, without [`ANYONE`].
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(String::as_str)
    }

    /// Tells whether the person belongs to a group; everyone belongs to [`ANYONE`].
    pub fn is_in(&self, group: &str) -> bool {
        group == ANYONE || self.groups.contains(group)
    }

    /// Returns the keys, sorted by their fingerprints.
    pub fn keys(&self) -> &[EnrolledKey] {
        &self.keys
    }

    /// Returns the person's key with this fingerprint.
    pub fn key(&self, fingerprint: &str) -> Option<&EnrolledKey> {
        self.keys
            .iter()
            .find(|key| key.fingerprint() == fingerprint)
    }
}

/// Who signed, and what that proves.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Signed<'a> {
    /// The person.
    pub member: &'a Member,
    /// The key.
    pub key: &'a EnrolledKey,
    /// What is proven about the person's presence.
    pub presence: Presence,
}

/// The people who may decide. May be empty: then nobody may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// Sorted by name.
    members: Vec<Member>,
}

impl Roster {
    /// Returns the names of those who have a key that lies in a security key, and so can prove a touch.
    pub fn with_security_keys(&self) -> BTreeSet<String> {
        self.iter()
            .filter(|person| person.keys().iter().any(EnrolledKey::is_security_key))
            .map(|person| person.name().to_owned())
            .collect()
    }

    /// Checks people and makes them a roster. Their order does not matter.
    ///
    /// # Errors
    ///
    /// A [`RosterError`] names the person and what is wrong.
    pub fn from_people(people: Vec<Person>) -> Result<Self, RosterError> {
        let mut members = people
            .into_iter()
            .map(check_person)
            .collect::<Result<Vec<_>, _>>()?;
        members.sort_by(|a, b| a.name.cmp(&b.name));

        let mut names = BTreeMap::new();
        let mut users = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for member in &members {
            if let Some(first) = names.insert(member.name.to_ascii_lowercase(), &member.name) {
                return Err(RosterError::SameName {
                    first: first.clone(),
                    second: member.name.clone(),
                });
            }
            if let Some(first) = users.insert(&member.user, &member.name) {
                return Err(RosterError::SameUser {
                    first: first.clone(),
                    second: member.name.clone(),
                    user: member.user.clone(),
                });
            }
            for key in &member.keys {
                // The key material, not the line: a comment or an expiry makes no other key.
                if let Some(first) = keys.insert(key.public().key_data(), &member.name) {
                    return Err(RosterError::SameKey {
                        fingerprint: key.fingerprint().to_owned(),
                        first: first.clone(),
                        second: member.name.clone(),
                    });
                }
            }
        }
        Ok(Self { members })
    }

    /// Returns everyone, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// Takes out the people for whom `keep` says no.
    pub fn retain(&mut self, keep: impl FnMut(&Member) -> bool) {
        self.members.retain(keep);
    }

    /// Tells whether nobody is in it.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the number of people.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns the person with this name, byte for byte.
    pub fn by_name(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Returns the person with this OS account.
    pub fn by_user(&self, user: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.user == user)
    }

    /// Returns the owner of the key with this fingerprint (`SHA256:…`), and the key.
    pub fn by_fingerprint(&self, fingerprint: &str) -> Option<(&Member, &EnrolledKey)> {
        self.members
            .iter()
            .find_map(|member| Some((member, member.key(fingerprint)?)))
    }

    /// Returns the owner of a key, and the key.
    pub fn by_key(&self, key: &PublicKey) -> Option<(&Member, &EnrolledKey)> {
        self.by_fingerprint(&sshsig::fingerprint(key))
    }

    /// Returns the people of a group, sorted by name; [`ANYONE`] is everyone.
    pub fn members(&self, group: &str) -> impl Iterator<Item = &Member> {
        self.members
            .iter()
            .filter(move |member| member.is_in(group))
    }

    /// Returns all groups somebody is in, sorted, without [`ANYONE`].
    pub fn groups(&self) -> BTreeSet<&str> {
        self.members.iter().flat_map(Member::groups).collect()
    }

    /// Verifies that `reviewer` signed `message` at the time `at`, with a key that was theirs and
    /// had not expired.
    ///
    /// # Errors
    ///
    /// A [`VerifyError`]; nothing but `Ok` means the person signed.
    pub fn verify(
        &self,
        reviewer: &str,
        namespace: &str,
        message: &[u8],
        armored: &str,
        at: Timestamp,
    ) -> Result<Signed<'_>, VerifyError> {
        let member = self.named(reviewer)?;
        let envelope = Envelope::read(armored)?;
        let key = theirs(member, &sshsig::fingerprint(envelope.key()), at)?;
        let presence = envelope.verify(namespace, message, key.public())?;
        Ok(Signed {
            member,
            key,
            presence,
        })
    }

    /// As [`verify`](Self::verify), for a signature that was held against its own key already.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn admit(
        &self,
        reviewer: &str,
        signature: &Result<Checked, SigError>,
        at: Timestamp,
    ) -> Result<Signed<'_>, VerifyError> {
        let member = self.named(reviewer)?;
        let checked = signature.as_ref().map_err(SigError::clone)?;
        let key = theirs(member, checked.fingerprint(), at)?;
        let presence = checked.verdict(key.public())?;
        Ok(Signed {
            member,
            key,
            presence,
        })
    }

    fn named(&self, reviewer: &str) -> Result<&Member, VerifyError> {
        self.by_name(reviewer).ok_or_else(|| VerifyError::Unknown {
            name: reviewer.to_owned(),
        })
    }

    /// Writes the roster as an OpenSSH `allowed_signers` file (ssh-keygen(1), "ALLOWED SIGNERS").
    pub fn allowed_signers(&self) -> String {
        let namespaces = NAMESPACES.join(",");
        let mut out = String::new();
        for member in &self.members {
            for key in &member.keys {
                let expiry = key
                    .valid_before_text()
                    .map(|time| format!(",valid-before=\"{time}\""))
                    .unwrap_or_default();
                out.push_str(&member.name);
                out.push_str(" namespaces=\"");
                out.push_str(&namespaces);
                out.push('"');
                out.push_str(&expiry);
                out.push(' ');
                out.push_str(key.openssh());
                out.push('\n');
            }
        }
        out
    }

    /// Returns the canonical JSON form (RFC 8785).
    ///
    /// # Errors
    ///
    /// The serialiser's error; a roster has nothing in it that it refuses.
    pub fn to_canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json_canonicalizer::to_vec(self)
    }

    /// Returns the digest of the canonical form.
    ///
    /// # Errors
    ///
    /// As [`Roster::to_canonical`].
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        self.to_canonical().map(|bytes| Digest::of(&bytes))
    }
}

/// Returns the person's key with a fingerprint, if its time was not over.
fn theirs<'m>(
    member: &'m Member,
    fingerprint: &str,
    at: Timestamp,
) -> Result<&'m EnrolledKey, VerifyError> {
    let Some(key) = member.key(fingerprint) else {
        return Err(VerifyError::NotTheirs {
            name: member.name.clone(),
            fingerprint: fingerprint.to_owned(),
        });
    };
    if let Some(valid_before) = key.expired(at) {
        return Err(VerifyError::Expired {
            name: member.name.clone(),
            fingerprint: fingerprint.to_owned(),
            valid_before,
        });
    }
    Ok(key)
}

fn check_person(person: Person) -> Result<Member, RosterError> {
    let Person {
        name,
        user,
        groups,
        keys,
    } = person;
    if !name::is_name(&name) {
        return Err(RosterError::Name {
            name,
            limit: name::MAX_NAME,
        });
    }
    if !name::is_user(&user) {
        return Err(RosterError::User { name, user });
    }
    if let Some(group) = groups
        .iter()
        .find(|group| !name::is_group(group) || *group == ANYONE || *group == NOBODY)
    {
        return Err(RosterError::Group {
            name,
            group: group.clone(),
            limit: name::MAX_GROUP,
        });
    }
    let mut enrolled = Vec::with_capacity(keys.len());
    for (index, line) in keys.iter().enumerate() {
        let key = EnrolledKey::read(line).map_err(|source| RosterError::Key {
            name: name.clone(),
            index: index.saturating_add(1),
            source,
        })?;
        enrolled.push(key);
    }
    enrolled.sort_by(|a, b| a.fingerprint().cmp(b.fingerprint()));
    Ok(Member {
        name,
        user,
        groups: groups.into_iter().collect(),
        keys: enrolled,
    })
}

impl From<&Member> for Person {
    fn from(member: &Member) -> Self {
        Self {
            name: member.name.clone(),
            user: member.user.clone(),
            groups: member.groups.iter().cloned().collect(),
            keys: member.keys.iter().map(EnrolledKey::line).collect(),
        }
    }
}

impl Serialize for Roster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.members.iter().map(Person::from))
    }
}

impl<'de> Deserialize<'de> for Roster {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_people(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
