//! Which rules wait for people: proposed ones, and those that were adopted without the reviewers. And
//! what a change of rules does, while somebody looks at it.
//!
//! Nothing is signed here: the screen names the command that does.

use countersign_shared::digest::Digest;
use countersign_shared::text::Untrusted;

use super::super::page::{Page, Place};

/// What the daemon says of its rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The rules that wait for signatures.
    pub proposed: Option<Digest>,
    /// Who signed those.
    pub signed_by: Vec<Untrusted>,
    /// What they still miss.
    pub missing: Untrusted,
    /// The rules that were adopted without the reviewers and that no reviewer has acknowledged.
    pub adopted: Option<Digest>,
    /// What the operator said about it.
    pub reason: Untrusted,
}

/// A change of rules, read from the daemon and checked against the digests that are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The rules before it; `None` when they were not kept, and all of the new ones is shown.
    pub previous: Option<Digest>,
    /// The rules after it.
    pub rules: Digest,
    /// Whether they were adopted; else they are proposed.
    pub is_adopted: bool,
    /// Whom it adds, or whose account or keys it changes.
    pub gained: Vec<Untrusted>,
    /// What it does to each file.
    pub page: Page,
}

/// A change that is looked at.
#[derive(Debug)]
pub struct Shown {
    /// The change.
    pub change: Change,
    /// The place at the top.
    pub place: Place,
    /// True when unchanged rows are shown.
    pub unfold: bool,
}

/// Where the rules stand, and what is looked at.
#[derive(Debug, Default)]
pub struct Ruling {
    standing: Standing,
    shown: Option<Shown>,
    /// True from the asking for a change to its coming.
    asked: bool,
}

impl Ruling {
    /// Takes what the daemon says; tells whether people have something new to do.
    pub fn put(&mut self, standing: Standing) -> bool {
        let newly = |new: Option<Digest>, old: Option<Digest>| new.is_some() && new != old;
        let news = newly(standing.proposed, self.standing.proposed)
            || newly(standing.adopted, self.standing.adopted);
        self.standing = standing;
        news
    }

    /// Returns what the daemon said last.
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Tells whether something waits for people.
    pub const fn waits(&self) -> bool {
        self.standing.proposed.is_some() || self.standing.adopted.is_some()
    }

    /// Notes that a change was asked for.
    pub const fn ask(&mut self) {
        self.asked = true;
    }

    /// Takes a change, if it was asked for.
    pub fn show(&mut self, change: Change) {
        if std::mem::take(&mut self.asked) {
            self.shown = Some(Shown {
                change,
                place: Place::default(),
                unfold: false,
            });
        }
    }

    /// Leaves what is looked at, and waits for none any more.
    pub fn close(&mut self) {
        self.asked = false;
        self.shown = None;
    }

    /// Returns what is looked at.
    pub const fn shown(&self) -> Option<&Shown> {
        self.shown.as_ref()
    }

    /// Returns what is looked at, to move it.
    pub const fn shown_mut(&mut self) -> Option<&mut Shown> {
        self.shown.as_mut()
    }

    /// Tells whether what is looked at still waits for people.
    pub fn still_waits(&self, change: &Change) -> bool {
        let waiting = if change.is_adopted {
            self.standing.adopted
        } else {
            self.standing.proposed
        };
        waiting == Some(change.rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(what: &[u8]) -> Standing {
        Standing {
            proposed: Some(Digest::of(what)),
            ..Standing::default()
        }
    }

    #[test]
    fn only_what_is_new_to_people_is_news() {
        let mut ruling = Ruling::default();
        assert!(!ruling.put(Standing::default()));
        assert!(ruling.put(proposed(b"a")));
        assert!(ruling.waits());
        let mut signed = proposed(b"a");
        signed.signed_by.push(Untrusted::new("ana"));
        assert!(!ruling.put(signed), "a signature is no new proposal");
        assert!(ruling.put(proposed(b"b")));
        assert!(!ruling.put(Standing::default()));
        assert!(!ruling.waits());
        let adopted = Standing {
            adopted: Some(Digest::of(b"c")),
            ..Standing::default()
        };
        assert!(ruling.put(adopted));
    }

    #[test]
    fn a_change_that_nobody_waits_for_any_more_is_not_shown() {
        let change = Change {
            previous: None,
            rules: Digest::of(b"a"),
            is_adopted: false,
            gained: Vec::new(),
            page: Page::default(),
        };
        let mut ruling = Ruling::default();
        ruling.put(proposed(b"a"));
        ruling.show(change.clone());
        assert!(ruling.shown().is_none());
        ruling.ask();
        ruling.close();
        ruling.show(change.clone());
        assert!(ruling.shown().is_none());
        ruling.ask();
        ruling.show(change.clone());
        assert!(ruling.shown().is_some());
        assert!(ruling.still_waits(&change));
        ruling.put(proposed(b"b"));
        assert!(!ruling.still_waits(&change));
    }
}
