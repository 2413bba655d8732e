//! What policy says to a request: refused, nobody is asked, or held until people are.
//!
//! A forbid that matches refuses, whatever else happened. Otherwise whatever cannot be evaluated
//! refuses: Cedar skips a policy that fails, and a skipped forbid would be an open door. All
//! permits that match count together. A permit that asks nobody lets nothing pass that it could
//! not see: then the request is held, at tier high or above.

use cedar_policy::{Context, Decision, Request};
use countersign_shared::machine::PolicyOutcome;
use countersign_shared::requirement::{Requirement, Tier};
use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Map, Value};

use crate::annotations::{Ask, Terms};
use crate::catalogue::{Key, UNKNOWN};
use crate::entities::{Cast, expression};
use crate::facts::{Facts, Reversibility};
use crate::load::{Policies, Rule};

mod terms;
#[cfg(test)]
mod tests;

/// What a permit that asks nobody cannot do without, whatever its condition says.
const NEEDED: [&str; 9] = [
    "context.client",
    "context.kind",
    "context.host",
    "context.method",
    "context.paths",
    "context.program",
    "context.server",
    "context.statements",
    "context.tool",
];

/// What policy says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a judgement that nobody looks at permits nothing"]
pub enum Judgement {
    /// It cannot pass, whoever approves.
    Refused(Refusal),
    /// It passes; nobody is asked.
    Nobody(Permitted),
    /// It waits for people.
    Held(Held),
}

/// Why a request cannot pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for the requester to read.
    pub because: String,
    /// The forbids that matched.
    pub policies: Vec<String>,
    /// What could not be evaluated: a finding for the operator.
    pub errors: Vec<String>,
}

/// By what right a request passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// What holds of it; its reviews are empty.
    pub requirement: Requirement,
    /// The permits that matched.
    pub policies: Vec<String>,
}

/// What a request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What must happen before it may pass.
    pub requirement: Requirement,
    /// The permits that matched; none is the default requirement.
    pub policies: Vec<String>,
}

impl Judgement {
    /// Returns the policies that spoke.
    pub fn policies(&self) -> &[String] {
        match self {
            Self::Refused(refusal) => &refusal.policies,
            Self::Nobody(permitted) => &permitted.policies,
            Self::Held(held) => &held.policies,
        }
    }

    /// Returns what must happen before the request may pass; nothing when it cannot.
    pub const fn requirement(&self) -> Option<&Requirement> {
        match self {
            Self::Refused(_) => None,
            Self::Nobody(permitted) => Some(&permitted.requirement),
            Self::Held(held) => Some(&held.requirement),
        }
    }

    /// Returns what the request machine is told.
    pub const fn outcome(&self) -> PolicyOutcome {
        match self {
            Self::Refused(_) => PolicyOutcome::Refuse,
            Self::Nobody(_) => PolicyOutcome::Permit,
            Self::Held(_) => PolicyOutcome::Hold,
        }
    }

    /// Returns why, for the requester to read.
    pub fn because(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.because.clone(),
            Self::Nobody(permitted) => {
                format!("nobody is asked ({})", permitted.policies.join(", "))
            }
            Self::Held(held) => held.requirement.why.join("; "),
        }
    }

    /// Returns one word: `refused`, `nobody` or `held`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Nobody(_) => "nobody",
            Self::Held(_) => "held",
        }
    }
}

/// What Cedar made of a request.
pub(crate) struct Evaluation<'p> {
    pub(crate) permits: Vec<&'p Rule>,
    pub(crate) forbids: Vec<&'p Rule>,
    pub(crate) errors: Vec<String>,
}

impl Policies {
    /// Judges a request by its facts and the target of its action.
    pub fn judge(&self, facts: &Facts, target_kind: &str, target_name: &str) -> Judgement {
        let key = Key::new(target_kind, target_name);
        let evaluation = self.evaluate(facts, &key);
        self.conclude(facts, &key, &evaluation)
    }

    /// Judges the `facts` and the `action` of a request document, as they were written.
    pub fn judge_document(&self, facts: &Value, action: &Value) -> Judgement {
        let text = |pointer: &str| action.pointer(pointer).and_then(Value::as_str);
        let parts = Facts::read(facts).map_err(|error| error.to_string());
        let target = text("/target/kind")
            .zip(text("/target/name"))
            .ok_or_else(|| "the action has no target".to_owned());
        let kind = text("/kind");
        match (parts, target) {
            (Ok(facts), Ok((kind_of, name))) if Some(facts.kind()) == kind => {
                self.judge(&facts, kind_of, name)
            }
            (Ok(_), Ok(_)) => refused("the facts are of another kind than the action"),
            (Err(error), _) | (_, Err(error)) => refused(&error),
        }
    }

