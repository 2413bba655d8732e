//! `policy replay`: what would become of every past request under other policies.
//!
//! Each one is judged by the facts that were written down with it, so nothing of the machine it
//! came from is needed. The work is spread over threads; the result does not depend on how many.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread;

use countersign_shared::machine::PolicyOutcome;
use countersign_shared::requirement::Requirement;
use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Value, json};

use crate::facts::Facts;
use crate::judge::Judgement;
use crate::load::Policies;
use crate::rejudge::difference;

/// How many requests a thread takes at once.
const BATCH: usize = 64;

/// A request of the past.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its id.
    pub id: String,
    /// What policy said then.
    pub outcome: PolicyOutcome,
    /// What it required then.
    pub requirement: Requirement,
    /// The object `facts` of its document.
    pub facts: Value,
    /// The object `action` of its document.
    pub action: Value,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Policy refuses it.
    Refused,
    /// Nobody is asked.
    Nobody,
    /// People are asked.
    Held,
}

impl Fate {
    const fn of(outcome: PolicyOutcome) -> Self {
        match outcome {
            PolicyOutcome::Refuse => Self::Refused,
            PolicyOutcome::Permit => Self::Nobody,
            PolicyOutcome::Hold => Self::Held,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Nobody => "nobody asked",
            Self::Held => "held",
        }
    }
}

/// A request that other policies would treat otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Its kind and target.
    pub what: Printable,
    /// What was.
    pub was: Fate,
    /// What would be.
    pub becomes: Fate,
    /// In which way.
    pub how: String,
}

/// What would become of all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many requests there were.
    pub requests: usize,
    /// How many had no facts that this version can judge by.
    pub without_facts: usize,
    /// How many would be treated the same.
    pub same: usize,
    /// How many went from one fate to another, or would be asked about otherwise.
    pub counts: BTreeMap<(Fate, Fate), usize>,
    /// The changes, in the order of the requests; at most as many as were asked for.
    pub changes: Vec<Change>,
    /// How many changes there are beyond those.
    pub more: usize,
    /// Whether a thread ended before its time: then nothing of this counts.
    pub broken: bool,
}

impl Replayed {
    /// Returns all of it as JSON: counts, and the changes that were kept.
    pub fn to_json(&self) -> Value {
        let counts: Vec<Value> = self
            .counts
            .iter()
            .map(|((was, becomes), count)| {
                json!({ "was": was.word(), "becomes": becomes.word(), "count": count })
            })
            .collect();
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|change| {
                json!({
                    "id": change.id,
                    "what": change.what.as_str(),
                    "was": change.was.word(),
                    "becomes": change.becomes.word(),
                    "how": change.how,
                })
            })
            .collect();
        json!({
            "schema": 1,
            "requests": self.requests,
            "same": self.same,
            "without_facts": self.without_facts,
            "counts": counts,
            "changes": changes,
            "more": self.more,
            "broken": self.broken,
        })
    }
}

impl Policies {
    /// Judges requests of the past, over `threads` threads, and keeps the first `most` changes.
    pub fn replay<I>(&self, past: I, threads: usize, most: usize) -> Replayed
    where
        I: Iterator<Item = Past> + Send,
    {
        let queue = Mutex::new(past.enumerate());
        let judged = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1))
                .map(|_| scope.spawn(|| self.work(&queue)))
                .collect();
            workers
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect::<Vec<_>>()
        });
        let mut sum = Replayed::default();
        let mut changes = Vec::new();
        for one in judged {
            let Ok(one) = one else {
                sum.broken = true;
                continue;
            };
            sum.requests += one.requests;
            sum.without_facts += one.without_facts;
            sum.same += one.same;
            for (fates, count) in one.counts {
                *sum.counts.entry(fates).or_default() += count;
            }
            changes.extend(one.changes);
        }
        changes.sort_by_key(|(index, _)| *index);
        sum.more = changes.len().saturating_sub(most);
        sum.changes = changes.into_iter().take(most).map(|(_, it)| it).collect();
        sum
    }

    fn work<I: Iterator<Item = (usize, Past)>>(&self, queue: &Mutex<I>) -> Share {
        let mut share = Share::default();
        loop {
            let batch: Vec<(usize, Past)> = {
                let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.by_ref().take(BATCH).collect()
            };
            if batch.is_empty() {
                return share;
            }
            for (index, past) in batch {
                share.requests += 1;
                self.one(index, &past, &mut share);
            }
        }
    }

    fn one(&self, index: usize, past: &Past, share: &mut Share) {
        if Facts::read(&past.facts).is_err() {
            share.without_facts += 1;
            return;
        }
        let was = Fate::of(past.outcome);
        let (becomes, how) = match self.judge_document(&past.facts, &past.action) {
            Judgement::Refused(refusal) => (Fate::Refused, refusal.because),
            Judgement::Nobody(permitted) => (Fate::Nobody, permitted.policies.join(", ")),
            Judgement::Held(held) => {
                let more = difference(&past.requirement, &held.requirement);
                let less = difference(&held.requirement, &past.requirement);
                let how = match (more.is_empty(), less.is_empty()) {
                    _ if was != Fate::Held => seats(&held.requirement),
                    (true, true) => String::new(),
                    (false, _) => format!("{more}; was {}", seats(&past.requirement)),
                    (true, false) => format!(
                        "{}; was {}",
                        seats(&held.requirement),
                        seats(&past.requirement)
                    ),
                };
                (Fate::Held, how)
            }
        };
        if was == becomes && (was != Fate::Held || how.is_empty()) {
            share.same += 1;
            return;
        }
        *share.counts.entry((was, becomes)).or_default() += 1;
        let text = |pointer: &str| {
            let found = past.action.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let what = format!("{} {}", text("/kind"), text("/target/name"));
        let change = Change {
            id: past.id.clone(),
            what: Printable::exact_line(&Untrusted::new(what)),
            was,
            becomes,
            how,
        };
        share.changes.push((index, change));
    }
}

