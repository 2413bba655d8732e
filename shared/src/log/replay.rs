//! Replays a log: every entry must follow from the ones before it.
//!
//! [`Replay::entry`] takes the entries in order. It rebuilds the tree, runs each event through the
//! request machine with the entry's own time, demands the events that are owed, and judges every
//! signed statement against the roster of its moment, the request, and the head of the log that the
//! person had verified. What a log's key alone could forge does not pass here, as long as the
//! people's keys are theirs.
//!
//! Not seen here: documents (which values are masked, how the requester is called), stored hashes
//! and rows, and whether the log as a whole was replaced by an older or another one; compare
//! [`Replayed::root_at`] with heads that were kept elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::accessed::DataAccessed;
use super::entry::{Actor, Body, Entry, LogEvent};
use super::keys::LogKeys;
use super::note::VerifierKey;
use super::pruning::Pruning;
use super::tree::{CompleteNode, Frontier, Hash, TreeHead};
use crate::digest::Digest;
use crate::id::RequestId;
use crate::machine::{Event, Mode, PolicyOutcome, Received, Request, RulesChanged};
use crate::sshsig::{Checked, SigError};
use crate::statement::LogHead;
use crate::time::{Moment, Timestamp};

mod actor;
mod documents;
mod ended;
mod force;
mod keys;
mod past;
mod prepared;
mod problem;
mod pruned;
mod rules;
mod signed;
#[cfg(test)]
mod tests;
mod times;

pub use past::{RECORD, Shelf};
pub use prepared::Prepared;
pub use problem::{Finding, Problem};

use actor::{check_actor, check_daemon};
use force::InForce;
use past::Past;
use rules::{Proposal, Signable};
use signed::Word;

/// A request as the log tells it.
#[derive(Debug, Clone)]
pub struct Life {
    /// The machine after all entries.
    pub request: Request,
    /// The position of `request.received`.
    pub received_index: u64,
    /// Who asked.
    pub agent: Actor,
    /// The wall time of the last entry that changed it.
    pub changed_at: Timestamp,
    /// What was told of the data that its action touched.
    pub accessed: Vec<DataAccessed>,
    /// Whether policy held it for people.
    pub is_held: bool,
    /// Whether an entry about it did not follow, so that the machine is not to be relied on.
    pub broken: bool,
}

/// What came of a whole log.
#[derive(Debug)]
pub struct Replayed {
    /// Every request that was received.
    pub requests: BTreeMap<RequestId, Life>,
    /// Size and root.
    pub head: TreeHead,
    /// How many decisions were recorded and judged good.
    pub decisions: u64,
    /// The people who made them.
    pub people: BTreeSet<String>,
    /// The size of the largest head that a good statement names: a person's console had verified
    /// the log up to there. 0 when nobody signed anything.
    pub witnessed: u64,
    /// The rules in force at the end.
    pub rules: Option<Digest>,
    /// What put rules in force, in order, with the positions of the entries; the genesis first.
    pub changes: Vec<(u64, RulesChanged)>,
    /// The position of the entry by which the operator adopted rules without the reviewers, as long
    /// as no reviewer has acknowledged that.
    pub adopted: Option<u64>,
    /// The requests whose documents were erased.
    pub erased: BTreeSet<RequestId>,
    /// How many of them were erased before their time.
    pub erased_early: u64,
    /// The keys that the log signed with. That its last head is signed as they demand is not asked
    /// here.
    pub keys: LogKeys,
    /// What is gone, and what the log says of that.
    pub pruning: Pruning,
    /// The manifests of the packs that hold it.
    pub archives: BTreeSet<Digest>,
    /// What was still owed at the end.
    pub owed: Vec<Finding>,
    past: Past,
}

impl Replayed {
    /// Returns the root over the first `size` entries, nothing when the log is not that long.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        self.past.root_at(size)
    }
}

/// What must come next.
#[derive(Debug)]
struct Owing {
    entry_type: &'static str,
    now: Moment,
    /// Who has to bring it about; nobody in particular after `request.received`.
    actor: Option<Actor>,
}

/// A log that is being replayed.
#[derive(Debug)]
pub struct Replay {
    vkey: VerifierKey,
    keys: LogKeys,
    origin: String,
    frontier: Frontier,
    completed: Vec<CompleteNode>,
    past: Past,
    last: Option<Timestamp>,
    mode: Option<Mode>,
    force: Option<InForce>,
    before: Option<InForce>,
    changes: Vec<(u64, RulesChanged)>,
    proposal: Option<Proposal>,
    adopted: Option<Signable>,
    lives: BTreeMap<RequestId, Life>,
    /// Where the requests were received that are no longer held.
    gone: BTreeMap<RequestId, u64>,
    erased: BTreeSet<RequestId>,
    erased_early: u64,
    pruning: Pruning,
    archives: BTreeSet<Digest>,
    owing: BTreeMap<RequestId, Owing>,
    /// The request whose run the last entry told of, and when: of its data the next may tell.
    ran: Option<(RequestId, Moment)>,
    decisions: u64,
    people: BTreeSet<String>,
    witnessed: u64,
}

