//! Which policies another one hides.
//!
//! Only what can be told for certain from scopes: a policy without a condition covers another one
//! when its scope lets through whatever the other's does.

use cedar_policy::{Effect, Policy, PrincipalConstraint, ResourceConstraint};

use super::target;
use crate::annotations::Ask;
use crate::load::{Policies, Rule};

impl Policies {
    /// Says which other policies keep this one from ever making a difference.
    pub(super) fn hidden_by(&self, policy: &Policy, rule: &Rule) -> Vec<String> {
        let mut odd = Vec::new();
        let Some(terms) = &rule.terms else {
            return odd;
        };
        for (other, above) in self.each() {
            if other.id() == policy.id() || !self.covers(other, policy) {
                continue;
            }
            match (&above.terms, other.effect()) {
                (_, Effect::Forbid) => {
                    odd.push(format!(
                        "it is hidden: policy `{}` forbids all of it",
                        above.id
                    ));
                }
                (Some(asks), Effect::Permit)
                    if terms.ask == Ask::Nobody && asks.ask != Ask::Nobody =>
                {
                    odd.push(format!(
                        "it is hidden: policy `{}` asks people about all of it",
                        above.id
                    ));
                }
                (Some(asks), Effect::Permit)
                    if asks == terms && !(self.covers(policy, other) && above.id > rule.id) =>
                {
                    odd.push(format!("policy `{}` says the same of more", above.id));
                }
                (_, Effect::Permit) => {}
            }
        }
        odd
    }

    /// Tells whether `wide`, which has no condition, matches whatever `narrow` does.
    fn covers(&self, wide: &Policy, narrow: &Policy) -> bool {
        !wide.has_non_scope_constraint()
            && principal(&wide.principal_constraint(), &narrow.principal_constraint())
            && self.resource(&wide.resource_constraint(), &narrow.resource_constraint())
            && self.actions(narrow).is_subset(&self.actions(wide))
    }

    fn resource(&self, wide: &ResourceConstraint, narrow: &ResourceConstraint) -> bool {
        if wide == narrow {
            return true;
        }
        match (wide, narrow) {
            (ResourceConstraint::Any | ResourceConstraint::Is(_), _) => true,
            (
                ResourceConstraint::In(above),
                ResourceConstraint::In(below) | ResourceConstraint::Eq(below),
            ) => {
                let mut next = target(below);
                while let Some(key) = next {
                    if target(above).as_ref() == Some(&key) {
                        return true;
                    }
                    let found = self.catalogue.find(&key.kind, &key.name);
                    next = found.and_then(|target| target.parent.clone());
                }
                false
            }
            (
                ResourceConstraint::In(_)
                | ResourceConstraint::Eq(_)
                | ResourceConstraint::IsIn(..),
                _,
            ) => false,
        }
    }
}

fn principal(wide: &PrincipalConstraint, narrow: &PrincipalConstraint) -> bool {
    wide == narrow || *wide == PrincipalConstraint::Any
}
