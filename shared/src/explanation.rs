//! Why a request is where it is: what policy says of it, on what facts, and who could approve it.
//!
//! The daemon works it out and people's programs show it, so its form and its words are here. It
//! carries no authority, and nothing of it is signed.

use serde::{Deserialize, Serialize};

use crate::machine::State;
use crate::requirement::Requirement;
use crate::text::{Printable, Untrusted};

/// What policy says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum Said {
    /// It cannot pass.
    Refused {
        /// Why, as the requester is told.
        because: String,
        /// What could not be evaluated.
        errors: Vec<String>,
    },
    /// It passes, and nobody is asked.
    Nobody,
    /// It waits for people.
    Held {
        /// What must happen before it may pass.
        requirement: Box<Requirement>,
    },
}

/// One policy that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoke {
    /// Its id.
    pub policy: String,
    /// Where it stands: file, line and column.
    pub place: String,
    /// What it contributed.
    pub contributed: String,
    /// The facts its condition read.
    pub saw: Vec<Saw>,
}

/// A fact that a condition read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saw {
    /// The fact, as policies write it.
    pub fact: String,
    /// Its value, as JSON.
    pub value: String,
}

/// A fact that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// The fact, as policies write it.
    pub fact: String,
    /// Why.
    pub why: String,
}

/// Who could approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvers {
    /// Everybody who could fill a seat, sorted by name.
    pub people: Vec<String>,
    /// Those who are in the roster and stand behind the request.
    pub excluded: Vec<String>,
    /// Whether the only way is that the requester's side attests for itself (R4).
    pub self_attested: bool,
    /// The groups whose seats nobody is left for; empty when the request can be approved.
    pub missing: Vec<String>,
}

/// Why a request is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// What policy says.
    pub judgement: Said,
    /// The policies that matched, in the order of the files.
    pub spoke: Vec<Spoke>,
    /// What is not known, and why.
    pub unknown: Vec<Unknown>,
    /// Who could approve; nothing when nobody can any more.
    pub approvers: Option<Approvers>,
    /// Whom it still waits for, where some have approved already: `waits for sre`.
    pub missing: Option<String>,
    /// Where the request stands, once it does not wait any more.
    pub state: Option<State>,
    /// Whether the request was received under other rules than those it is judged by here.
    pub other_rules: bool,
}

impl Approvers {
    /// Tells whether enough distinct people could approve.
    pub fn can_satisfy(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns a sentence for people.
    pub fn sentence(&self) -> String {
        let excluded = if self.excluded.is_empty() || self.self_attested {
            String::new()
        } else {
            format!(
                "; {} stands behind the request and may not",
                self.excluded.join(", ")
            )
        };
        if !self.can_satisfy() {
            return format!(
                "nobody could approve this now: no one is left for {}{excluded}",
                self.missing.join(" and ")
            );
        }
        if self.people.is_empty() {
            return "nobody is asked".to_owned();
        }
        if self.self_attested {
            return format!("{} may confirm their own request", self.people.join(", "));
        }
        format!("{} could approve{excluded}", self.people.join(", "))
    }
}

impl Explanation {
    /// Returns what people read, line by line.
    pub fn lines(&self) -> Vec<Printable> {
        let mut lines = self.judged();
        if self.spoke.is_empty() {
            lines.push(Printable::ours("no policy spoke about it"));
        }
        for spoke in &self.spoke {
            lines.push(Printable::concat([
                &Printable::ours("policy `"),
                &shown(&spoke.policy),
                &Printable::ours("` at "),
                &shown(&spoke.place),
                &Printable::ours(" "),
                &shown(&spoke.contributed),
            ]));
            for saw in &spoke.saw {
                lines.push(Printable::concat([
                    &Printable::ours("  saw "),
                    &shown(&saw.fact),
                    &Printable::ours(" = "),
                    &shown(&saw.value),
                ]));
            }
        }
        for unknown in &self.unknown {
            lines.push(Printable::concat([
                &Printable::ours("unknown "),
                &shown(&unknown.fact),
                &Printable::ours(": "),
                &shown(&unknown.why),
            ]));
        }
        if self.other_rules {
            lines.push(Printable::ours(
                "this is what the rules in force say; it was received under others",
            ));
        }
        lines.push(self.who());
        lines
    }

