//! `policy check`: what is wrong with policies, and what is odd about them.
//!
//! What is wrong does not load. What is odd loads and does what it says, which may not be what was
//! meant: a policy that can never match, one that another one hides, a target nobody listed.

mod cover;
mod demand;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, ValidationMode, Validator};
use countersign_shared::requirement::{RunBy, Tier};

use crate::annotations::Ask;
use crate::catalogue::{Key, UNKNOWN};
use crate::load::{LoadError, Policies, Rule, Sources};
use crate::place::Place;

/// Something odd about one policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where the policy stands.
    pub place: Place,
    /// Which one.
    pub policy: String,
    /// What is odd.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: policy `{}`: {}",
            self.place, self.policy, self.message
        )
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What keeps the policies from loading.
    pub errors: Vec<LoadError>,
    /// What is odd; empty when they do not load.
    pub findings: Vec<Finding>,
    /// How many policies there are, when they load.
    pub policies: usize,
}

impl Checked {
    /// Tells whether the policies load.
    pub fn loads(&self) -> bool {
        self.errors.is_empty()
    }
}

/// The facts of which a permit that lets commands run unasked looks at one at least.
const PROGRAM: [&str; 5] = [
    "context.argv",
    "context.interpreter",
    "context.program",
    "context.program_name",
    "context.program_sha256",
];

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "error: {error}")?;
        }
        for finding in &self.findings {
            writeln!(f, "odd: {finding}")?;
        }
        if self.loads() {
            let policies = count(self.policies, "policy loads", "policies load");
            let findings = count(self.findings.len(), "finding", "findings");
            write!(f, "{policies}, {findings}")
        } else {
            let errors = count(self.errors.len(), "error", "errors");
            write!(f, "the policies do not load: {errors}")
        }
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}

/// Checks policies as a start of the daemon would, and looks for what is odd.
pub fn check(sources: Sources<'_>) -> Checked {
    match Policies::load(sources) {
        Err(errors) => Checked {
            errors,
            findings: Vec::new(),
            policies: 0,
        },
        Ok(policies) => Checked {
            errors: Vec::new(),
            findings: policies.findings(),
            policies: policies.len(),
        },
    }
}

impl Policies {
    /// Returns what is odd about these policies, in the order of the files.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (policy, rule) in self.each() {
            for message in self.odd(policy, rule) {
                findings.push(Finding {
                    place: rule.place.clone(),
                    policy: rule.id.clone(),
                    message,
                });
            }
        }
        // Of such a group Cedar says the same in two other ways.
        let warnings = self.warnings().into_iter().flatten();
        findings.extend(warnings.filter(|warning| {
            let policy = self.each().find(|(_, rule)| rule.id == warning.policy);
            policy.is_none_or(|(policy, _)| self.mistaken_group(policy).is_none())
        }));
        findings.sort();
        findings.dedup();
        findings
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (&Policy, &Rule)> {
        self.set.policies().filter_map(|policy| {
            let id: &str = policy.id().as_ref();
            self.rules.get(id).map(|rule| (policy, rule))
        })
    }

    /// What Cedar's validator warns of: conditions that are never true above all.
    fn warnings(&self) -> Vec<Option<Finding>> {
        let validator = Validator::new(self.schema.clone());
        let result = validator.validate(&self.set, ValidationMode::Strict);
        result
            .validation_warnings()
            .map(|warning| {
                let text = warning.to_string();
                let id = warning.policy_id().to_string();
                let rule = self.rules.get(&id)?;
                let prefix = format!("for policy `{id}`, ");
                Some(Finding {
                    place: rule.place.clone(),
                    policy: id,
                    message: text.strip_prefix(&prefix).unwrap_or(&text).to_owned(),
                })
            })
            .collect()
    }

    /// Returns the group of kinds that a policy takes for a kind.
    fn mistaken_group(&self, policy: &Policy) -> Option<EntityUid> {
        match policy.action_constraint() {
            ActionConstraint::Eq(action) => {
                let mut groups = self.schema.action_groups();
                groups.any(|group| *group == action).then_some(action)
            }
            ActionConstraint::Any | ActionConstraint::In(_) => None,
        }
    }

    fn odd(&self, policy: &Policy, rule: &Rule) -> Vec<String> {
        let mut odd = Vec::new();
        if let Some(group) = self.mistaken_group(policy) {
            odd.push(format!(
                "it never matches: `{group}` is a group of kinds; write `action in {group}`"
            ));
        } else if policy.get_valid_request_envs(&self.schema).next().is_none() {
            odd.push(
                "it never matches: no request can be in its scope and meet its conditions"
                    .to_owned(),
            );
        }
        for key in policy.entity_literals().iter().filter_map(target) {
            if self.catalogue.find(&key.kind, &key.name).is_none() {
                let path = key.path();
                odd.push(format!(
                    "`{path}` is not in the catalogue, so nothing is in it and nothing is known of \
                     it"
                ));
            }
        }
        if policy.effect() == Effect::Forbid && rule.because.is_none() {
            odd.push(
                "add `@because(\"…\")`: the requester is told no more than its name".to_owned(),
            );
        }
        self.odd_terms(policy, rule, &mut odd);
        odd.extend(self.hidden_by(policy, rule));
        odd
    }

    fn odd_terms(&self, policy: &Policy, rule: &Rule, odd: &mut Vec<String>) {
        let Some(terms) = &rule.terms else {
            return;
        };
        if terms.ask == Ask::Nobody
            && rule.mentions.has("resource.environment")
            && !demand::is_listed(policy)
        {
            odd.push(format!(
                "it asks nobody and looks at the environment: a target that is not listed, whose \
                 environment is `{UNKNOWN}`, is held at tier high"
            ));
        }
        if terms.ask == Ask::Nobody
            && self.actions(policy).contains("exec.run")
            && !PROGRAM.iter().any(|fact| rule.mentions.has(fact))
        {
            odd.push(
                "it asks nobody, whatever the program is: a shell, `env` or `xargs` runs what its \
                 arguments say; add `!context.interpreter`, or say which programs"
                    .to_owned(),
            );
        }
        if terms.tier.is_some_and(|tier| tier < self.default.tier) && terms.ask != Ask::Nobody {
            odd.push(format!(
                "its tier is below that of the default requirement, {}, which is the floor",
                self.default.tier
            ));
        }
        if terms
            .assurance
            .is_some_and(|it| it < self.default.assurance)
        {
            odd.push(format!(
                "its assurance is below that of the default requirement, {}, which is the floor",
                self.default.assurance
            ));
        }
        if terms.run_by == Some(RunBy::Daemon) {
            let kinds = self.actions(policy);
            for kind in kinds
                .iter()
                .filter(|kind| !self.kinds.can_be_run_by_daemon(kind))
            {
                if policy.action_constraint() != ActionConstraint::Any {
                    odd.push(format!(
                        "the daemon cannot run `{kind}`: nobody could redeem it"
                    ));
                }
            }
        }
        if terms.ask != Ask::Nobody && terms.tier == Some(Tier::Critical) && !terms.reason_required
        {
            odd.push("tier critical without `@reason(\"required\")`".to_owned());
        }
    }

    /// Returns the kinds a policy's scope lets through.
    fn actions(&self, policy: &Policy) -> BTreeSet<String> {
        policy
            .get_valid_request_envs(&self.schema)
            .map(|env| env.action().id().unescaped().to_owned())
            .collect()
    }
}

/// Returns the target an entity is.
fn target(uid: &EntityUid) -> Option<Key> {
    (uid.type_name().to_string() == "Target")
        .then(|| Key::read(uid.id().unescaped()))
        .flatten()
}
