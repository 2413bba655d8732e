//! `policy explain`: which policies spoke about a request, which facts they saw, what each
//! contributed, and who could approve it now.

use std::fmt;

use countersign_shared::home::Mode;
use countersign_shared::machine::Side;
use countersign_shared::requirement::Member;
use countersign_shared::text::{Printable, Untrusted};
use serde_json::Value;

use crate::annotations::Ask;
use crate::catalogue::Key;
use crate::eligible::{Approvers, who_can_approve};
use crate::entities::unlisted;
use crate::facts::Facts;
use crate::judge::Judgement;
use crate::load::{Policies, Rule};
use crate::place::Place;
use crate::rejudge::difference;

/// One policy that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoke {
    /// Its id.
    pub policy: String,
    /// Where it stands.
    pub place: Place,
    /// What it contributed.
    pub contributed: String,
    /// The facts its condition read, as policies write them, and their values.
    pub saw: Vec<(String, Printable)>,
}

/// Why a request is where it is.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What policy says.
    pub judgement: Judgement,
    /// The policies that matched, in the order of the files.
    pub spoke: Vec<Spoke>,
    /// What is not known, and why.
    pub unknown: Vec<(String, Printable)>,
    /// Who could approve; nothing when policy refuses.
    pub approvers: Option<Approvers>,
}

impl Policies {
    /// Explains a request by the `facts` and the `action` of its document, for the people of the
    /// roster and those behind the request.
    pub fn explain(
        &self,
        facts: &Value,
        action: &Value,
        members: &[Member],
        side: &Side,
        mode: Mode,
    ) -> Explanation {
        let judgement = self.judge_document(facts, action);
        let text = |pointer: &str| action.pointer(pointer).and_then(Value::as_str);
        let key = Key::new(
            text("/target/kind").unwrap_or_default(),
            text("/target/name").unwrap_or_default(),
        );
        let (spoke, unknown) = match Facts::read(facts) {
            Err(_) => (Vec::new(), Vec::new()),
            Ok(facts) => {
                let evaluation = self.evaluate(&facts, &key);
                let rules = evaluation.forbids.iter().chain(&evaluation.permits);
                let spoke = rules.map(|rule| self.spoke(rule, &facts, &key)).collect();
                let unknown = self.unknown(&facts, &key.kind, &key.name);
                let unknown = unknown
                    .into_iter()
                    .map(|(name, why)| (name, Printable::exact(&Untrusted::new(why))));
                (spoke, unknown.collect())
            }
        };
        let approvers = judgement
            .requirement()
            .map(|requirement| who_can_approve(requirement, members, side, mode));
        Explanation {
            judgement,
            spoke,
            unknown,
            approvers,
        }
    }

    fn spoke(&self, rule: &Rule, facts: &Facts, key: &Key) -> Spoke {
        let contributed = match &rule.terms {
            None => match &rule.because {
                Some(because) => format!("forbids it: {because}"),
                None => "forbids it".to_owned(),
            },
            Some(terms) => match &terms.ask {
                Ask::Nobody => "asks nobody".to_owned(),
                Ask::People(seats) => {
                    let alone = self.of_permit(facts.kind(), rule, terms);
                    let mut base = self.default.clone();
                    base.reviews.clone_from(&alone.reviews);
                    let more = difference(&base, &alone);
                    let more = if more.is_empty() {
                        more
                    } else {
                        format!(", {more}")
                    };
                    format!("asks for {seats}{more}")
                }
            },
        };
        let saw = rule
            .mentions
            .iter()
            .map(|fact| {
                let value = self.value(fact, facts, key);
                (fact.to_owned(), Printable::exact(&Untrusted::new(value)))
            })
            .collect();
        Spoke {
            policy: rule.id.clone(),
            place: rule.place.clone(),
            contributed,
            saw,
        }
    }