impl Replay {
    /// Begins with the log's name and one of its keys, as the verifier knows them.
    pub fn new(origin: &str, vkey: &VerifierKey) -> Self {
        Self {
            vkey: vkey.clone(),
            keys: LogKeys::new(origin),
            origin: origin.to_owned(),
            frontier: Frontier::new(),
            completed: Vec::new(),
            past: Past::default(),
            last: None,
            mode: None,
            force: None,
            before: None,
            changes: Vec::new(),
            proposal: None,
            adopted: None,
            lives: BTreeMap::new(),
            gone: BTreeMap::new(),
            erased: BTreeSet::new(),
            erased_early: 0,
            pruning: Pruning::default(),
            archives: BTreeSet::new(),
            owing: BTreeMap::new(),
            ran: None,
            decisions: 0,
            people: BTreeSet::new(),
            witnessed: 0,
        }
    }

    /// Remembers the past of the log on a shelf instead of in memory, some 40 bytes for each entry. Nothing
    /// may have been taken yet.
    #[must_use]
    pub fn with_past_on(mut self, place: Box<dyn Shelf>) -> Self {
        self.past = Past::on(place);
        self
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it. The replay goes on, without that entry; what then
    /// goes wrong with the same request is not said again.
    pub fn entry(&mut self, index: u64, bytes: &[u8]) -> Result<(), Finding> {
        self.prepared(index, Prepared::of(bytes))
    }

    /// Takes the next entry, which may have been looked at on another thread.
    ///
    /// # Errors
    ///
    /// As [`entry`](Self::entry).
    pub fn prepared(&mut self, index: u64, prepared: Prepared) -> Result<(), Finding> {
        let Prepared {
            leaf,
            entry,
            signature,
        } = prepared;
        let finding = |request, problem| Finding {
            index,
            request,
            problem,
        };
        self.completed = self
            .frontier
            .push(leaf)
            .map_err(|error| finding(None, Problem::Tree(error)))?;
        self.remember(entry.as_ref().ok());
        let entry = entry.map_err(|error| finding(None, Problem::Entry(error)))?;
        let request = entry.request;
        let known = request
            .and_then(|id| self.lives.get(&id))
            .is_some_and(|life| life.broken);
        let taken = self.take(index, &entry, signature.as_ref());
        self.last = Some(entry.now.wall);
        let Err(problem) = taken else { return Ok(()) };
        // What is owed to another request is no consequence of what was found of this one.
        let known = known && !matches!(problem, Problem::Owed { .. });
        if let Some(id) = request {
            self.owing.remove(&id);
            if let Some(life) = self.lives.get_mut(&id) {
                life.broken = true;
            }
        }
        if known {
            Ok(())
        } else {
            Err(finding(request, problem))
        }
    }

    /// Returns the nodes of the tree that the last entry completed, the leaf first.
    pub fn completed(&self) -> &[CompleteNode] {
        &self.completed
    }

    /// Returns the right edge of the tree.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Ends the log.
    pub fn finish(self) -> Replayed {
        let index = self.frontier.size().saturating_sub(1);
        let as_a_whole = self.other_key().into_iter().chain(self.wrongly_gone());
        let owed = self
            .owing
            .iter()
            .map(|(id, owing)| Finding {
                index,
                request: Some(*id),
                problem: Problem::EndsOwing {
                    owed: owing.entry_type,
                    id: *id,
                },
            })
            .chain(as_a_whole)
            .collect();
        Replayed {
            requests: self.lives,
            head: self.frontier.head(),
            decisions: self.decisions,
            people: self.people,
            witnessed: self.witnessed,
            rules: self.force.map(|force| force.rules),
            changes: self.changes,
            adopted: self.adopted.map(|adopted| adopted.index),
            erased: self.erased,
            erased_early: self.erased_early,
            keys: self.keys,
            pruning: self.pruning,
            archives: self.archives,
            owed,
            past: self.past,
        }
    }

    fn take(
        &mut self,
        index: u64,
        entry: &Entry,
        signature: Option<&Result<Checked, SigError>>,
    ) -> Result<(), Problem> {
        if entry.seq != index || self.frontier.size().checked_sub(1) != Some(index) {
            return Err(Problem::Seq { found: entry.seq });
        }
        if entry.log != self.origin {
            return Err(Problem::Origin {
                expected: self.origin.clone(),
            });
        }
        check_first(index, entry)?;
        self.check_time(entry)?;
        self.check_owed(entry)?;
        let ran = self.ran.take();
        match &entry.body {
            Body::Log(LogEvent::DataAccessed(data)) => self.data_accessed(entry, data, ran),
            Body::Log(LogEvent::DocumentErased {
                retained_until,
                early,
            }) => self.document_erased(entry, *retained_until, early.as_deref()),
            Body::Log(event) => self.log_event(entry, event, signature),
            Body::Request(Event::RulesChanged(change)) => self.rules_changed(entry, change),
            Body::Request(event) => {
                let id = entry.request.ok_or(Problem::Subject {
                    entry_type: event.entry_type(),
                    problem: "names no request",
                })?;
                if let Event::Received(received) = event {
                    self.received(index, entry, id, received)
                } else {
                    self.request_event(entry, id, event, signature)
                }
            }
        }
    }

    /// Lets nothing come before what is owed.
    fn check_owed(&mut self, entry: &Entry) -> Result<(), Problem> {
        let Some((first, owed)) = self
            .owing
            .iter()
            .next()
            .map(|(id, owing)| (*id, owing.entry_type))
        else {
            return Ok(());
        };
        // A change of rules may invalidate several requests in one step, some of which it obliges to.
        let beside = matches!(entry.body, Body::Request(Event::Invalidated { .. }))
            && self
                .owing
                .values()
                .all(|owing| owing.entry_type == entry.body.entry_type() && owing.now == entry.now);
        let is_owed = entry.request.is_some_and(|id| self.owing.contains_key(&id));
        if beside && !is_owed {
            return Ok(());
        }
        let Some(owing) = entry.request.and_then(|id| self.owing.remove(&id)) else {
            // Said once: what comes now is judged by itself, and the request is not to be relied on.
            for id in std::mem::take(&mut self.owing).into_keys() {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.broken = true;
                }
            }
            return Err(Problem::Owed { owed, id: first });
        };
        if owing.now != entry.now {
            return Err(Problem::Follows { what: "time" });
        }
        if owing.actor.is_some_and(|actor| actor != entry.actor) {
            return Err(Problem::Follows { what: "actor" });
        }
        Ok(())
    }

