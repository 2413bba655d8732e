//! Which entries are shown.

use std::collections::BTreeSet;

use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{ActorKind, Entry};
use countersign_shared::time::Timestamp;
use serde_json::Value;

/// What was picked; nothing picks all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picked {
    /// The beginning of a request's id.
    pub request: Option<String>,
    /// A requester's principal, or a name that an agent gave itself.
    pub agent: Option<String>,
    /// A person's name.
    pub reviewer: Option<String>,
    /// A type, or the beginning of one up to its dot.
    pub entry_type: Option<String>,
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The first moment that is too late.
    pub until: Option<Timestamp>,
}

/// Tells entries that were picked from the others. It is shown all, in order, or told with
/// [`Filter::asked_for`] what it was not shown.
#[derive(Debug)]
pub struct Filter {
    picked: Picked,
    /// The requests of the agent that was picked.
    asked: BTreeSet<RequestId>,
}

impl Filter {
    /// Makes one that was shown nothing yet.
    pub const fn new(picked: Picked) -> Self {
        Self {
            picked,
            asked: BTreeSet::new(),
        }
    }

    /// Learns that the agent that was picked asked for a request.
    pub fn asked_for(&mut self, id: RequestId) {
        self.asked.insert(id);
    }

    /// Tells whether an entry with this body was picked.
    pub fn holds(&mut self, entry: &Entry, body: &Value) -> bool {
        let is_agents = self.is_agents(entry, body);
        let Picked {
            request,
            reviewer,
            entry_type,
            since,
            until,
            agent: _,
        } = &self.picked;
        let about = |wanted: &String| {
            let id = entry.request.map(|id| id.to_string());
            id.is_some_and(|id| id.starts_with(wanted))
        };
        let by =
            |wanted: &String| entry.actor.kind == ActorKind::Reviewer && entry.actor.id == *wanted;
        let of = |wanted: &String| {
            let found = entry.body.entry_type();
            found == wanted || (wanted.ends_with('.') && found.starts_with(wanted))
        };
        is_agents
            && request.as_ref().is_none_or(about)
            && reviewer.as_ref().is_none_or(by)
            && entry_type.as_ref().is_none_or(of)
            && since.is_none_or(|since| since <= entry.now.wall)
            && until.is_none_or(|until| entry.now.wall < until)
    }

    fn is_agents(&mut self, entry: &Entry, body: &Value) -> bool {
        let Some(agent) = &self.picked.agent else {
            return true;
        };
        let is_principal = entry.actor.kind == ActorKind::Agent && entry.actor.id == *agent;
        let says_so = entry.body.entry_type() == "data.accessed"
            && body.get("agent").and_then(Value::as_str) == Some(agent);
        if let Some(id) = entry.request
            && is_principal
            && entry.body.entry_type() == "request.received"
        {
            self.asked.insert(id);
        }
        is_principal || says_so || entry.request.is_some_and(|id| self.asked.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::log::entry::{Actor, Body, LogEvent, Separation, Sync};
    use countersign_shared::machine::Event;
    use countersign_shared::time::{BootId, Moment};
    use serde_json::json;

    use super::*;

    fn entry(seq: u64, kind: ActorKind, id: &str, body: Body) -> Entry {
        Entry {
            log: "countersign/test".to_owned(),
            seq,
            now: Moment {
                wall: Timestamp::from_millis(i64::try_from(seq).unwrap() * 1_000),
                boot: BootId::new("a"),
                mono_ms: 1,
            },
            sync: Sync::Unknown,
            actor: Actor {
                kind,
                id: id.to_owned(),
                uid: None,
            },
            request: (kind != ActorKind::Daemon).then(|| RequestId::from_bytes([1; 16])),
            separation: Separation::None,
            body,
        }
    }

    fn log() -> Vec<Entry> {
        let released = Event::Released {
            reviewer: "mika".to_owned(),
        };
        vec![
            entry(
                0,
                ActorKind::Daemon,
                "countersignd",
                Body::Log(LogEvent::DaemonStopped {}),
            ),
            entry(
                1,
                ActorKind::Agent,
                "uid:1",
                Body::Request(Event::Detached {}),
            ),
            entry(2, ActorKind::Reviewer, "mika", Body::Request(released)),
            entry(
                3,
                ActorKind::Agent,
                "uid:2",
                Body::Request(Event::NotRun {
                    because: "no".to_owned(),
                }),
            ),
        ]
    }

    fn picked(picked: Picked) -> Vec<u64> {
        let mut filter = Filter::new(picked);
        let entries = log().into_iter();
        entries
            .filter(|entry| filter.holds(entry, &json!({})))
            .map(|entry| entry.seq)
            .collect()
    }

    #[test]
    fn what_is_picked_is_shown_and_nothing_else() {
        let some = |text: &str| Some(text.to_owned());
        let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1_000));
        let nothing = Picked::default;
        let id = RequestId::from_bytes([1; 16]).to_string();
        assert_eq!(picked(nothing()), [0, 1, 2, 3]);
        for (pick, expected) in [
            (
                Picked {
                    request: id.get(..8).map(str::to_owned),
                    ..nothing()
                },
                vec![1, 2, 3],
            ),
            (
                Picked {
                    request: some("req_z"),
                    ..nothing()
                },
                vec![],
            ),
            (
                Picked {
                    agent: some("uid:1"),
                    ..nothing()
                },
                vec![1],
            ),
            (
                Picked {
                    agent: some("mika"),
                    ..nothing()
                },
                vec![],
            ),
            (
                Picked {
                    reviewer: some("mika"),
                    ..nothing()
                },
                vec![2],
            ),
            (
                Picked {
                    reviewer: some("uid:1"),
                    ..nothing()
                },
                vec![],
            ),
            (
                Picked {
                    entry_type: some("execution."),
                    ..nothing()
                },
                vec![3],
            ),
            (
                Picked {
                    entry_type: some("execution"),
                    ..nothing()
                },
                vec![],
            ),
            (
                Picked {
                    entry_type: some("daemon.stopped"),
                    ..nothing()
                },
                vec![0],
            ),
            (
                Picked {
                    since: at(1),
                    until: at(3),
                    ..nothing()
                },
                vec![1, 2],
            ),
        ] {
            assert_eq!(picked(pick.clone()), expected, "{pick:?}");
        }
    }

    #[test]
    fn entries_of_others_about_what_an_agent_asked_for_are_the_agents_as_well() {
        let mut filter = Filter::new(Picked {
            agent: Some("uid:1".to_owned()),
            ..Picked::default()
        });
        filter.asked.insert(RequestId::from_bytes([1; 16]));
        let seqs: Vec<u64> = log()
            .into_iter()
            .filter(|entry| filter.holds(entry, &json!({})))
            .map(|entry| entry.seq)
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
    }
}
