//! What became of each request, told from the entries alone, one request after another.
//!
//! [`Lives`] follows a log. A request is handed out once nothing more can change it: it has ended,
//! and nobody owes a review of broken glass. So memory holds the requests that are alive, not the
//! log. This is a summary for people, not a verification: whether an entry was allowed to follow is
//! asked by [`replay`](countersign_shared::log::replay).

use std::collections::BTreeMap;

use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::time::Timestamp;
use serde_json::Value;

use crate::record::{Clock, Record, RecordError};

#[cfg(test)]
mod tests;

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The person's name.
    pub reviewer: String,
    /// Whether it was an approval; a deny otherwise.
    pub approves: bool,
    /// The position of the entry.
    pub seq: u64,
    /// The time of the entry.
    pub at: Timestamp,
    /// Milliseconds from the request's receipt to the decision.
    pub after_received_ms: u64,
    /// Milliseconds from the moment the request had been shown to this person completely; nothing
    /// when no entry says that it was.
    pub after_shown_ms: Option<u64>,
    /// How sure the daemon was that the person was there.
    pub assurance: String,
    /// Whether the person stands behind the request as well.
    pub self_attested: bool,
    /// The person's reason.
    pub reason: String,
}

/// An act outside of the ordinary way, and who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The person's name.
    pub reviewer: String,
    /// When.
    pub at: Timestamp,
    /// The person's reason.
    pub reason: String,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its id.
    pub id: RequestId,
    /// The position of `request.received`.
    pub received_seq: u64,
    /// When it was received.
    pub received_at: Timestamp,
    /// The OS user who asked.
    pub uid: Option<u32>,
    /// The principal who asked.
    pub principal: String,
    /// The digest of its document.
    pub digest: String,
    /// The rules it was received under.
    pub rules: String,
    /// The tier it needed.
    pub tier: String,
    /// The seats it needed, each rule by itself, joined with ` + `; empty when nobody was asked.
    pub review: String,
    /// Where it stands.
    pub state: State,
    /// When it came to stand there.
    pub state_at: Timestamp,
    /// When it was shown completely, and to whom.
    pub shown: BTreeMap<String, Timestamp>,
    /// What people decided, in order.
    pub said: Vec<Said>,
    /// By what right it was approved.
    pub via: Option<String>,
    /// When it was approved, denied, or refused.
    pub decided_at: Option<Timestamp>,
    /// Who broke the glass.
    pub glass: Option<Deed>,
    /// Who closed the debt of that.
    pub debt: Option<Deed>,
    /// When the one use was taken.
    pub redeemed_at: Option<Timestamp>,
    /// Who ran it.
    pub executor: Option<String>,
    /// How the run ended.
    pub outcome: Option<String>,
    /// The run's exit code.
    pub exit: Option<i64>,
    /// The positions of its entries.
    pub entries: Vec<u64>,
}

impl Life {
    /// Returns the names of those who approved, or who denied, in order.
    pub fn names(&self, approves: bool) -> impl Iterator<Item = &str> {
        let of = move |said: &&Said| said.approves == approves;
        self.said
            .iter()
            .filter(of)
            .map(|said| said.reviewer.as_str())
    }

    /// Tells whether only the requester's own side stands behind the approval.
    pub fn is_self_attested(&self) -> bool {
        self.via.as_deref() == Some("self-attested")
    }

    /// Tells whether glass was broken and nobody has reviewed that.
    pub const fn owes_a_review(&self) -> bool {
        self.glass.is_some() && self.debt.is_none()
    }

    /// Returns the time from receipt to the decision, in milliseconds.
    pub fn decided_after_ms(&self) -> Option<u64> {
        self.decided_at.map(|at| millis(self.received_at, at))
    }

    const fn is_closed(&self) -> bool {
        self.state.has_ended() && !self.owes_a_review()
    }

    fn stands(&mut self, state: State, at: Timestamp) {
        self.state = state;
        self.state_at = at;
    }
}

/// The requests that are alive at one place of the log.
#[derive(Debug, Default)]
pub struct Lives {
    alive: BTreeMap<RequestId, Life>,
    closing: Vec<RequestId>,
    now: Option<(Timestamp, Clock)>,
}

impl Lives {
    /// Begins before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry, and returns the requests that nothing can change any more.
    ///
    /// What is written in one step has one moment, so a request is handed out when the moment is
    /// over in which it ended.
    ///
    /// # Errors
    ///
    /// When the entry has not what its type has.
    pub fn take(&mut self, record: &Record<'_>) -> Result<Vec<Life>, RecordError> {
        let now = (record.time, record.clock.clone());
        let mut closed = Vec::new();
        if self.now.as_ref() != Some(&now) {
            for id in std::mem::take(&mut self.closing) {
                closed.extend(self.alive.remove(&id));
            }
            self.now = Some(now);
        }
        let Some(id) = record.request else {
            return Ok(closed);
        };
        if record.entry_type == "request.received" {
            self.alive.insert(id, received(id, record)?);
            return Ok(closed);
        }
        // An entry about a request that was handed out, such as a late notice, changes nothing.
        let Some(life) = self.alive.get_mut(&id) else {
            return Ok(closed);
        };
        life.entries.push(record.seq);
        apply(life, record)?;
        if life.is_closed() && !self.closing.contains(&id) {
            self.closing.push(id);
        }
        Ok(closed)
    }

    /// Returns a request that is alive, or that ended at the moment of the last entry.
    pub fn get(&self, id: RequestId) -> Option<&Life> {
        self.alive.get(&id)
    }

