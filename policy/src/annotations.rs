//! What a policy says beside its condition: the annotations, each with its small grammar.
//!
//! Cedar ignores annotations it does not know. Here an unknown one is an error, because a mistyped
//! `@reveiw` is a control that is off.

use std::collections::BTreeMap;

use cedar_policy::Effect;
use countersign_shared::limits::read_span;
use countersign_shared::requirement::{
    Assurance, Escalation, EscalationError, Review, RunBy, Tier,
};

/// The annotations a permit may have, in the order the guide explains them.
pub const OF_PERMITS: [&str; 13] = [
    "id",
    "review",
    "tier",
    "ttl",
    "grant",
    "max_run",
    "assurance",
    "reason",
    "run_by",
    "escalate",
    "self_attest",
    "advice",
    "because",
];

/// The annotations a forbid may have.
pub const OF_FORBIDS: [&str; 2] = ["id", "because"];

/// Those that mean nothing where nobody is asked.
const OF_PEOPLE: [&str; 6] = [
    "ttl",
    "assurance",
    "reason",
    "escalate",
    "self_attest",
    "advice",
];

/// How long an advice or a reason may be, in bytes.
const LONGEST: usize = 500;

/// An annotation is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// There is no such annotation.
    #[error("there is no annotation `@{name}`; {known}")]
    Unknown {
        /// What was written.
        name: String,
        /// What there is.
        known: String,
    },
    /// It stands on a policy of the other effect.
    #[error("`@{name}` says nothing on a {effect}; {hint}")]
    WrongEffect {
        /// The annotation.
        name: String,
        /// `permit` or `forbid`.
        effect: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Its value is not in its grammar.
    #[error("`@{name}(\"{}\")`: {problem}", value.escape_debug())]
    Value {
        /// The annotation.
        name: &'static str,
        /// What was written.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// The permit does not say who is asked.
    #[error(
        "this permit does not say who is asked: add `@review(\"1 of GROUP\")`, or \
         `@review(\"nobody\")` if nobody is"
    )]
    NoReview,
    /// It asks for people's attention, and nobody is asked.
    #[error("`@{name}` says nothing where nobody is asked; remove it, or ask somebody")]
    NobodyIsAsked {
        /// The annotation.
        name: &'static str,
    },
    /// Nobody is asked about something that matters.
    #[error("tier {tier} without anybody to ask: `nobody` goes with tier low only")]
    NobodyAboveLow {
        /// The tier.
        tier: Tier,
    },
    /// Its value could never take force.
    #[error("`@self_attest(\"allow\")` never takes force here: {problem}")]
    NeverSelfAttested {
        /// Why.
        problem: &'static str,
    },
}

impl AnnotationError {
    /// Returns the annotation it is about, if it is about one.
    pub fn annotation(&self) -> Option<&str> {
        match self {
            Self::Unknown { name, .. } | Self::WrongEffect { name, .. } => Some(name),
            Self::Value { name, .. } | Self::NobodyIsAsked { name } => Some(name),
            Self::NoReview => None,
            Self::NobodyAboveLow { .. } => Some("tier"),
            Self::NeverSelfAttested { .. } => Some("self_attest"),
        }
    }
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Nobody.
    Nobody,
    /// These seats.
    People(Review),
}

/// What a permit says. `None` is what it leaves to the default requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Who is asked.
    pub ask: Ask,
    /// How much is at stake.
    pub tier: Option<Tier>,
    /// The request's lifetime, in seconds.
    pub ttl_s: Option<u32>,
    /// How long an approval may wait for its use, in seconds.
    pub grant_s: Option<u32>,
    /// How long the run may take, in seconds.
    pub max_run_s: Option<u32>,
    /// How sure we must be that the person was there.
    pub assurance: Option<Assurance>,
    /// Whether an approval must say why.
    pub reason_required: bool,
    /// Who may execute.
    pub run_by: Option<RunBy>,
    /// Who is called when nobody decides.
    pub escalate: Vec<Escalation>,
    /// Whether the requester's side may attest for itself.
    pub self_attest: bool,
    /// What reviewers should know.
    pub advice: Option<String>,
    /// Why the policy is there.
    pub because: Option<String>,
}

/// Reads the annotations of a policy, by name; a forbid has none but its `because`.
///
/// # Errors
///
/// Everything that is wrong.
pub fn read(
    effect: Effect,
    written: &BTreeMap<&str, &str>,
) -> Result<Option<Terms>, Vec<AnnotationError>> {
    let mut errors: Vec<AnnotationError> = written
        .keys()
        .filter_map(|name| misplaced(effect, name))
        .collect();
    let mut reader = Reader {
        written,
        errors: &mut errors,
    };
    let because = reader.phrase("because");
    let terms = match effect {
        Effect::Forbid => None,
        Effect::Permit => Some(reader.terms(because)),
    };
    if errors.is_empty() {
        Ok(terms)
    } else {
        Err(errors)
    }
}

