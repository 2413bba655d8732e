//! Makes rules of the operator's files, whole or not at all.
//!
//! Files that leave nobody to approve stop a start, where the operator sees it, but never a reload:
//! there the old rules would let decide whom the new ones no longer name.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use countersign_policy::load::{self, LoadError, Policies};
use countersign_shared::home::{Layout, Mode};
use countersign_shared::json::JsonError;
use countersign_shared::limits::{Limits, SpanError, read_span};
use countersign_shared::requirement::{
    Assurance, Escalation, EscalationError, Member, RequiredReview, Requirement, Review,
    ReviewError, RunBy, Tier,
};
use countersign_shared::roster::Roster;
use countersign_shared::statement::AssuranceError;
use serde::Deserialize as _;

use super::written::{WrittenError, member_of};
use super::{Parts, Rules};
use crate::broker::profiles::{ProfileError, Profiles};
use crate::config::{self, BreakGlass, Config, ConfigError, PolicySources, Profile};
use crate::identity::{AccountError, Accounts};

mod ground;

pub use ground::Ground;

/// The operator's files do not make rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file cannot be read, or holds what it should not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A person's OS account does not exist, or nobody can say.
    #[error("reviewers.toml: `{name}` has the OS account `{user}`, which {problem}")]
    Account {
        /// The person.
        name: String,
        /// The account.
        user: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key of `[default_requirement]` is wrong.
    #[error("countersign.toml: `default_requirement.{key}`: {problem}")]
    Requirement {
        /// The key.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The table `[limits]` is wrong.
    #[error("countersign.toml: `limits`: {problem}")]
    Limits {
        /// What is wrong.
        problem: String,
    },
    /// The default requirement can never be satisfied (R3).
    #[error(
        "countersign.toml: `default_requirement.review` asks for {review}, and {problem}; nobody \
         could ever approve"
    )]
    Unsatisfiable {
        /// What it asks for.
        review: String,
        /// Why it cannot be.
        problem: String,
    },
    /// Nobody in the roster is who may break the glass.
    #[error("countersign.toml: `break_glass.{key}`: nobody in the roster is, or is in, `{name}`")]
    BreakGlass {
        /// The key.
        key: &'static str,
        /// What was written.
        name: String,
    },
    /// A profile cannot be used on this machine.
    #[error(transparent)]
    Profiles(#[from] ProfileError),
    /// The policies do not load; each mistake with its place.
    #[error("{}", lines(.0))]
    Policies(Vec<LoadError>),
    /// The people do not fit into the entry that puts them in force.
    #[error(
        "reviewers.toml: people and keys take {found} bytes in the log, and an entry has room for \
         {limit}; fewer people, groups or keys"
    )]
    TooLarge {
        /// The size in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// More signatures are asked for than there are people.
    #[error(
        "countersign.toml: `rules.signers` is {signers}, and the roster has {found} people; nobody \
         could ever change the rules"
    )]
    Signers {
        /// What is asked for.
        signers: NonZeroU32,
        /// How many people there are.
        found: usize,
    },
    /// What was kept of rules does not make them again.
    #[error("the rules as they were kept")]
    Written(#[from] WrittenError),
    /// The rules cannot be written for their digest.
    #[error("the rules cannot be written")]
    Write(#[from] JsonError),
}

fn lines(errors: &[LoadError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The room for the rules in an entry, in bytes: what stands around them takes less than the rest.
const MOST_IN_ENTRY: usize = countersign_shared::log::entry::MAX_ENTRY - 2048;

/// What becomes of rules that lack somebody who could serve under them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// They do not load.
    Refused,
    /// They load, and the log says what they lack.
    Logged,
}

impl Rules {
    /// Loads the rules of a home for a start.
    ///
    /// # Errors
    ///
    /// When a file is wrong, a person has no OS account, or nobody could ever approve.
    pub fn load(layout: &Layout, config: &Config) -> Result<Self, RulesError> {
        Self::load_with(layout, config, Lack::Refused)
    }

    /// Loads the rules of a home while others are in force. A person without an OS account is left
    /// out, and a review that nobody could satisfy is taken as it is; both are logged as errors.
    ///
    /// # Errors
    ///
    /// When a file is wrong; then nothing of the new rules takes force.
    pub fn reload(layout: &Layout, config: &Config) -> Result<Self, RulesError> {
        Self::load_with(layout, config, Lack::Logged)
    }

    /// Returns what the people of the roster cannot do under these rules: what would stop a start.
    pub fn lacks(&self) -> Vec<String> {
        let default = self.policies.default_requirement();
        let reviews = default.reviews.iter();
        let of_default = reviews
            .map(|review| check_satisfiable(&review.seats, &self.members))
            .chain([check_presence(
                default,
                &self.roster,
                &self.members,
                Lack::Refused,
            )])
            .filter_map(Result::err)
            .map(|error| format!("default_requirement: {error}"));
        let of_policies = self.policies.lacks().iter().map(ToString::to_string);
        of_default.chain(of_policies).collect()
    }

    fn load_with(layout: &Layout, config: &Config, lack: Lack) -> Result<Self, RulesError> {
        let mut roster = config::load_roster(layout)?;
        let sources = PolicySources::load(layout)?;
        let uid_of = |user: &str| Ok(Accounts.by_name(user)?.map(|account| account.uid));
        let members = members(&mut roster, uid_of, lack)?;
        let limits = limits(config)?;
        let default_requirement = requirement(config, &limits, &members, lack)?;
        check_presence(&default_requirement, &roster, &members, lack)?;
        let break_glass = break_glass(&config.break_glass, &members, lack)?;
        check_signers(config, &members, lack)?;
        let parts = Parts {
            mode: config.mode,
            roster,
            members,
            break_glass,
            signers: config.rules.signers,
            default_requirement,
            limits,
            groups: config.groups.clone(),
        };
        let policies = policies(&parts, &sources, lack)?;
        let profiles = profiles(&parts, sources.profiles, lack)?;
        let schema = load::SCHEMA.to_owned();
        let rules = Self::of(parts, sources.texts, schema, policies, profiles)?;
        check_size(&rules)?;
        Ok(rules)
    }
}

/// Reads the table `[limits]`.
fn limits(config: &Config) -> Result<Limits, RulesError> {
    match &config.limits {
        None => Ok(Limits::default()),
        Some(table) => Limits::deserialize(table.clone()).map_err(|error| RulesError::Limits {
            problem: error.to_string(),
        }),
    }
}

/// Loads the policies. What they lack in people stops a start; in a reload it is logged.
fn policies(parts: &Parts, sources: &PolicySources, lack: Lack) -> Result<Policies, RulesError> {
    let lack = match lack {
        Lack::Refused => load::Lack::Refuse,
        Lack::Logged => load::Lack::Report,
    };
    let policies = parts.policies(sources, lack)?;
    for lack in policies.lacks() {
        tracing::error!("{lack}");
    }
    Ok(policies)
}

/// Refuses to ask for more signatures under new rules than there are people.
fn check_signers(config: &Config, members: &[Member], lack: Lack) -> Result<(), RulesError> {
    let signers = config.rules.signers;
    let enough = usize::try_from(signers.get()).is_ok_and(|signers| signers <= members.len());
    // In user mode nobody signs rules, and an empty roster is told by what it cannot approve.
    if enough || config.mode == Mode::User || members.is_empty() {
        return Ok(());
    }
    let error = RulesError::Signers {
        signers,
        found: members.len(),
    };
    match lack {
        Lack::Refused => Err(error),
        Lack::Logged => {
            tracing::error!("{error}");
            Ok(())
        }
    }
}

/// Finds out what the profiles mean here. One that cannot be used stops a start; elsewhere it is left
/// out and logged, because people are taken out of the roster by a reload as well.
pub(super) fn profiles(
    parts: &Parts,
    written: Vec<Profile>,
    lack: Lack,
) -> Result<Profiles, RulesError> {
    let (profiles, left_out) =
        Profiles::resolve(written, parts.mode, &parts.groups, &parts.members)?;
    for error in left_out {
        match lack {
            Lack::Refused => return Err(error.into()),
            Lack::Logged => tracing::error!("{error}; nobody can use this profile"),
        }
    }
    Ok(profiles)
}

/// Names the people who may break the glass. A name or group that is nobody's is a mistake; in a
/// reload it may be a person who was just removed, and then it is nobody.
fn break_glass(
    written: &BreakGlass,
    members: &[Member],
    lack: Lack,
) -> Result<BTreeSet<String>, RulesError> {
    let mut people = BTreeSet::new();
    let mut missing = Vec::new();
    for name in &written.people {
        if members.iter().any(|member| member.name == *name) {
            people.insert(name.clone());
        } else {
            missing.push(("people", name));
        }
    }
    for group in &written.groups {
        let before = people.len();
        let of_group = members
            .iter()
            .filter(|member| member.groups.contains(group));
        people.extend(of_group.map(|member| member.name.clone()));
        let is_known =
            people.len() > before || members.iter().any(|member| member.groups.contains(group));
        if !is_known {
            missing.push(("groups", group));
        }
    }
    for (key, name) in missing {
        let error = RulesError::BreakGlass {
            key,
            name: name.escape_default().to_string(),
        };
        match lack {
            Lack::Refused => return Err(error),
            Lack::Logged => tracing::error!("{error}; nobody breaks the glass by it"),
        }
    }
    Ok(people)
}

/// Refuses rules that do not fit into the entry that puts them in force: nothing could say who may
/// decide. What is in force fits, so taking people out of it always does.
fn check_size(rules: &Rules) -> Result<(), RulesError> {
    let found = rules.entry_size()?;
    if found > MOST_IN_ENTRY {
        return Err(RulesError::TooLarge {
            found,
            limit: MOST_IN_ENTRY,
        });
    }
    Ok(())
}

/// Resolves each person's OS account. An account that nobody can resolve is a person who cannot be
/// told from the requester: that person may not decide, and is taken out of the roster if the rest
/// loads.
fn members(
    roster: &mut Roster,
    uid_of: impl Fn(&str) -> Result<Option<u32>, AccountError>,
    lack: Lack,
) -> Result<Vec<Member>, RulesError> {
    let mut uids = BTreeSet::new();
    let mut members = Vec::with_capacity(roster.len());
    for person in roster.iter() {
        let problem = |problem: String| RulesError::Account {
            name: person.name().to_owned(),
            user: person.user().to_owned(),
            problem,
        };
        let found = match uid_of(person.user()) {
            Ok(Some(uid)) => Ok(uid),
            Ok(None) => Err(problem("does not exist on this machine".to_owned())),
            Err(error) => Err(problem(format!("cannot be looked up: {error}"))),
        };
        let uid = match (found, lack) {
            (Ok(uid), _) => uid,
            (Err(error), Lack::Refused) => return Err(error),
            (Err(error), Lack::Logged) => {
                tracing::error!("{error}; this person may not decide");
                continue;
            }
        };
        if !uids.insert(uid) {
            return Err(problem(format!("has the uid {uid} of another person")));
        }
        members.push(member_of(person, uid));
    }
    roster.retain(|person| members.iter().any(|member| member.name == person.name()));
    Ok(members)
}

fn requirement(
    config: &Config,
    limits: &Limits,
    members: &[Member],
    lack: Lack,
) -> Result<Requirement, RulesError> {
    let written = &config.default_requirement;
    let wrong = |key: &'static str| {
        move |problem: &dyn std::fmt::Display| RulesError::Requirement {
            key,
            problem: problem.to_string(),
        }
    };
    let review: Review = written
        .review
        .as_deref()
        .unwrap_or("1 of anyone")
        .parse()
        .map_err(|error: ReviewError| wrong("review")(&error))?;
    let tier = match written.tier.as_deref() {
        None | Some("medium") => Tier::Medium,
        Some("low") => Tier::Low,
        Some("high") => Tier::High,
        Some("critical") => Tier::Critical,
        Some(_) => return Err(wrong("tier")(&"must be low, medium, high or critical")),
    };
    let least = match config.mode {
        Mode::User => Assurance::Unlocked,
        Mode::System => Assurance::File,
    };
    let assurance = match written.assurance.as_deref() {
        None => least,
        Some(text) => text
            .parse()
            .map_err(|error: AssuranceError| wrong("assurance")(&error))?,
    };
    let self_attest = match written.self_attest.as_deref() {
        // One person at one machine: without this, user mode could approve nothing (R4).
        None => config.mode == Mode::User,
        Some("allow") => true,
        Some("refuse") => false,
        Some(_) => return Err(wrong("self_attest")(&"must be `allow` or `refuse`")),
    };
    let span = |key: &'static str, text: &Option<String>, default: Duration| match text {
        None => seconds(default).ok_or_else(|| wrong(key)(&"is too long")),
        Some(text) => read_span(text)
            .map_err(|error: SpanError| wrong(key)(&error))
            .and_then(|span| seconds(span).ok_or_else(|| wrong(key)(&"must be whole seconds"))),
    };
    match (check_satisfiable(&review, members), lack) {
        (Ok(()), _) => {}
        (Err(error), Lack::Refused) => return Err(error),
        (Err(error), Lack::Logged) => tracing::error!("{error}"),
    }
    Ok(Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: review,
        }],
        tier,
        assurance,
        reason_required: false,
        ttl_s: span("ttl", &written.ttl, limits.lifetime)?,
        grant_s: span("grant", &written.grant, limits.approval)?,
        max_run_s: span("max_run", &written.max_run, limits.max_run)?,
        run_by: RunBy::Agent,
        self_attest,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: escalation(written.escalate.as_deref(), members, lack)?
            .into_iter()
            .collect(),
    })
}

