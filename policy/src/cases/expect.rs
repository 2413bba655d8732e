//! What a case expects, and how it differs from what policy says.

use std::collections::BTreeSet;

use countersign_shared::requirement::Review;
use serde::Deserialize;

use crate::judge::Judgement;

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub what: &'static str,
    /// What the case says.
    pub expected: String,
    /// What policy says.
    pub found: String,
}

/// What a case expects; what it does not say is not looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// `nobody`, `held` or `refused`.
    outcome: String,
    /// The reviews that must be satisfied, each as a policy writes it, in any order.
    seats: Option<Vec<String>>,
    tier: Option<String>,
    /// The policies that spoke, in any order.
    policies: Option<BTreeSet<String>>,
    /// What the refusal says, or a part of it.
    because: Option<String>,
    /// What one of the reasons of the tier says, or a part of it.
    why: Option<String>,
    assurance: Option<String>,
    ttl_s: Option<u32>,
    run_by: Option<String>,
    self_attest: Option<bool>,
}

impl Expect {
    pub(super) fn problem(&self) -> Option<String> {
        if !["nobody", "held", "refused"].contains(&self.outcome.as_str()) {
            return Some("an `outcome` is `nobody`, `held` or `refused`".to_owned());
        }
        let seats = self.seats.iter().flatten();
        for text in seats {
            if let Err(error) = text.parse::<Review>() {
                return Some(error.to_string());
            }
        }
        if self.outcome == "refused" && (self.seats.is_some() || self.tier.is_some()) {
            return Some("what is refused has no `seats` and no `tier`".to_owned());
        }
        if self.outcome != "refused" && self.because.is_some() {
            return Some("only what is refused has a `because`; a tier has a `why`".to_owned());
        }
        None
    }

    pub(super) fn compare(&self, judgement: &Judgement) -> Vec<Difference> {
        let mut all = Differences::default();
        all.add("outcome", &self.outcome, judgement.word());
        if let Some(expected) = &self.policies {
            let found: BTreeSet<String> = judgement.policies().iter().cloned().collect();
            all.add("policies", &list(expected), &list(&found));
        }
        if let (Some(expected), Judgement::Refused(refusal)) = (&self.because, judgement)
            && !refusal.because.contains(expected.as_str())
        {
            all.add("because", expected, &refusal.because);
        }
        if let Judgement::Refused(refusal) = judgement {
            for error in &refusal.errors {
                all.add("error", "none", error);
            }
        }
        let Some(requirement) = judgement.requirement() else {
            return all.0;
        };
        if let Some(expected) = &self.seats {
            // INVARIANT: `problem` refused what cannot be read; the same seats are written the same.
            let expected: BTreeSet<String> = expected
                .iter()
                .filter_map(|text| text.parse::<Review>().ok())
                .map(|review| review.to_string())
                .collect();
            let found: BTreeSet<String> = requirement
                .reviews
                .iter()
                .map(|review| review.seats.to_string())
                .collect();
            all.add("seats", &list(&expected), &list(&found));
        }
        if let Some(expected) = &self.why {
            let found = requirement.why.join("; ");
            if !found.contains(expected.as_str()) {
                all.add("why", expected, &found);
            }
        }
        let assurance = requirement.assurance.to_string();
        let ttl = requirement.ttl_s.to_string();
        let run_by = match requirement.run_by {
            countersign_shared::requirement::RunBy::Agent => "agent",
            countersign_shared::requirement::RunBy::Daemon => "daemon",
        };
        let self_attest = requirement.self_attest.to_string();
        for (what, expected, found) in [
            ("tier", self.tier.clone(), requirement.tier.word()),
            ("assurance", self.assurance.clone(), assurance.as_str()),
            ("ttl_s", self.ttl_s.map(|it| it.to_string()), ttl.as_str()),
            ("run_by", self.run_by.clone(), run_by),
            (
                "self_attest",
                self.self_attest.map(|it| it.to_string()),
                self_attest.as_str(),
            ),
        ] {
            if let Some(expected) = expected {
                all.add(what, &expected, found);
            }
        }
        all.0
    }
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn add(&mut self, what: &'static str, expected: &str, found: &str) {
        if expected != found {
            self.0.push(Difference {
                what,
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
    }
}

fn list(items: &BTreeSet<String>) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