    /// Lets Cedar evaluate the policies. Total: whatever goes wrong is one of the errors.
    pub(crate) fn evaluate(&self, facts: &Facts, key: &Key) -> Evaluation<'_> {
        let mut evaluation = Evaluation {
            permits: Vec::new(),
            forbids: Vec::new(),
            errors: Vec::new(),
        };
        let (request, cast) = match self.request(facts, key) {
            Ok(request) => request,
            Err(error) => {
                evaluation.errors.push(printable(&error));
                return evaluation;
            }
        };
        let response = self
            .authorizer
            .is_authorized(&request, &self.set, &cast.entities);
        let diagnostics = response.diagnostics();
        evaluation.errors = diagnostics
            .errors()
            .map(|error| printable(&error.to_string()))
            .collect();
        for id in diagnostics.reason() {
            let id: &str = id.as_ref();
            match (self.rules.get(id), response.decision()) {
                (Some(rule), Decision::Allow) if rule.terms.is_some() => {
                    evaluation.permits.push(rule);
                }
                (Some(rule), Decision::Deny) if rule.terms.is_none() => {
                    evaluation.forbids.push(rule);
                }
                (_, Decision::Allow | Decision::Deny) => {
                    let id = printable(id);
                    let problem = format!("the policy `{id}` spoke with an effect it has not");
                    evaluation.errors.push(problem);
                }
            }
        }
        evaluation.permits.sort_by(|a, b| a.place.cmp(&b.place));
        evaluation.forbids.sort_by(|a, b| a.place.cmp(&b.place));
        evaluation.errors.sort();
        evaluation
    }

    /// Puts the request together and holds it against the schema.
    pub(crate) fn request(&self, facts: &Facts, key: &Key) -> Result<(Request, Cast), String> {
        let cast = self.entities.cast(&self.schema, facts, &self.kinds, key)?;
        let context = self.context(facts)?;
        let request = Request::new(
            cast.principal.clone(),
            cast.action.clone(),
            cast.resource.clone(),
            context,
            Some(&self.schema),
        )
        .map_err(|error| error.to_string())?;
        Ok((request, cast))
    }

    fn context(&self, facts: &Facts) -> Result<Context, String> {
        let mut pairs = Vec::with_capacity(facts.computed().len().saturating_add(1));
        for (name, value) in facts.computed() {
            let value = if name == "data" {
                expression(&self.classified(facts, value))?
            } else {
                expression(value)?
            };
            pairs.push((name.clone(), value));
        }
        let stated = expression(&Value::Object(facts.stated().clone()))?;
        pairs.push(("stated".to_owned(), stated));
        Context::from_pairs(pairs).map_err(|error| error.to_string())
    }

    /// Adds what the catalogue says of the data an action touches.
    fn classified(&self, facts: &Facts, data: &Value) -> Value {
        let mut members = data.as_object().cloned().unwrap_or_else(Map::new);
        let mut classes: Vec<&str> = data_names(facts)
            .map(|name| self.catalogue.classification_of_data(name))
            .collect();
        classes.sort_unstable();
        classes.dedup();
        members.insert("classifications".to_owned(), Value::from(classes));
        Value::Object(members)
    }

    /// Returns what is not known of a request, by the path policies write, and why: what the facts
    /// say, and what the catalogue does not.
    pub fn unknown(
        &self,
        facts: &Facts,
        target_kind: &str,
        target_name: &str,
    ) -> Vec<(String, String)> {
        self.unknown_of(facts, &Key::new(target_kind, target_name))
    }

    fn unknown_of(&self, facts: &Facts, key: &Key) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = facts
            .unknown()
            .iter()
            .map(|(name, why)| (name.clone(), why.clone()))
            .collect();
        let listed = self.catalogue.find(&key.kind, &key.name);
        let mut add = |name: &str, why: &str| all.push((name.to_owned(), why.to_owned()));
        match listed {
            None => {
                for name in ["environment", "labels", "classification", "parents"] {
                    add(
                        &format!("resource.{name}"),
                        "the target is not in the catalogue",
                    );
                }
            }
            Some(target) => {
                let why = "the catalogue does not say";
                if target.environment == UNKNOWN {
                    add("resource.environment", why);
                }
                if target.classification == UNKNOWN {
                    add("resource.classification", why);
                }
            }
        }
        if data_names(facts).any(|name| self.catalogue.classification_of_data(name) == UNKNOWN) {
            add(
                "context.data",
                "the catalogue does not say what kind of data it is",
            );
        }
        all.sort();
        all
    }

    /// Returns what the forbids for such requests would have had to see: one of them might have spoken.
    fn unseen(&self, facts: &Facts, key: &Key, unknown: &[(String, String)]) -> Vec<String> {
        let reads = |rule: &Rule| unknown.iter().any(|(name, _)| rule.mentions.has(name));
        let mut forbids = self.rules.values().filter(|rule| rule.terms.is_none());
        if !forbids.any(reads) {
            return Vec::new();
        }
        let (request, cast) = match self.request(facts, key) {
            Ok(request) => request,
            Err(error) => return vec![printable(&error)],
        };
        let in_scope = self
            .authorizer
            .is_authorized(&request, &self.forbidden, &cast.entities);
        let mut why = Vec::new();
        for id in in_scope.diagnostics().reason() {
            let id: &str = id.as_ref();
            for (name, reason) in unknown {
                if self
                    .rules
                    .get(id)
                    .is_none_or(|rule| rule.mentions.has(name))
                {
                    why.push(format!("unknown {}: {reason} (policy `{id}`)", short(name)));
                }
            }
        }
        why.sort();
        why
    }

    pub(crate) fn conclude(
        &self,
        facts: &Facts,
        key: &Key,
        evaluation: &Evaluation<'_>,
    ) -> Judgement {
        if !evaluation.forbids.is_empty() {
            let because = evaluation.forbids.iter().map(|rule| match &rule.because {
                Some(because) => because.clone(),
                None => format!("policy `{}` forbids it", rule.id),
            });
            return Judgement::Refused(Refusal {
                because: because.collect::<Vec<_>>().join("; "),
                policies: ids(&evaluation.forbids),
                errors: evaluation.errors.clone(),
            });
        }
        if !evaluation.errors.is_empty() {
            return Judgement::Refused(Refusal {
                because: "the policies could not be evaluated; the operator has the reason"
                    .to_owned(),
                policies: Vec::new(),
                errors: evaluation.errors.clone(),
            });
        }
        let unknown = self.unknown_of(facts, key);
        let policies = ids(&evaluation.permits);
        let mut raised = not_shown(facts);
        if !policies.is_empty() {
            raised.extend(grave(facts, &unknown));
        }
        let people: Vec<(&Rule, &Terms)> = terms(&evaluation.permits)
            .filter(|(_, terms)| terms.ask != Ask::Nobody)
            .collect();
        let nobody: Vec<(&Rule, &Terms)> = terms(&evaluation.permits)
            .filter(|(_, terms)| terms.ask == Ask::Nobody)
            .collect();
        let mut requirement = self.asked(facts.kind(), &people);
        if policies.is_empty() {
            let tier = requirement.tier;
            requirement.why = vec![format!("no policy speaks about it: the default is {tier}")];
        }
        if people.is_empty() && !nobody.is_empty() {
            for (rule, _) in &nobody {
                raised.extend(blind(rule, &unknown));
            }
            raised.extend(self.unseen(facts, key, &unknown));
            if raised.is_empty() {
                return Judgement::Nobody(Permitted {
                    requirement: self.unasked(&nobody),
                    policies,
                });
            }
        }
        if !raised.is_empty() {
            // Reasons stand for the tier that binds; what is below it explains nothing.
            match requirement.tier.cmp(&Tier::High) {
                std::cmp::Ordering::Less => requirement.why = raised,
                std::cmp::Ordering::Equal => requirement.why.extend(raised),
                std::cmp::Ordering::Greater => {}
            }
            requirement.tier = requirement.tier.max(Tier::High);
        }
        requirement.why.dedup();
        Judgement::Held(Held {
            requirement,
            policies,
        })
    }
}

