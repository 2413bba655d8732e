//! The rules in force while the log is replayed: the people, and their keys as the entry that put
//! them in force wrote them (`allowed_signers`, ssh-keygen(1)).

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::machine::{RulesChanged, Signing};
use crate::requirement::Member;
use crate::roster::change::{self, People};
use crate::roster::{Person, Roster};
use crate::time::Timestamp;

/// What an entry put in force.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) rules: Digest,
    pub(super) since: Timestamp,
    pub(super) roster: Roster,
    pub(super) signing: Signing,
    members: Vec<Member>,
    break_glass: BTreeSet<String>,
}

impl InForce {
    /// Reads the people and keys back out of the entry's body.
    pub(super) fn read(change: &RulesChanged) -> Result<Self, String> {
        let mut keys: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (line, number) in change.allowed_signers.lines().zip(1usize..) {
            let (name, key) =
                signer(line).ok_or_else(|| format!("line {number} of `allowed_signers`"))?;
            keys.entry(name).or_default().push(key);
        }
        let people = change.members.iter().map(|member| Person {
            name: member.name.clone(),
            // The account's name stands nowhere in the log; its number does, and is as distinct.
            user: format!("uid{}", member.uid),
            groups: member.groups.iter().cloned().collect(),
            keys: keys.remove(member.name.as_str()).unwrap_or_default(),
        });
        let roster = Roster::from_people(people.collect()).map_err(|error| error.to_string())?;
        if let Some(name) = keys.keys().next() {
            return Err(format!(
                "`{}` has keys and is not a member",
                name.escape_default()
            ));
        }
        for member in &change.members {
            let listed = roster.by_name(&member.name).is_some_and(|person| {
                person.keys().len() == member.keys.len()
                    && person
                        .keys()
                        .iter()
                        .all(|key| member.keys.contains(key.fingerprint()))
            });
            if !listed {
                return Err(format!(
                    "the keys of `{}` are not those of `allowed_signers`",
                    member.name.escape_default()
                ));
            }
        }
        if let Some(name) = change
            .break_glass
            .iter()
            .find(|name| roster.by_name(name).is_none())
        {
            return Err(format!(
                "`{}` may break the glass and is not a member",
                name.escape_default()
            ));
        }
        Ok(Self {
            rules: change.rules,
            since: change.at,
            roster,
            signing: change.signing.unwrap_or_default(),
            members: change.members.clone(),
            break_glass: change.break_glass.clone(),
        })
    }

    /// Returns the people.
    pub(super) fn people(&self) -> People<'_> {
        People {
            roster: &self.roster,
            members: &self.members,
        }
    }

    /// Tells whether these rules only take people, or their groups, keys and places on the
    /// break-glass list, out of others. What stands in no entry, such as policies, is not seen.
    pub(super) fn only_takes_from(&self, before: &Self) -> bool {
        change::only_takes(before.people(), self.people())
            && self.break_glass.is_subset(&before.break_glass)
            && self.signing == before.signing
    }

    /// Tells whether a person may break the glass.
    pub(super) fn may_break_glass(&self, name: &str) -> bool {
        self.break_glass.contains(name)
    }

    /// Returns the person with a name.
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// Reads a line that [`Roster::allowed_signers`] wrote: the name, and the key as a roster has it.
fn signer(line: &str) -> Option<(&str, String)> {
    let (name, rest) = line.split_once(" namespaces=\"")?;
    let (_, rest) = rest.split_once('"')?;
    let key = match rest.strip_prefix(",valid-before=\"") {
        Some(rest) => format!("valid-before=\"{rest}"),
        None => rest.strip_prefix(' ')?.to_owned(),
    };
    Some((name, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn change(keys: &[String]) -> RulesChanged {
        let person = Person {
            name: "mika@example.org".to_owned(),
            user: "mika".to_owned(),
            groups: vec!["sre".to_owned()],
            keys: keys.to_vec(),
        };
        let roster = Roster::from_people(vec![person]).unwrap();
        let members = roster
            .iter()
            .map(|person| Member {
                name: person.name().to_owned(),
                uid: 1000,
                groups: person.groups().map(str::to_owned).collect(),
                keys: person
                    .keys()
                    .iter()
                    .map(|key| key.fingerprint().to_owned())
                    .collect(),
            })
            .collect();
        RulesChanged {
            rules: Digest::of(b"rules"),
            previous: Digest::of(b"rules"),
            members,
            allowed_signers: roster.allowed_signers(),
            break_glass: std::collections::BTreeSet::new(),
            signing: None,
            via: None,
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn keys_and_their_ends_are_read_back_as_they_were_written() {
        let ending = format!("valid-before=\"20300101Z\" {KEY}");
        for key in [KEY.to_owned(), ending] {
            let change = change(&[key]);
            let read = InForce::read(&change).unwrap();
            assert_eq!(read.roster.allowed_signers(), change.allowed_signers);
            assert_eq!(read.member("mika@example.org"), change.members.first());
        }
    }

    #[test]
    fn a_roster_whose_parts_differ_is_refused() {
        let good = change(&[KEY.to_owned()]);
        let mut no_key = good.clone();
        no_key.allowed_signers.clear();
        let mut nobody = good.clone();
        nobody.members.clear();
        let mut other_key = good.clone();
        other_key.members[0].keys = std::iter::once("SHA256:other".to_owned()).collect();
        let mut torn = good;
        torn.allowed_signers.truncate(20);
        for change in [no_key, nobody, other_key, torn] {
            assert!(InForce::read(&change).is_err(), "{change:?}");
        }
    }
}
