//! What a change of rules does to people: whom it gives something, and whether it only takes.
//!
//! In system mode people sign new rules. Whoever the change gives power must not be the only one who
//! does; and what only takes power from people needs nobody.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::{EnrolledKey, Member as Enrolled, Roster};
use crate::requirement::Member;

/// The people of some rules: their keys, and their accounts as they were resolved.
#[derive(Debug, Clone, Copy)]
pub struct People<'a> {
    /// Who they are, with their keys.
    pub roster: &'a Roster,
    /// The same people with the numbers of their accounts.
    pub members: &'a [Member],
}

impl<'a> People<'a> {
    /// Returns a person's keys and account.
    fn named(&self, name: &str) -> Option<(&'a Enrolled, &'a Member)> {
        let member = self.members.iter().find(|member| member.name == name)?;
        Some((self.roster.by_name(name)?, member))
    }
}

/// Returns the names of those whom the change from `old` to `new` adds, or whose account or keys it
/// changes.
pub fn gained(old: People<'_>, new: People<'_>) -> BTreeSet<String> {
    let gains = |member: &&Member| match (old.named(&member.name), new.named(&member.name)) {
        (Some((before, account)), Some((after, _))) => {
            account.uid != member.uid || before.keys() != after.keys()
        }
        (Some(_) | None, _) => true,
    };
    let names = new.members.iter().filter(gains);
    names.map(|member| member.name.clone()).collect()
}

/// Tells whether the change from `old` to `new` only takes people, accounts, groups or keys away.
pub fn only_takes(old: People<'_>, new: People<'_>) -> bool {
    new.members.iter().all(|member| {
        let (Some((before, account)), Some((after, _))) =
            (old.named(&member.name), new.named(&member.name))
        else {
            return false;
        };
        account.uid == member.uid
            && member.groups.is_subset(&account.groups)
            && after.keys().iter().all(|key| {
                before
                    .key(key.fingerprint())
                    .is_some_and(|known| is_no_longer(key, known))
            })
    })
}

/// Tells whether a key signs no longer than it did before.
fn is_no_longer(key: &EnrolledKey, before: &EnrolledKey) -> bool {
    match (key.valid_before(), before.valid_before()) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(now), Some(then)) => now <= then,
    }
}

/// Tells whether those who signed are enough to put new rules in force: so many different people,
/// and among them one whom the change gives nothing.
pub fn is_enough(signed: &BTreeSet<String>, needed: NonZeroU32, gained: &BTreeSet<String>) -> bool {
    let enough = u32::try_from(signed.len()).is_ok_and(|signed| signed >= needed.get());
    enough && !signed.is_subset(gained)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Person;

    const KEYS: [&str; 3] = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILdz8QlAh337hJckwBAwlpaqZlx78YI+BtOiQwkkQC4f",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRWvORVAXzMPYDqsG1iSmllss2BU4+uU3F0zUqKuBNd",
    ];

    type Written = (&'static str, u32, &'static [&'static str], Vec<String>);

    fn people(written: &[Written]) -> (Roster, Vec<Member>) {
        let people = written.iter().map(|(name, uid, groups, keys)| Person {
            name: (*name).to_owned(),
            user: format!("user{uid}"),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            keys: keys.clone(),
        });
        let roster = Roster::from_people(people.collect()).unwrap();
        let members = written
            .iter()
            .map(|(name, uid, groups, _)| Member {
                name: (*name).to_owned(),
                uid: *uid,
                groups: groups.iter().map(|&group| group.to_owned()).collect(),
                keys: roster
                    .by_name(name)
                    .unwrap()
                    .keys()
                    .iter()
                    .map(|key| key.fingerprint().to_owned())
                    .collect(),
            })
            .collect();
        (roster, members)
    }

    fn line(key: usize) -> String {
        KEYS[key].to_owned()
    }

    fn until(year: u16, key: usize) -> String {
        format!("valid-before=\"{year}0101Z\" {}", KEYS[key])
    }

    fn base() -> Vec<Written> {
        vec![
            ("ana", 1, &["sre", "dba"], vec![line(0)]),
            ("bo", 2, &["sre"], vec![until(2030, 1)]),
        ]
    }

    #[track_caller]
    fn check(what: &str, new: &[Written], gains: &[&str], takes: bool) {
        let (old, new) = (people(&base()), people(new));
        let old = People {
            roster: &old.0,
            members: &old.1,
        };
        let new = People {
            roster: &new.0,
            members: &new.1,
        };
        let expected: BTreeSet<String> = gains.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(gained(old, new), expected, "{what}");
        assert_eq!(only_takes(old, new), takes, "{what}");
    }

    #[test]
    fn whoever_is_new_or_signs_with_other_keys_gains() {
        let [ana, bo] = <[Written; 2]>::try_from(base()).unwrap();
        check("nothing", &base(), &[], true);
        check("nobody is left", &[], &[], true);
        check("a person less", std::slice::from_ref(&bo), &[], true);
        let cy: Written = ("cy", 3, &[], vec![line(2)]);
        check(
            "a person more",
            &[ana.clone(), bo.clone(), cy],
            &["cy"],
            false,
        );
        let less: Written = ("ana", 1, &["sre"], vec![line(0)]);
        check("a group less", &[less, bo.clone()], &[], true);
        let more: Written = ("bo", 2, &["sre", "dba"], vec![until(2030, 1)]);
        check("a group more", &[ana.clone(), more], &[], false);
        let account: Written = ("ana", 7, &["sre", "dba"], vec![line(0)]);
        check("another account", &[account, bo.clone()], &["ana"], false);
        let key: Written = ("ana", 1, &["sre", "dba"], vec![line(0), line(2)]);
        check("a key more", &[key, bo.clone()], &["ana"], false);
        let none: Written = ("ana", 1, &["sre", "dba"], vec![]);
        check("a key less", &[none, bo], &["ana"], true);
        for (end, takes) in [(until(2029, 1), true), (until(2031, 1), false)] {
            let bo: Written = ("bo", 2, &["sre"], vec![end]);
            check("another end", &[ana.clone(), bo], &["bo"], takes);
        }
        let bo: Written = ("bo", 2, &["sre"], vec![line(1)]);
        check("no end", &[ana, bo], &["bo"], false);
    }

    #[test]
    fn enough_is_so_many_people_of_whom_one_gains_nothing() {
        let set = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|&name| name.to_owned()).collect()
        };
        let two = NonZeroU32::new(2).unwrap();
        assert!(!is_enough(&set(&[]), NonZeroU32::MIN, &set(&[])));
        assert!(is_enough(&set(&["ana"]), NonZeroU32::MIN, &set(&["bo"])));
        assert!(!is_enough(&set(&["bo"]), NonZeroU32::MIN, &set(&["bo"])));
        assert!(!is_enough(&set(&["ana"]), two, &set(&[])));
        assert!(is_enough(&set(&["ana", "bo"]), two, &set(&["bo"])));
        assert!(!is_enough(&set(&["ana", "bo"]), two, &set(&["ana", "bo"])));
    }
}