/// Returns what raises every request to tier high: what a reviewer cannot see.
fn not_shown(facts: &Facts) -> Vec<String> {
    let mut why = Vec::new();
    if facts.flag("hidden_text") {
        why.push("its text hides characters".to_owned());
    }
    if facts.flag("opaque_contents") {
        why.push("it has contents that cannot be shown".to_owned());
    }
    why
}

/// Returns what raises a request to tier high that policies speak about. The default requirement is
/// what the operator says of all the rest, grave or not.
fn grave(facts: &Facts, unknown: &[(String, String)]) -> Vec<String> {
    let mut why = Vec::new();
    if facts.word("reversibility") == Reversibility::Irreversible.word() {
        why.push("it cannot be undone".to_owned());
    }
    for (name, reason) in unknown {
        // A program nobody could read is ordinary; people can judge it, policy alone cannot.
        if NEEDED.contains(&name.as_str()) && name != "context.program" {
            why.push(format!("unknown {}: {reason}", short(name)));
        }
    }
    why
}

/// Returns what a permit that asks nobody would have had to see.
fn blind(rule: &Rule, unknown: &[(String, String)]) -> Vec<String> {
    unknown
        .iter()
        .filter(|(name, _)| NEEDED.contains(&name.as_str()) || rule.mentions.has(name))
        .map(|(name, why)| format!("unknown {}: {why} (policy `{}`)", short(name), rule.id))
        .collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("context.").unwrap_or(name)
}

fn data_names(facts: &Facts) -> impl Iterator<Item = &str> {
    let computed = facts.computed();
    let listed = computed.get("data").and_then(|data| data.get("names"));
    [listed, computed.get("tables")]
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(Value::as_str)
}

fn ids(rules: &[&Rule]) -> Vec<String> {
    rules.iter().map(|rule| rule.id.clone()).collect()
}

fn terms<'r>(rules: &'r [&'r Rule]) -> impl Iterator<Item = (&'r Rule, &'r Terms)> {
    rules
        .iter()
        .filter_map(|rule| rule.terms.as_ref().map(|terms| (*rule, terms)))
}

fn refused(error: &str) -> Judgement {
    Judgement::Refused(Refusal {
        because: "the policies could not be evaluated; the operator has the reason".to_owned(),
        policies: Vec::new(),
        errors: vec![printable(error)],
    })
}

/// Writes a text that may quote an agent's.
fn printable(text: &str) -> String {
    Printable::exact(&Untrusted::new(text)).as_str().to_owned()
}
