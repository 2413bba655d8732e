//! How rules change: by the operator's files in user mode; in system mode by signatures of current
//! reviewers, by taking people or keys away, or by an adoption that stands out until a reviewer
//! acknowledges it.

use std::collections::BTreeSet;

use super::actor::{check_daemon, not_by};
use super::force::InForce;
use super::{Problem, Replay, actor};
use crate::digest::Digest;
use crate::log::entry::Entry;
use crate::machine::{Act, Event, Mode, RulesChanged, RulesVia};
use crate::roster::change;
use crate::sshsig::{Checked, SigError};
use crate::statement::LogHead;

/// A change of rules that stands in the log and may be signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signable {
    /// The rules after it.
    pub(super) rules: Digest,
    /// The rules before it.
    pub(super) previous: Digest,
    /// The entry that tells of it.
    pub(super) index: u64,
}

/// Rules that wait for signatures.
#[derive(Debug)]
pub(super) struct Proposal {
    change: Signable,
    signed: BTreeSet<String>,
}

impl Replay {
    pub(super) fn put_in_force(
        &mut self,
        entry: &Entry,
        change: &RulesChanged,
    ) -> Result<(), Problem> {
        if change.at != entry.now.wall {
            return Err(Problem::Field { field: "at" });
        }
        let force = InForce::read(change).map_err(|problem| Problem::Roster { problem })?;
        self.before = self.force.replace(force);
        self.changes.push((entry.seq, change.clone()));
        Ok(())
    }

    /// Applies a change of rules to every request that is followed, as it was when it took force.
    pub(super) fn rules_changed(
        &mut self,
        entry: &Entry,
        change: &RulesChanged,
    ) -> Result<(), Problem> {
        let entry_type = "rules.changed";
        if entry.request.is_some() {
            return Err(Problem::Subject {
                entry_type,
                problem: "is about no single request",
            });
        }
        check_daemon(entry, entry_type)?;
        let expected = self.in_force()?.rules;
        if change.previous != expected {
            return Err(Problem::Rules {
                expected,
                found: change.previous,
            });
        }
        if change.rules == expected {
            return Err(Problem::Field { field: "rules" });
        }
        // By what right is said first: who the people are from now on is needed either way.
        let rightful = self.check_right(entry, change);
        if let Some(adopted) = &mut self.adopted {
            adopted.rules = change.rules;
        }
        self.proposal = None;
        self.put_in_force(entry, change)?;
        let event = Event::RulesChanged(Box::new(change.clone()));
        let mut refused = None;
        for (id, life) in &mut self.lives {
            if life.broken || !life.request.state().is_live() {
                continue;
            }
            if let Err(error) = life.apply(&entry.now, &event) {
                life.broken = true;
                refused.get_or_insert(error);
            } else if let Some(owed) = life.owes(entry) {
                self.owing.insert(*id, owed);
            }
        }
        refused.map_or(rightful, Err)
    }

    /// Asks by what right rules take force.
    fn check_right(&mut self, entry: &Entry, change: &RulesChanged) -> Result<(), Problem> {
        match (self.mode, &change.via) {
            (Some(Mode::User), None) => Ok(()),
            (Some(Mode::User), Some(_)) => Err(Problem::Field { field: "via" }),
            (Some(Mode::System) | None, None) => Err(Problem::Unsigned),
            (Some(Mode::System) | None, Some(RulesVia::Signatures {})) => {
                let proposal = self.proposal.take();
                let signed = proposal
                    .filter(|proposal| proposal.change.rules == change.rules)
                    .map(|proposal| proposal.signed)
                    .ok_or(Problem::Unsigned)?;
                let before = self.in_force()?;
                let after = read(change)?;
                let gained = change::gained(before.people(), after.people());
                if change::is_enough(&signed, before.signing.signers, &gained) {
                    Ok(())
                } else {
                    Err(Problem::Unsigned)
                }
            }
            (Some(Mode::System) | None, Some(RulesVia::Removal {})) => {
                if read(change)?.only_takes_from(self.in_force()?) {
                    Ok(())
                } else {
                    Err(Problem::NoRemoval)
                }
            }
            (Some(Mode::System) | None, Some(RulesVia::Adoption { .. })) => {
                // What nobody has looked at yet is looked at with it.
                self.adopted.get_or_insert(Signable {
                    rules: change.rules,
                    previous: change.previous,
                    index: entry.seq,
                });
                Ok(())
            }
        }
    }

    pub(super) fn rules_proposed(
        &mut self,
        entry: &Entry,
        rules: Digest,
        previous: Digest,
    ) -> Result<(), Problem> {
        if self.mode != Some(Mode::System) {
            return Err(Problem::Mode);
        }
        let expected = self.in_force()?.rules;
        if previous != expected {
            return Err(Problem::Rules {
                expected,
                found: previous,
            });
        }
        if rules == previous {
            return Err(Problem::Field { field: "rules" });
        }
        // Signatures are for what was proposed when they were made, and not for a later proposal.
        self.proposal = Some(Proposal {
            change: Signable {
                rules,
                previous,
                index: entry.seq,
            },
            signed: BTreeSet::new(),
        });
        Ok(())
    }

    pub(super) fn rules_withdrawn(&mut self, rules: Digest) -> Result<(), Problem> {
        match self.proposal.take() {
            Some(proposal) if proposal.change.rules == rules => Ok(()),
            Some(_) | None => Err(Problem::NotWaiting {
                found: rules,
                expected: "rules are proposed",
            }),
        }
    }

    pub(super) fn rules_signed(
        &mut self,
        entry: &Entry,
        rules: Digest,
        act: &Act,
        signature: &Result<Checked, SigError>,
    ) -> Result<(), Problem> {
        let change = self
            .proposal
            .as_ref()
            .map(|proposal| proposal.change)
            .filter(|change| change.rules == rules)
            .ok_or(Problem::NotWaiting {
                found: rules,
                expected: "rules are proposed",
            })?;
        let head = self.word_on_rules(entry, &change, act, signature)?;
        if let Some(proposal) = &mut self.proposal
            && !proposal.signed.insert(act.member.name.clone())
        {
            let name = act.member.name.clone();
            return Err(Problem::SignedTwice { name });
        }
        self.witnessed = self.witnessed.max(head.size);
        Ok(())
    }

    pub(super) fn rules_acknowledged(
        &mut self,
        entry: &Entry,
        rules: Digest,
        act: &Act,
        signature: &Result<Checked, SigError>,
    ) -> Result<(), Problem> {
        let adopted = self.adopted.filter(|adopted| adopted.rules == rules);
        let change = adopted.ok_or(Problem::NotWaiting {
            found: rules,
            expected: "adoption is to be acknowledged",
        })?;
        let head = self.word_on_rules(entry, &change, act, signature)?;
        self.adopted = None;
        self.witnessed = self.witnessed.max(head.size);
        Ok(())
    }

    fn word_on_rules(
        &self,
        entry: &Entry,
        change: &Signable,
        act: &Act,
        signature: &Result<Checked, SigError>,
    ) -> Result<LogHead, Problem> {
        if !actor::signed(&entry.actor, act) {
            return Err(not_by(entry, entry.body.entry_type()));
        }
        self.rules_act(entry, change, act, signature)
    }
}

fn read(change: &RulesChanged) -> Result<InForce, Problem> {
    InForce::read(change).map_err(|problem| Problem::Roster { problem })
}