/// What one thread found.
#[derive(Default)]
struct Share {
    requests: usize,
    without_facts: usize,
    same: usize,
    counts: BTreeMap<(Fate, Fate), usize>,
    changes: Vec<(usize, Change)>,
}

fn seats(requirement: &Requirement) -> String {
    let reviews: Vec<String> = requirement
        .reviews
        .iter()
        .map(|review| review.seats.to_string())
        .collect();
    format!("{} at tier {}", reviews.join(", and "), requirement.tier)
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.broken {
            return write!(f, "the replay broke off: nothing of it counts");
        }
        for change in &self.changes {
            let (was, becomes) = (change.was.word(), change.becomes.word());
            let (id, what) = (&change.id, change.what.as_str());
            writeln!(f, "{id}  {what}: {was} -> {becomes}: {}", change.how)?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more", self.more)?;
        }
        for ((was, becomes), count) in &self.counts {
            writeln!(f, "{count:>8}  {} -> {}", was.word(), becomes.word())?;
        }
        writeln!(f, "{:>8}  the same", self.same)?;
        if self.without_facts > 0 {
            writeln!(f, "{:>8}  without facts to judge by", self.without_facts)?;
        }
        write!(f, "{:>8}  requests", self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{facts, load, sql};

    const OLD: &str = "@id(\"a\") @review(\"1 of sre\") permit (principal, action, resource);";

    fn past(text: &str, statements: &[&str]) -> Vec<Past> {
        let policies = load(text).unwrap();
        let all = statements.iter().enumerate().map(|(index, statement)| {
            let action = sql("scratch", statement);
            let facts = facts(&policies, &action).to_value();
            let judgement = policies.judge_document(&facts, &action);
            Past {
                id: format!("req_{index}"),
                outcome: PolicyOutcome::Hold,
                requirement: judgement.requirement().unwrap().clone(),
                facts,
                action,
            }
        });
        all.collect()
    }

    #[test]
    fn what_would_change_is_listed_and_counted() {
        let mut requests = past(
            OLD,
            &[
                "SELECT 1",
                "INSERT INTO t VALUES (1)",
                "DROP TABLE t",
                "GRANT a TO b",
            ],
        );
        requests[3].facts = serde_json::json!({});
        let candidate = load(
            "@id(\"r\") @review(\"nobody\") permit (principal, action == Action::\"sql.exec\", resource) when { context.reversibility == \"read-only\" };\n\
             @id(\"w\") @review(\"2 of sre\") permit (principal, action == Action::\"sql.exec\", resource) when { context.statements.contains(\"insert\") };\n\
             @id(\"d\") @because(\"no drops\") forbid (principal, action == Action::\"sql.exec\", resource) when { context.statements.contains(\"drop\") };",
        )
        .unwrap();
        let replayed = candidate.replay(requests.into_iter(), 2, 10);
        assert_eq!(
            replayed.to_string(),
            "req_0  sql.exec scratch: held -> nobody asked: r\n\
             req_1  sql.exec scratch: held -> held: 2 of sre (policy `w`); was 1 of sre at tier medium\n\
             req_2  sql.exec scratch: held -> refused: no drops\n\
             \x20      1  held -> refused\n\
             \x20      1  held -> nobody asked\n\
             \x20      1  held -> held\n\
             \x20      0  the same\n\
             \x20      1  without facts to judge by\n\
             \x20      4  requests"
        );
        let json = replayed.to_json();
        assert_eq!((&json["requests"], &json["same"]), (&json!(4), &json!(0)));
        assert_eq!(json["changes"][2]["how"], "no drops");
        let fates = ["was", "becomes"].map(|name| json["counts"][1][name].clone());
        assert_eq!(fates, ["held", "nobody asked"]);
    }

    #[test]
    fn the_same_policies_change_nothing_however_many_threads_there_are() {
        let statements: Vec<String> = (0..500).map(|n| format!("SELECT {n}")).collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let requests = past(OLD, &statements);
        let policies = load(OLD).unwrap();
        for threads in [1, 2, 5] {
            let replayed = policies.replay(requests.clone().into_iter(), threads, 3);
            assert_eq!((replayed.requests, replayed.same), (500, 500));
        }
        let none = load("").unwrap();
        let one = none.replay(requests.clone().into_iter(), 1, 3);
        let many = none.replay(requests.into_iter(), 4, 3);
        assert_eq!(one, many);
        assert_eq!((one.changes.len(), one.more), (3, 497));
    }
}