    fn judged(&self) -> Vec<Printable> {
        match &self.judgement {
            Said::Refused { because, errors } => {
                let mut lines = vec![Printable::concat([
                    &Printable::ours("refused: "),
                    &shown(because),
                ])];
                for error in errors {
                    lines.push(Printable::concat([
                        &Printable::ours("  error: "),
                        &shown(error),
                    ]));
                }
                lines
            }
            Said::Nobody => vec![Printable::ours("passes: nobody is asked")],
            Said::Held { requirement } => {
                let reviews: Vec<String> = requirement
                    .reviews
                    .iter()
                    .map(|review| format!("{} (`{}`)", review.seats, review.policy))
                    .collect();
                let (tier, why) = (requirement.tier, requirement.why.join("; "));
                vec![
                    Printable::concat([
                        &Printable::ours("held: "),
                        &shown(&reviews.join(", and ")),
                    ]),
                    Printable::concat([
                        &Printable::from_ours(format!("tier {tier}: ")),
                        &shown(&why),
                    ]),
                ]
            }
        }
    }

    fn who(&self) -> Printable {
        match (self.state, &self.approvers, &self.judgement) {
            (Some(state), _, _) => {
                Printable::from_ours(format!("it is {state}, and waits for nobody"))
            }
            (None, Some(approvers), _) => {
                let missing = match &self.missing {
                    Some(missing) => format!("; it still {missing}"),
                    None => String::new(),
                };
                shown(&format!("{}{missing}", approvers.sentence()))
            }
            (None, None, Said::Refused { .. }) => {
                Printable::ours("nobody can approve what is refused")
            }
            (None, None, Said::Nobody | Said::Held { .. }) => {
                Printable::ours("who could approve it is not known")
            }
        }
    }
}

fn shown(text: &str) -> Printable {
    Printable::exact(&Untrusted::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation() -> Explanation {
        Explanation {
            judgement: Said::Refused {
                because: "closed".to_owned(),
                errors: Vec::new(),
            },
            spoke: vec![Spoke {
                policy: "a".to_owned(),
                place: "policy/a.cedar:1:1".to_owned(),
                contributed: "forbids it: closed".to_owned(),
                saw: vec![Saw {
                    fact: "context.stated".to_owned(),
                    value: "\"x\u{202e}\u{1b}[2J\"".to_owned(),
                }],
            }],
            unknown: Vec::new(),
            approvers: None,
            missing: None,
            state: None,
            other_rules: false,
        }
    }

    fn text(explanation: &Explanation) -> String {
        let lines = explanation.lines();
        let lines: Vec<&str> = lines.iter().map(Printable::as_str).collect();
        lines.join("\n")
    }

    #[test]
    fn whatever_an_agent_wrote_is_shown_and_does_nothing() {
        let text = text(&explanation());
        assert!(text.contains("<U+202E>"), "{text}");
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
        assert!(
            text.ends_with("nobody can approve what is refused"),
            "{text}"
        );
    }

    #[test]
    fn the_last_line_says_who_could_approve_as_it_stands() {
        let mut explanation = explanation();
        explanation.judgement = Said::Nobody;
        explanation.state = Some(State::Denied);
        explanation.other_rules = true;
        let ended = text(&explanation);
        assert!(ended.ends_with("received under others\nit is denied, and waits for nobody"));
        explanation.state = None;
        explanation.approvers = Some(Approvers {
            people: vec!["ana".to_owned(), "bo".to_owned()],
            excluded: Vec::new(),
            self_attested: false,
            missing: Vec::new(),
        });
        explanation.missing = Some("waits for sre".to_owned());
        assert!(text(&explanation).ends_with("ana, bo could approve; it still waits for sre"));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let written = serde_json::to_value(explanation()).unwrap();
        assert_eq!(written["judgement"]["says"], "refused");
        let read: Explanation = serde_json::from_value(written).unwrap();
        assert_eq!(read, explanation());
    }
}
