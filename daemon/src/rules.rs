//! The rules in force: roster, default requirement and limits, under one digest.

use std::collections::BTreeSet;

use countersign_shared::digest::Digest;
use countersign_shared::json;
use countersign_shared::limits::Limits;
use countersign_shared::machine::{Mode, RulesChanged};
use countersign_shared::requirement::{Member, Requirement};
use countersign_shared::roster::Roster;
use countersign_shared::time::Timestamp;
use serde_json::json;

mod load;

pub use load::RulesError;

/// Everything that decides, as one value. Replaced whole or not at all.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The digest over all of it.
    pub digest: Digest,
    /// The mode the daemon runs in.
    pub mode: Mode,
    /// The people.
    pub roster: Roster,
    /// The people as the request machine knows them, with their resolved accounts.
    pub members: Vec<Member>,
    /// What a request needs that no policy speaks about.
    pub default_requirement: Requirement,
    /// The limits.
    pub limits: Limits,
    /// The names of the people who may break the glass (R17). Part of the configuration that the
    /// digest is over.
    pub break_glass: BTreeSet<String>,
}

impl Rules {
    /// Puts rules together and computes their digest.
    ///
    /// `decisive` are the parts of the configuration that decide and are in none of the others.
    pub fn new(
        mode: Mode,
        roster: Roster,
        members: Vec<Member>,
        default_requirement: Requirement,
        limits: Limits,
        decisive: &serde_json::Value,
    ) -> Result<Self, json::JsonError> {
        let bytes = json::canonical(&json!({
            "v": 1,
            "mode": mode,
            "members": members,
            "allowed_signers": roster.allowed_signers(),
            "default_requirement": default_requirement,
            "configuration": decisive,
        }))?;
        let digest = Digest::of(&bytes);
        Ok(Self {
            digest,
            mode,
            roster,
            members,
            default_requirement,
            limits,
            break_glass: BTreeSet::new(),
        })
    }

    /// Returns the person with a name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Returns the person with an OS account.
    pub fn member_of_uid(&self, uid: u32) -> Option<&Member> {
        self.members.iter().find(|member| member.uid == uid)
    }

    /// Tells whether these rules ask for nothing beyond a requirement that was signed under others.
    pub fn ask_no_more_than(&self, signed: &Requirement) -> bool {
        let now = &self.default_requirement;
        now.reviews
            .iter()
            .all(|review| signed.reviews.contains(review))
            && now.tier <= signed.tier
            && now.assurance <= signed.assurance
            && (!now.reason_required || signed.reason_required)
            && now.ttl_s >= signed.ttl_s
            && now.grant_s >= signed.grant_s
            && now.max_run_s >= signed.max_run_s
            && now.run_by <= signed.run_by
            && (now.self_attest || !signed.self_attest)
            && now
                .advice
                .iter()
                .all(|advice| signed.advice.contains(advice))
    }

    /// Returns the body of the entry that puts these rules in force.
    pub fn change(&self, previous: Digest, at: Timestamp) -> RulesChanged {
        RulesChanged {
            rules: self.digest,
            previous,
            members: self.members.clone(),
            allowed_signers: self.roster.allowed_signers(),
            break_glass: self.break_glass.clone(),
            at,
        }
    }
}