    fn log_event(
        &mut self,
        entry: &Entry,
        event: &LogEvent,
        signature: Option<&Result<Checked, SigError>>,
    ) -> Result<(), Problem> {
        let entry_type = event.entry_type();
        if entry.request.is_some() {
            return Err(Problem::Subject {
                entry_type,
                problem: "is about no request",
            });
        }
        // There is none where the statement cannot even be decoded.
        let signature = || signature.ok_or(Problem::Base64);
        match event {
            LogEvent::RulesSigned { rules, act } => {
                return self.rules_signed(entry, *rules, act, signature()?);
            }
            LogEvent::RulesAcknowledged { rules, act } => {
                return self.rules_acknowledged(entry, *rules, act, signature()?);
            }
            LogEvent::Genesis { .. }
            | LogEvent::DaemonStarted { .. }
            | LogEvent::DaemonStopped {}
            | LogEvent::ClockJumped { .. }
            | LogEvent::RulesRefused { .. }
            | LogEvent::RulesProposed { .. }
            | LogEvent::RulesWithdrawn { .. }
            | LogEvent::RollbackAdopted { .. }
            | LogEvent::KeyRotated { .. }
            | LogEvent::KeyRetired { .. }
            | LogEvent::CallsRefused { .. }
            | LogEvent::DocumentErased { .. }
            | LogEvent::Pruned(_)
            | LogEvent::DataAccessed(_) => check_daemon(entry, entry_type)?,
        }
        match event {
            LogEvent::Genesis { mode, rules, .. } => {
                self.mode = Some(*mode);
                let key = self.take_key(entry);
                // A wrong key says nothing about the people; the rest is judged by them.
                self.put_in_force(entry, rules)?;
                if rules.previous != rules.rules {
                    return Err(Problem::Field { field: "previous" });
                }
                if rules.via.is_some() {
                    return Err(Problem::Field { field: "via" });
                }
                key
            }
            LogEvent::KeyRotated { .. } | LogEvent::KeyRetired { .. } => self.take_key(entry),
            LogEvent::RulesProposed { rules, previous } => {
                self.rules_proposed(entry, *rules, *previous)
            }
            LogEvent::RulesWithdrawn { rules } => self.rules_withdrawn(*rules),
            LogEvent::Pruned(pruned) => self.told_of_pruning(entry, pruned),
            LogEvent::RollbackAdopted { size, root, .. } => {
                if size.is_some() == root.is_some() {
                    Ok(())
                } else {
                    Err(Problem::Field { field: "root" })
                }
            }
            LogEvent::DaemonStarted { .. }
            | LogEvent::DaemonStopped {}
            | LogEvent::ClockJumped { .. }
            | LogEvent::RulesRefused { .. }
            | LogEvent::CallsRefused { .. }
            | LogEvent::RulesSigned { .. }
            | LogEvent::RulesAcknowledged { .. }
            | LogEvent::DocumentErased { .. }
            | LogEvent::DataAccessed(_) => Ok(()),
        }
    }

