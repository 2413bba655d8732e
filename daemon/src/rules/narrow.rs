//! What takes force at once although the rest waits for signatures: people, groups, keys and places
//! on the break-glass list that the operator's files no longer have (R5).

use std::collections::BTreeSet;

use countersign_shared::roster::{EnrolledKey, Member as Enrolled, Person, Roster};

use super::written::member_of;
use super::{Parts, Rules, RulesError, SCHEMA_FILE};

impl Rules {
    /// Returns these rules without what `other` no longer has of people, their groups and keys, and
    /// of the break-glass list; nothing when that takes nothing away. A person whose account is
    /// another one is another person.
    ///
    /// # Errors
    /// When what is left cannot be put together.
    pub fn narrowed_to(&self, other: &Self) -> Result<Option<Self>, RulesError> {
        let mut people = Vec::new();
        let mut uids = Vec::new();
        for person in self.roster.iter() {
            let (Some(member), Some(left), Some(left_member)) = (
                self.member(person.name()),
                other.roster.by_name(person.name()),
                other.member(person.name()),
            ) else {
                continue;
            };
            if member.uid == left_member.uid {
                people.push(common(person, left));
                uids.push((person.name().to_owned(), member.uid));
            }
        }
        let roster = Roster::from_people(people).map_err(super::WrittenError::from)?;
        let break_glass: BTreeSet<String> = self
            .break_glass
            .intersection(&other.break_glass)
            .filter(|name| roster.by_name(name).is_some())
            .cloned()
            .collect();
        if roster == self.roster && break_glass == self.break_glass {
            return Ok(None);
        }
        let members = roster
            .iter()
            .filter_map(|person| {
                let (_, uid) = uids.iter().find(|(name, _)| name == person.name())?;
                Some(member_of(person, *uid))
            })
            .collect();
        let parts = Parts {
            mode: self.mode,
            roster,
            members,
            break_glass,
            signers: self.signers,
            default_requirement: self.policies.default_requirement().clone(),
            limits: self.limits.clone(),
            groups: self.groups.clone(),
        };
        let mut texts = self.kept.files.clone();
        let schema = texts.remove(SCHEMA_FILE).unwrap_or_default();
        Self::assemble(parts, texts, schema).map(Some)
    }
}

/// Returns a person with the groups and keys that stand in both rosters. A key that ends earlier in
/// one of them ends earlier.
fn common(person: &Enrolled, other: &Enrolled) -> Person {
    let keys = person.keys().iter().filter_map(|key| {
        let left = other.key(key.fingerprint())?;
        Some(sooner(key, left).line())
    });
    Person {
        name: person.name().to_owned(),
        user: person.user().to_owned(),
        groups: person
            .groups()
            .filter(|group| other.is_in(group))
            .map(str::to_owned)
            .collect(),
        keys: keys.collect(),
    }
}

fn sooner<'k>(one: &'k EnrolledKey, other: &'k EnrolledKey) -> &'k EnrolledKey {
    match (one.valid_before(), other.valid_before()) {
        (None, Some(_)) => other,
        (Some(end), Some(earlier)) if earlier < end => other,
        (Some(_), Some(_)) | (_, None) => one,
    }
}

#[cfg(test)]
mod tests;
