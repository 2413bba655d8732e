//! What a request demands of whoever approves it, as its document says.
//!
//! A list's tier is the daemon's word and nobody signed it, so it can only make things stricter. What
//! cannot be read demands the most there is.

use countersign_shared::requirement::RunBy;
use countersign_shared::statement::Assurance;
use serde_json::Value;

use crate::console::model::Tier;

/// What a request demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// How careful to be.
    pub tier: Tier,
    /// How sure it must be that the person is there.
    pub assurance: Assurance,
    /// True when an approval must say why.
    pub reason: bool,
    /// Who runs it. The daemon can end it as well; of what an agent runs the end can only be asked for.
    pub run_by: RunBy,
}

impl Demands {
    /// Reads the requirement of a document. `listed` is the tier that lists show; `self_attests`
    /// tells whether the reviewer stands behind the request, which demands more at tier high.
    pub fn of(requirement: Option<&Value>, listed: Option<Tier>, self_attests: bool) -> Self {
        let required = |key: &str| requirement.and_then(|all| all.get(key));
        let text = |key: &str| required(key).and_then(Value::as_str);
        let documented = text("tier").and_then(Tier::read);
        let tier = documented
            .zip(listed)
            .map_or(Tier::Critical, |(one, other)| one.max(other));
        let stated = text("assurance").map_or(Assurance::Pin, |word| {
            word.parse().unwrap_or(Assurance::Pin)
        });
        let assurance = if self_attests && tier >= Tier::High {
            stated.max(Assurance::Passphrase)
        } else {
            stated
        };
        let reason = match required("reason").or_else(|| required("reason_required")) {
            Some(Value::Bool(required)) => *required,
            Some(Value::String(word)) => word == "required",
            _ => false,
        };
        Self {
            tier,
            assurance,
            reason,
            run_by: match text("run_by") {
                Some("daemon") => RunBy::Daemon,
                Some(_) | None => RunBy::Agent,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_stricter_tier_counts_wherever_it_stands() {
        let of = |document: &str, listed| {
            let requirement = json!({"tier": document, "assurance": "file"});
            Demands::of(Some(&requirement), listed, false).tier
        };
        assert_eq!(of("critical", Some(Tier::Low)), Tier::Critical);
        assert_eq!(of("low", Some(Tier::High)), Tier::High);
        assert_eq!(of("medium", Some(Tier::Medium)), Tier::Medium);
    }

    #[test]
    fn what_cannot_be_read_demands_the_most() {
        for requirement in [
            None,
            Some(json!({})),
            Some(json!({"tier": "none", "assurance": "none"})),
            Some(json!({"tier": 1, "assurance": 1})),
        ] {
            let demands = Demands::of(requirement.as_ref(), Some(Tier::Low), false);
            assert_eq!(demands.tier, Tier::Critical, "{requirement:?}");
            assert_eq!(demands.assurance, Assurance::Pin, "{requirement:?}");
        }
        let requirement = json!({"tier": "low", "assurance": "file"});
        assert_eq!(
            Demands::of(Some(&requirement), None, false).tier,
            Tier::Critical
        );
    }

    #[test]
    fn attesting_for_oneself_at_tier_high_takes_a_typed_passphrase_at_least() {
        let of = |tier: &str, assurance: &str| {
            let requirement = json!({"tier": tier, "assurance": assurance});
            Demands::of(Some(&requirement), Tier::read(tier), true).assurance
        };
        assert_eq!(of("high", "unlocked"), Assurance::Passphrase);
        assert_eq!(of("high", "touch"), Assurance::Touch);
        assert_eq!(of("medium", "unlocked"), Assurance::Unlocked);
    }
}