fn misplaced(effect: Effect, name: &str) -> Option<AnnotationError> {
    let (known, word, hint): (&[&str], _, _) = match effect {
        Effect::Permit => (&OF_PERMITS, "permit", "remove it"),
        Effect::Forbid => (
            &OF_FORBIDS,
            "forbid",
            "a forbid refuses, whoever approves; remove it, or write a permit",
        ),
    };
    if known.contains(&name) {
        return None;
    }
    let name = name.to_owned();
    if OF_PERMITS.contains(&name.as_str()) {
        return Some(AnnotationError::WrongEffect {
            name,
            effect: word,
            hint,
        });
    }
    let known = known
        .iter()
        .map(|name| format!("@{name}"))
        .collect::<Vec<_>>();
    Some(AnnotationError::Unknown {
        name,
        known: format!("a {word} has {}", known.join(" ")),
    })
}

struct Reader<'a> {
    written: &'a BTreeMap<&'a str, &'a str>,
    errors: &'a mut Vec<AnnotationError>,
}

impl Reader<'_> {
    /// Reads one annotation with its grammar, which returns what is wrong.
    fn take<T>(
        &mut self,
        name: &'static str,
        grammar: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = *self.written.get(name)?;
        match grammar(value) {
            Ok(read) => Some(read),
            Err(problem) => {
                self.errors.push(AnnotationError::Value {
                    name,
                    value: value.to_owned(),
                    problem,
                });
                None
            }
        }
    }

    fn phrase(&mut self, name: &'static str) -> Option<String> {
        self.take(name, |text| {
            if text.trim().is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
                return Err(format!("write one line of at most {LONGEST} bytes"));
            }
            Ok(text.to_owned())
        })
    }

    fn terms(&mut self, because: Option<String>) -> Terms {
        let ask = self.take("review", ask);
        if !self.written.contains_key("review") {
            self.errors.push(AnnotationError::NoReview);
        }
        let terms = Terms {
            ask: ask.unwrap_or(Ask::Nobody),
            tier: self.take("tier", tier),
            ttl_s: self.take("ttl", seconds),
            grant_s: self.take("grant", seconds),
            max_run_s: self.take("max_run", seconds),
            assurance: self.take("assurance", |text| {
                text.parse().map_err(|_| {
                    let known: Vec<String> =
                        Assurance::ALL.iter().map(ToString::to_string).collect();
                    format!("it is one of {}", known.join(", "))
                })
            }),
            reason_required: self.take("reason", |text| only(text, "required")).is_some(),
            run_by: self.take("run_by", |text| match text {
                "daemon" => Ok(RunBy::Daemon),
                "agent" => Ok(RunBy::Agent),
                _ => Err("it is `daemon` or `agent`".to_owned()),
            }),
            escalate: self
                .take("escalate", |text| {
                    text.parse()
                        .map_err(|error: EscalationError| error.to_string())
                })
                .into_iter()
                .collect(),
            self_attest: self
                .take("self_attest", |text| only(text, "allow"))
                .is_some(),
            advice: self.phrase("advice"),
            because,
        };
        self.judge(&terms);
        terms
    }

    /// Refuses what contradicts itself.
    fn judge(&mut self, terms: &Terms) {
        match &terms.ask {
            Ask::Nobody if self.written.get("review") == Some(&"nobody") => {
                if let Some(tier) = terms.tier.filter(|tier| *tier > Tier::Low) {
                    self.errors.push(AnnotationError::NobodyAboveLow { tier });
                }
                for name in OF_PEOPLE {
                    if self.written.contains_key(name) {
                        self.errors.push(AnnotationError::NobodyIsAsked { name });
                    }
                }
            }
            Ask::People(review) if terms.self_attest => {
                let problem = if review.people() > 1 {
                    Some("more than one seat is asked for")
                } else if terms.tier == Some(Tier::Critical) {
                    Some("the tier is critical")
                } else {
                    None
                };
                let never = problem.map(|problem| AnnotationError::NeverSelfAttested { problem });
                self.errors.extend(never);
            }
            Ask::Nobody | Ask::People(_) => {}
        }
    }
}

fn ask(text: &str) -> Result<Ask, String> {
    if text == "nobody" {
        return Ok(Ask::Nobody);
    }
    text.parse()
        .map(Ask::People)
        .map_err(|_: countersign_shared::requirement::ReviewError| {
            "write `N of GROUP`, joined with `and`, each group once and N from 1 to 16; or \
             `nobody`"
                .to_owned()
        })
}

fn tier(text: &str) -> Result<Tier, String> {
    [Tier::Low, Tier::Medium, Tier::High, Tier::Critical]
        .into_iter()
        .find(|tier| tier.word() == text)
        .ok_or_else(|| "it is low, medium, high or critical".to_owned())
}

fn only(text: &str, word: &str) -> Result<(), String> {
    if text == word {
        Ok(())
    } else {
        Err(format!("the only value is `{word}`"))
    }
}

fn seconds(text: &str) -> Result<u32, String> {
    let span = read_span(text).map_err(|error| error.to_string())?;
    u32::try_from(span.as_secs())
        .ok()
        .filter(|_| span.subsec_nanos() == 0)
        .ok_or_else(|| "it must be whole seconds, at most 136 years".to_owned())
}

#[cfg(test)]
mod tests;
