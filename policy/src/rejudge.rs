//! What new rules do to a request that was asked under old ones.
//!
//! The old requirement stands in the document that people sign, so it cannot change: either it
//! still covers what the new rules ask, or the request ends and is asked again.

use countersign_shared::requirement::Requirement;
use serde_json::Value;

use crate::judge::Judgement;
use crate::load::Policies;

/// What becomes of a request under new rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request that no longer stands must be ended"]
pub enum Standing {
    /// It goes on: what was signed, or will be, satisfies the new rules as well.
    Stands,
    /// It ends.
    Invalidated {
        /// Why, for both sides to read.
        because: String,
        /// What would have to happen now; nothing where the new rules refuse it.
        joined: Option<Box<Requirement>>,
    },
}

impl Policies {
    /// Judges a request of the past under these policies: its requirement, and the `facts` and the
    /// `action` of its document.
    pub fn rejudge(&self, old: &Requirement, facts: &Value, action: &Value) -> Standing {
        let judgement = self.judge_document(facts, action);
        let new = match judgement {
            Judgement::Refused(refusal) => {
                return Standing::Invalidated {
                    because: format!("the new rules refuse it: {}", refusal.because),
                    joined: None,
                };
            }
            Judgement::Nobody(permitted) => permitted.requirement,
            Judgement::Held(held) => held.requirement,
        };
        let mut new = new;
        if new.reviews.is_empty() {
            // Where nobody is asked, nobody attests.
            new.self_attest = old.self_attest;
        }
        // Who was never asked satisfied nothing that a new rule asks.
        let covered = old.covers(&new);
        if covered {
            return Standing::Stands;
        }
        let joined = old.join(&new);
        Standing::Invalidated {
            because: format!("the new rules ask for more: {}", difference(old, &joined)),
            joined: Some(Box::new(joined)),
        }
    }
}

/// Says in which components the second requirement is stricter than the first.
pub fn difference(old: &Requirement, new: &Requirement) -> String {
    let mut all = Vec::new();
    for review in &new.reviews {
        if !old.reviews.iter().any(|it| it.seats == review.seats) {
            all.push(format!("{} (policy `{}`)", review.seats, review.policy));
        }
    }
    if new.tier != old.tier {
        all.push(format!("tier {} instead of {}", new.tier, old.tier));
    }
    if new.assurance != old.assurance {
        let (new, old) = (new.assurance, old.assurance);
        all.push(format!("assurance {new} instead of {old}"));
    }
    if new.reason_required && !old.reason_required {
        all.push("a reason".to_owned());
    }
    for (what, new, old) in [
        ("a lifetime", new.ttl_s, old.ttl_s),
        ("an approval's validity", new.grant_s, old.grant_s),
        ("a run", new.max_run_s, old.max_run_s),
    ] {
        if new != old {
            all.push(format!("{what} of {new} seconds instead of {old}"));
        }
    }
    if new.run_by != old.run_by {
        all.push("the daemon as executor".to_owned());
    }
    if old.self_attest && !new.self_attest {
        all.push("somebody other than the requester's side".to_owned());
    }
    for advice in new
        .advice
        .iter()
        .filter(|advice| !old.advice.contains(advice))
    {
        all.push(format!("attention to \"{advice}\""));
    }
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{default_requirement, facts, load, sql};

    fn judged(text: &str) -> (Requirement, Value, Value) {
        let policies = load(text).unwrap();
        let action = sql("scratch", "SELECT 1");
        let facts = facts(&policies, &action).to_value();
        let judgement = policies.judge_document(&facts, &action);
        (judgement.requirement().unwrap().clone(), facts, action)
    }

    fn permit(annotations: &str) -> String {
        format!("@id(\"a\") {annotations} permit (principal, action, resource);")
    }

    #[track_caller]
    fn becomes(old: &str, new: &str, expected: Option<&str>) {
        let (requirement, facts, action) = judged(old);
        match (
            load(new).unwrap().rejudge(&requirement, &facts, &action),
            expected,
        ) {
            (Standing::Stands, None) => {}
            (Standing::Invalidated { because, .. }, Some(expected)) => {
                assert_eq!(because, expected);
            }
            (standing, _) => panic!("{standing:?}"),
        }
    }

    #[test]
    fn what_new_rules_do_to_an_old_request() {
        let one = permit("@review(\"1 of sre\")");
        becomes(&one, &one, None);
        becomes(&one, &one.replace("\"a\"", "\"renamed\""), None);
        becomes(&one, &permit("@review(\"nobody\")"), None);
        becomes(
            &permit("@review(\"2 of sre\") @tier(\"high\")"),
            &permit("@review(\"2 of sre\")"),
            None,
        );
        becomes(
            &one,
            &permit("@review(\"1 of sre and 1 of dba\") @tier(\"high\")"),
            Some(
                "the new rules ask for more: 1 of dba and 1 of sre (policy `a`), tier high instead \
                 of medium",
            ),
        );
        becomes(
            &one,
            "@id(\"f\") @because(\"closed\") forbid (principal, action, resource);",
            Some("the new rules refuse it: closed"),
        );
    }

    #[test]
    fn what_nobody_was_asked_about_does_not_stand_once_somebody_is() {
        let (requirement, facts, action) = judged(&permit("@review(\"nobody\")"));
        assert!(requirement.reviews.is_empty());
        let standing = load("").unwrap().rejudge(&requirement, &facts, &action);
        assert!(matches!(
            standing,
            Standing::Invalidated {
                joined: Some(_),
                ..
            }
        ));
    }

    #[test]
    fn a_document_without_facts_does_not_stand() {
        let standing = load("").unwrap().rejudge(
            &default_requirement(),
            &serde_json::json!({}),
            &sql("scratch", "SELECT 1"),
        );
        assert!(matches!(
            standing,
            Standing::Invalidated { joined: None, .. }
        ));
    }
}
