//! `policy explain`: which policies spoke about a request, which facts they saw, what each
//! contributed, and who could approve it now.

use countersign_shared::explanation::{Explanation, Said, Saw, Spoke, Unknown};
use countersign_shared::machine::Side;
use serde_json::Value;

use crate::annotations::Ask;
use crate::catalogue::Key;
use crate::eligible::who_can_approve;
use crate::entities::unlisted;
use crate::facts::{Facts, FactsError};
use crate::judge::Judgement;
use crate::load::People;
use crate::load::{Policies, Rule};
use crate::rejudge::difference;

impl Policies {
    /// Explains a request by the `facts` and the `action` of its document, for the people of the
    /// roster and those behind the request, as if it were asked now.
    ///
    /// # Errors
    ///
    /// When the facts are of a form that this version does not know: nothing can be said then.
    pub fn explain(
        &self,
        facts: &Value,
        action: &Value,
        people: &People<'_>,
        side: &Side,
    ) -> Result<Explanation, FactsError> {
        let read = Facts::read(facts)?;
        let judgement = self.judge_document(facts, action);
        let text = |pointer: &str| action.pointer(pointer).and_then(Value::as_str);
        let key = Key::new(
            text("/target/kind").unwrap_or_default(),
            text("/target/name").unwrap_or_default(),
        );
        let evaluation = self.evaluate(&read, &key);
        let rules = evaluation.forbids.iter().chain(&evaluation.permits);
        let approvers = judgement
            .requirement()
            .map(|requirement| who_can_approve(requirement, people, side));
        Ok(Explanation {
            spoke: rules.map(|rule| self.spoke(rule, &read, &key)).collect(),
            unknown: self
                .unknown(&read, &key.kind, &key.name)
                .into_iter()
                .map(|(fact, why)| Unknown { fact, why })
                .collect(),
            approvers,
            judgement: match judgement {
                Judgement::Refused(refusal) => Said::Refused {
                    because: refusal.because,
                    errors: refusal.errors,
                },
                Judgement::Nobody(_) => Said::Nobody,
                Judgement::Held(held) => Said::Held {
                    requirement: Box::new(held.requirement),
                },
            },
            missing: None,
            state: None,
            other_rules: false,
        })
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
            .map(|fact| Saw {
                fact: fact.to_owned(),
                value: self.value(fact, facts, key),
            })
            .collect();
        Spoke {
            policy: rule.id.clone(),
            place: rule.place.to_string(),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use countersign_shared::home::Mode;
    use countersign_shared::text::Printable;

    use super::*;
    use crate::fixtures::{facts, load, members, people, sql};

    fn text(explanation: &Explanation) -> String {
        let lines = explanation.lines();
        let lines: Vec<&str> = lines.iter().map(Printable::as_str).collect();
        lines.join("\n")
    }

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
        let explanation =
            policies.explain(&facts, &action, &people(Mode::System, &members()), &side);
        let text = text(&explanation.unwrap());
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
        let explanation =
            policies.explain(&facts, &action, &people(Mode::System, &members()), &side);
        let text = text(&explanation.unwrap());
        assert!(
            text.contains("<U+202E>") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
    #[test]
    fn facts_of_another_form_are_not_guessed_at() {
        let policies = load("").unwrap();
        let action = sql("scratch", "SELECT 1");
        let side = Side {
            uid: 1,
            launchers: BTreeSet::new(),
            owner: None,
        };
        for facts in [serde_json::json!({}), serde_json::json!({"v": 2})] {
            let explained =
                policies.explain(&facts, &action, &people(Mode::System, &members()), &side);
            assert!(explained.is_err(), "{facts}");
        }
    }
}
