//! What the permits that matched ask for: each alone, and all together.

use countersign_shared::requirement::{RequiredReview, Requirement, RunBy, Tier};

use crate::annotations::{Ask, Terms};
use crate::load::{Policies, Rule};

impl Policies {
    /// Returns what the permits that ask people ask for together; without one, the default.
    pub(super) fn asked(&self, kind: &str, people: &[(&Rule, &Terms)]) -> Requirement {
        let mut joined: Option<Requirement> = None;
        for (rule, terms) in people {
            let one = self.of_permit(kind, rule, terms);
            joined = Some(match joined {
                None => one,
                Some(sum) => join_tiers(&sum, &one),
            });
        }
        joined.unwrap_or_else(|| self.default.clone())
    }

    /// Returns what one permit asks for, alone.
    pub(crate) fn of_permit(&self, kind: &str, rule: &Rule, terms: &Terms) -> Requirement {
        let default = &self.default;
        let tier = terms.tier.unwrap_or(default.tier).max(default.tier);
        let run_by = terms.run_by.unwrap_or_else(|| {
            if tier == Tier::Critical && self.kinds.can_be_run_by_daemon(kind) {
                RunBy::Daemon
            } else {
                default.run_by
            }
        });
        Requirement {
            reviews: match &terms.ask {
                Ask::Nobody => Vec::new(),
                Ask::People(seats) => vec![RequiredReview {
                    policy: rule.id.clone(),
                    seats: seats.clone(),
                }],
            },
            tier,
            assurance: terms
                .assurance
                .unwrap_or(default.assurance)
                .max(default.assurance),
            reason_required: terms.reason_required || default.reason_required,
            ttl_s: terms.ttl_s.unwrap_or(default.ttl_s),
            grant_s: terms.grant_s.unwrap_or(default.grant_s),
            max_run_s: terms.max_run_s.unwrap_or(default.max_run_s),
            run_by,
            self_attest: terms.self_attest,
            advice: terms.advice.iter().cloned().collect(),
            why: vec![match &terms.because {
                Some(because) => format!("{because} (policy `{}`)", rule.id),
                None => format!("policy `{}`", rule.id),
            }],
            escalate: terms.escalate.clone(),
        }
    }

    /// Returns what holds of a request that nobody is asked about.
    pub(super) fn unasked(&self, nobody: &[(&Rule, &Terms)]) -> Requirement {
        let shortest = |of: fn(&Terms) -> Option<u32>, default: u32| {
            nobody
                .iter()
                .map(|(_, terms)| of(terms).unwrap_or(default))
                .min()
                .unwrap_or(default)
        };
        let run_by = nobody.iter().filter_map(|(_, terms)| terms.run_by).max();
        Requirement {
            reviews: Vec::new(),
            tier: Tier::Low,
            assurance: self.default.assurance,
            reason_required: false,
            ttl_s: self.default.ttl_s,
            grant_s: shortest(|terms| terms.grant_s, self.default.grant_s),
            max_run_s: shortest(|terms| terms.max_run_s, self.default.max_run_s),
            run_by: run_by.unwrap_or(self.default.run_by),
            self_attest: false,
            advice: Vec::new(),
            why: Vec::new(),
            escalate: Vec::new(),
        }
    }
}

/// Joins two requirements; of the reasons, those of the tier that binds stay.
fn join_tiers(one: &Requirement, other: &Requirement) -> Requirement {
    let mut joined = one.join(other);
    match one.tier.cmp(&other.tier) {
        std::cmp::Ordering::Less => joined.why.clone_from(&other.why),
        std::cmp::Ordering::Greater => joined.why.clone_from(&one.why),
        std::cmp::Ordering::Equal => {}
    }
    joined
}