/// Reads whom to call when nobody decided. A group without people would call nobody.
fn escalation(
    written: Option<&str>,
    members: &[Member],
    lack: Lack,
) -> Result<Option<Escalation>, RulesError> {
    let Some(text) = written else {
        return Ok(None);
    };
    let wrong = |problem: String| RulesError::Requirement {
        key: "escalate",
        problem,
    };
    let escalation: Escalation = text
        .parse()
        .map_err(|error: EscalationError| wrong(error.to_string()))?;
    let to = escalation.to();
    if !members.iter().any(|member| member.belongs_to(to)) {
        let error = wrong(format!("nobody in the roster is in the group `{to}`"));
        match lack {
            Lack::Refused => return Err(error),
            Lack::Logged => tracing::error!("{error}"),
        }
    }
    Ok(Some(escalation))
}

fn seconds(span: Duration) -> Option<u32> {
    u32::try_from(span.as_secs())
        .ok()
        .filter(|seconds| *seconds > 0 && span.subsec_nanos() == 0)
}

/// Refuses a review that no one could ever satisfy, even if everyone were independent.
fn check_satisfiable(review: &Review, members: &[Member]) -> Result<(), RulesError> {
    let everyone: Vec<&Member> = members.iter().collect();
    let unfilled = review.unfilled(&everyone);
    if unfilled.is_empty() {
        return Ok(());
    }
    Err(RulesError::Unsatisfiable {
        review: review.to_string(),
        problem: format!(
            "the roster has too few people for {}",
            unfilled.join(" and ")
        ),
    })
}

/// Refuses to ask for a touch or a PIN of more people than have a security key.
fn check_presence(
    requirement: &Requirement,
    roster: &Roster,
    members: &[Member],
    lack: Lack,
) -> Result<(), RulesError> {
    if requirement.assurance < Assurance::Touch {
        return Ok(());
    }
    let touching = roster.with_security_keys();
    let able: Vec<&Member> = members
        .iter()
        .filter(|member| touching.contains(&member.name))
        .collect();
    for review in &requirement.reviews {
        let unfilled = review.seats.unfilled(&able);
        if unfilled.is_empty() {
            continue;
        }
        let error = RulesError::Unsatisfiable {
            review: review.seats.to_string(),
            problem: format!(
                "its assurance `{}` takes a security key (`sk-…`), which too few people in the roster have \
                 for {}",
                requirement.assurance,
                unfilled.join(" and ")
            ),
        };
        match lack {
            Lack::Refused => return Err(error),
            Lack::Logged => tracing::error!("{error}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