    fn received(
        &mut self,
        index: u64,
        entry: &Entry,
        id: RequestId,
        received: &Received,
    ) -> Result<(), Problem> {
        let held = self.lives.get(&id).map(|life| life.received_index);
        if let Some(at) = held.or_else(|| self.gone.get(&id).copied()) {
            return Err(Problem::Twice { at });
        }
        let event = Event::Received(Box::new(received.clone()));
        check_actor(entry, &event, &entry.actor)?;
        let expected = self.in_force()?.rules;
        let (request, effects) = Request::receive(&entry.now, id, received.clone());
        drop(effects);
        let life = Life {
            request,
            received_index: index,
            agent: entry.actor.clone(),
            changed_at: entry.now.wall,
            accessed: Vec::new(),
            is_held: false,
            broken: false,
        };
        self.lives.insert(id, life);
        if received.rules != expected {
            return Err(Problem::Rules {
                expected,
                found: received.rules,
            });
        }
        if self.mode != Some(received.mode) {
            return Err(Problem::Mode);
        }
        // Policy speaks in the step that stores the request: nothing stays merely received.
        let owing = Owing {
            entry_type: "policy.evaluated",
            now: entry.now.clone(),
            actor: None,
        };
        self.owing.insert(id, owing);
        Ok(())
    }

    fn request_event(
        &mut self,
        entry: &Entry,
        id: RequestId,
        event: &Event,
        signature: Option<&Result<Checked, SigError>>,
    ) -> Result<(), Problem> {
        let life = self.lives.get(&id).ok_or(Problem::Unknown)?;
        check_actor(entry, event, &life.agent)?;
        // There is none where the statement cannot even be decoded.
        let signature = || signature.ok_or(Problem::Base64);
        let head = match signed::word(event) {
            Word::Decision(decision) => Some(self.decision(entry, life, decision, signature()?)?),
            Word::Act(kind, act) => Some(self.act(entry, life, kind, act, signature()?)?),
            Word::None => None,
        };
        let life = self.lives.get_mut(&id).ok_or(Problem::Unknown)?;
        life.apply(&entry.now, event)?;
        if let Some(owed) = life.owes(entry) {
            self.owing.insert(id, owed);
        }
        // A run that was indeterminate has told of its data by then.
        if event.says_it_ran() && life.accessed.is_empty() {
            self.ran = Some((id, entry.now.clone()));
        }
        self.witness(event, head);
        Ok(())
    }

    fn witness(&mut self, event: &Event, head: Option<LogHead>) {
        if let Event::Decided(decision) = event {
            self.decisions = self.decisions.saturating_add(1);
            self.people.insert(decision.member.name.clone());
        }
        if let Some(head) = head {
            self.witnessed = self.witnessed.max(head.size);
        }
    }

    fn in_force(&self) -> Result<&InForce, Problem> {
        self.force.as_ref().ok_or(Problem::Roster {
            problem: "none was ever put in force".to_owned(),
        })
    }

    fn root_at(&self, size: u64) -> Option<Hash> {
        self.past.root_at(size)
    }
}

impl Life {
    /// Tells whether nothing can change it any more.
    pub fn is_over(&self) -> bool {
        self.request.state().has_ended() && self.request.debt().is_none()
    }

    /// Returns the least size of a head that holds the request.
    const fn least_size(&self) -> u64 {
        self.received_index.saturating_add(1)
    }

    fn apply(&mut self, now: &Moment, event: &Event) -> Result<(), Problem> {
        // What the daemon did after the event is past; only what it owed stands in the log.
        drop(self.request.apply(now, event).map_err(Problem::Machine)?);
        if let Event::PolicyEvaluated { outcome, .. } = event {
            self.is_held = *outcome == PolicyOutcome::Hold;
        }
        self.changed_at = now.wall;
        Ok(())
    }

    fn owes(&self, entry: &Entry) -> Option<Owing> {
        self.request.owed().map(|owed| Owing {
            entry_type: owed.entry_type(),
            now: entry.now.clone(),
            actor: Some(entry.actor.clone()),
        })
    }
}

fn check_first(index: u64, entry: &Entry) -> Result<(), Problem> {
    let found = entry.body.entry_type();
    let is_genesis = matches!(entry.body, Body::Log(LogEvent::Genesis { .. }));
    let expected = match (index, is_genesis) {
        (0, false) => "the log's genesis",
        (1.., true) => "no second genesis",
        (0, true) | (1.., false) => return Ok(()),
    };
    Err(Problem::Genesis { found, expected })
}