    /// Ends the log; returns the requests that are left, the first received first.
    pub fn finish(self) -> Vec<Life> {
        let mut left: Vec<Life> = self.alive.into_values().collect();
        left.sort_by_key(|life| life.received_seq);
        left
    }
}

fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}

fn received(id: RequestId, record: &Record<'_>) -> Result<Life, RecordError> {
    Ok(Life {
        id,
        received_seq: record.seq,
        received_at: record.time,
        uid: record.actor.uid,
        principal: record.actor.id.clone(),
        digest: record.need("/digest")?.to_owned(),
        rules: record.need("/rules")?.to_owned(),
        tier: record.need("/requirement/tier")?.to_owned(),
        review: review(record)?,
        state: State::Received,
        state_at: record.time,
        shown: BTreeMap::new(),
        said: Vec::new(),
        via: None,
        decided_at: None,
        glass: None,
        debt: None,
        redeemed_at: None,
        executor: None,
        outcome: None,
        exit: None,
        entries: vec![record.seq],
    })
}

/// Writes the seats of each rule that asks for people.
fn review(record: &Record<'_>) -> Result<String, RecordError> {
    let field = "/requirement/reviews";
    let wrong = || RecordError::Body { field };
    let rules = record
        .value(field)
        .and_then(Value::as_array)
        .ok_or_else(wrong)?;
    let mut texts = Vec::new();
    for rule in rules {
        let seats = rule
            .get("seats")
            .and_then(Value::as_array)
            .ok_or_else(wrong)?;
        let mut words = Vec::new();
        for seat in seats {
            let count = seat
                .get("count")
                .and_then(Value::as_u64)
                .ok_or_else(wrong)?;
            let group = seat
                .get("group")
                .and_then(Value::as_str)
                .ok_or_else(wrong)?;
            words.push(format!("{count} of {group}"));
        }
        texts.push(words.join(" and "));
    }
    Ok(texts.join(" + "))
}

fn apply(life: &mut Life, record: &Record<'_>) -> Result<(), RecordError> {
    let now = record.time;
    match record.entry_type.as_str() {
        "policy.evaluated" if record.need("/outcome")? == "hold" => {
            life.stands(State::Pending, now);
        }
        "review.opened" => {
            let reviewer = record.need("/reviewer")?.to_owned();
            life.shown.entry(reviewer).or_insert(now);
        }
        "decision.recorded" => {
            let said = said(life, record)?;
            life.said.push(said);
        }
        "request.approved" => {
            life.via = Some(record.need("/via")?.to_owned());
            life.decided_at = Some(now);
            life.stands(State::Approved, now);
        }
        "request.denied" | "request.refused" => {
            life.decided_at = Some(now);
            life.stands(named(record)?, now);
        }
        "request.redeemed" => {
            life.redeemed_at = Some(now);
            life.executor = Some(record.need("/executor")?.to_owned());
            life.stands(State::Redeemed, now);
        }
        "request.expired"
        | "request.withdrawn"
        | "request.superseded"
        | "request.invalidated"
        | "request.revoked"
        | "request.lapsed" => life.stands(named(record)?, now),
        "breakglass.used" => life.glass = Some(deed(record)?),
        "debt.closed" => life.debt = Some(deed(record)?),
        "execution.started" => life.stands(State::Running, now),
        "execution.finished" => {
            let outcome = record.need("/outcome")?;
            let field = "/outcome";
            let state = State::from_word(outcome).ok_or(RecordError::Body { field })?;
            ended(life, record);
            life.stands(state, now);
        }
        "execution.not-run" => life.stands(State::NotRun, now),
        "execution.indeterminate" => life.stands(State::Indeterminate, now),
        "execution.settled" => {
            ended(life, record);
            life.stands(State::Settled, now);
        }
        // Claims, notices, escalations, accesses and what later versions add change no state.
        _ => {}
    }
    Ok(())
}

/// Returns the state that an entry of type `request.<state>` leads to.
fn named(record: &Record<'_>) -> Result<State, RecordError> {
    let word = record.entry_type.strip_prefix("request.");
    let field = "/type";
    word.and_then(State::from_word)
        .ok_or(RecordError::Body { field })
}

fn said(life: &Life, record: &Record<'_>) -> Result<Said, RecordError> {
    let reviewer = record.need("/member/name")?.to_owned();
    let attested = record.value("/self_attested").and_then(Value::as_bool);
    let field = "/self_attested";
    Ok(Said {
        approves: match record.need("/verdict")? {
            "approve" => true,
            "deny" => false,
            _ => return Err(RecordError::Body { field: "/verdict" }),
        },
        seq: record.seq,
        at: record.time,
        after_received_ms: millis(life.received_at, record.time),
        after_shown_ms: life.shown.get(&reviewer).map(|at| millis(*at, record.time)),
        reviewer,
        assurance: record.need("/assurance")?.to_owned(),
        self_attested: attested.ok_or(RecordError::Body { field })?,
        reason: record.need("/reason")?.to_owned(),
    })
}

fn deed(record: &Record<'_>) -> Result<Deed, RecordError> {
    Ok(Deed {
        reviewer: record.need("/member/name")?.to_owned(),
        at: record.time,
        reason: record.need("/reason")?.to_owned(),
    })
}

fn ended(life: &mut Life, record: &Record<'_>) {
    life.outcome = record.run_outcome().map(str::to_owned);
    let mut exit = ["/exit", "/report/exit"].into_iter();
    life.exit = exit.find_map(|path| record.value(path)?.as_i64());
}