    /// Returns the value of a fact, as text.
    fn value(&self, fact: &str, facts: &Facts, key: &Key) -> String {
        let Some((variable, name)) = fact.split_once('.') else {
            return String::new();
        };
        let target = self.catalogue.find(&key.kind, &key.name);
        let target = target.cloned().unwrap_or_else(|| unlisted(key));
        let found = match (variable, name) {
            ("context", "stated") => Some(Value::Object(facts.stated().clone())),
            ("context", name) => facts.computed().get(name).cloned(),
            ("principal", name) => facts.principal().get(name).cloned(),
            ("resource", "kind") => Some(Value::from(target.key.kind)),
            ("resource", "name") => Some(Value::from(target.key.name)),
            ("resource", "environment") => Some(Value::from(target.environment)),
            ("resource", "classification") => Some(Value::from(target.classification)),
            ("resource", "labels") => Some(target.labels.into_iter().collect()),
            ("resource", "parents") => Some(Value::from(
                target
                    .parent
                    .map_or_else(|| "none".to_owned(), |parent| parent.path()),
            )),
            (_, _) => None,
        };
        found.map_or_else(|| "all of it".to_owned(), |value| value.to_string())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.judgement {
            Judgement::Refused(refusal) => {
                writeln!(f, "refused: {}", refusal.because)?;
                for error in &refusal.errors {
                    writeln!(f, "  error: {error}")?;
                }
            }
            Judgement::Nobody(_) => writeln!(f, "passes: nobody is asked")?,
            Judgement::Held(held) => {
                let reviews: Vec<String> = held
                    .requirement
                    .reviews
                    .iter()
                    .map(|review| format!("{} (`{}`)", review.seats, review.policy))
                    .collect();
                writeln!(f, "held: {}", reviews.join(", and "))?;
                let (tier, why) = (held.requirement.tier, held.requirement.why.join("; "));
                writeln!(f, "tier {tier}: {why}")?;
            }
        }
        if self.spoke.is_empty() {
            writeln!(f, "no policy spoke about it")?;
        }
        for spoke in &self.spoke {
            writeln!(
                f,
                "policy `{}` at {} {}",
                spoke.policy, spoke.place, spoke.contributed
            )?;
            for (fact, value) in &spoke.saw {
                writeln!(f, "  saw {fact} = {}", value.as_str())?;
            }
        }
        for (fact, why) in &self.unknown {
            writeln!(f, "unknown {fact}: {}", why.as_str())?;
        }
        match &self.approvers {
            Some(approvers) => write!(f, "{}", approvers.sentence()),
            None => write!(f, "nobody can approve what is refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixtures::{facts, load, members, sql};

    #[test]
    fn an_explanation_names_policies_facts_contributions_and_people() {
        let policies = load(
            "@id(\"drops\") @review(\"1 of dba\") @tier(\"high\") @because(\"a table does not come back\")\n\
             permit (principal, action == Action::\"sql.exec\", resource)\n\
             when { context.statements.contains(\"drop\") && resource.environment == \"dev\" };",
        )
        .unwrap();
        let action = sql("scratch", "DROP TABLE t");
        let facts = facts(&policies, &action).to_value();
        let side = Side {
            uid: 1001,
            launchers: BTreeSet::new(),
            owner: None,
        };
        let text = policies
            .explain(&facts, &action, &members(), &side, Mode::System)
            .to_string();
        assert_eq!(
            text,
            "held: 1 of dba (`drops`)\n\
             tier high: a table does not come back (policy `drops`); it cannot be undone\n\
             policy `drops` at p.cedar:1:1 asks for 1 of dba, tier high instead of medium\n\
             \x20 saw context.statements = [\"drop\"]\n\
             \x20 saw resource.environment = \"dev\"\n\
             unknown context.data: the catalogue does not say what kind of data it is\n\
             ana could approve"
        );
    }

    #[test]
    fn text_of_an_agent_is_printable() {
        let policies = load(
            "@id(\"a\") @review(\"1 of sre\") permit (principal, action, resource) when { context.stated.reason != \"\" };",
        )
        .unwrap();
        let mut action = sql("scratch", "SELECT 1");
        action["claims"] = serde_json::json!({"reason": "x\u{202e}\u{1b}[2J"});
        let facts = facts(&policies, &action).to_value();
        let side = Side {
            uid: 1,
            launchers: BTreeSet::new(),
            owner: None,
        };
        let text = policies
            .explain(&facts, &action, &members(), &side, Mode::System)
            .to_string();
        assert!(
            text.contains("<U+202E>") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
