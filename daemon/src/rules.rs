//! The rules in force: roster, policies, default requirement and limits, under one digest.

use std::collections::BTreeSet;
use std::sync::Arc;

#[cfg(test)]
use countersign_policy::catalogue::Catalogue;
use countersign_policy::load::Policies;
use countersign_shared::digest::Digest;
use countersign_shared::json;
use countersign_shared::limits::Limits;
use countersign_shared::log::entry::Separation;
use countersign_shared::machine::{Mode, RulesChanged};
#[cfg(test)]
use countersign_shared::requirement::Requirement;
use countersign_shared::requirement::{Assurance, Member};
use countersign_shared::roster::{EnrolledKey, Roster};
use countersign_shared::time::Timestamp;
use serde_json::json;

mod load;

pub use load::{Ground, RulesError};

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
    /// What policy says, and what a request needs that no policy speaks about.
    pub policies: Arc<Policies>,
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
        policies: Policies,
        limits: Limits,
        decisive: &serde_json::Value,
    ) -> Result<Self, json::JsonError> {
        let bytes = json::canonical(&json!({
            "v": 1,
            "mode": mode,
            "members": members,
            "allowed_signers": roster.allowed_signers(),
            "policies": policies.digest(),
            "configuration": decisive,
        }))?;
        let digest = Digest::of(&bytes);
        Ok(Self {
            digest,
            mode,
            roster,
            members,
            policies: Arc::new(policies),
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

    /// Tells how far agents, people and daemon are kept apart under these rules. With one OS user for
    /// all, a key that takes a touch does it: every key of the roster is one, and nothing less is
    /// enough by the default requirement.
    pub fn separation(&self) -> Separation {
        match self.mode {
            Mode::System => Separation::Uid,
            Mode::User => {
                let all_touched = self.roster.iter().all(|person| {
                    let keys = person.keys();
                    !keys.is_empty() && keys.iter().all(EnrolledKey::is_security_key)
                });
                let nothing_less =
                    self.policies.default_requirement().assurance >= Assurance::Touch;
                if all_touched && nothing_less && !self.roster.is_empty() {
                    Separation::Key
                } else {
                    Separation::None
                }
            }
        }
    }

    /// Returns how many bytes of an entry these rules take.
    pub fn entry_size(&self) -> Result<usize, json::JsonError> {
        let change = self.change(self.digest, Timestamp::from_millis(0));
        json::canonical(&change).map(|bytes| bytes.len())
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

#[cfg(test)]
impl Rules {
    /// Returns rules without policies, under which all is held as `requirement` says.
    pub(crate) fn holding_all(
        mode: Mode,
        roster: Roster,
        members: Vec<Member>,
        requirement: Requirement,
        limits: Limits,
        decisive: &serde_json::Value,
    ) -> Self {
        let policies = Self::no_policies(mode, &members, requirement);
        Self::new(mode, roster, members, policies, limits, decisive).unwrap()
    }

    /// Replaces the default requirement, and leaves the digest as it is.
    pub(crate) fn change_default(&mut self, change: impl FnOnce(&mut Requirement)) {
        let mut requirement = self.policies.default_requirement().clone();
        change(&mut requirement);
        self.policies = Arc::new(Self::no_policies(self.mode, &self.members, requirement));
    }

    /// Puts targets into the catalogue, and leaves the digest as it is.
    pub(crate) fn list_in_test(&mut self, targets: &str) {
        let catalogue = Catalogue::parse("targets.toml", targets).unwrap();
        let default = self.policies.default_requirement().clone();
        self.policies = Arc::new(Self::policies(self.mode, &self.members, default, catalogue));
    }

    /// Judges an action of nobody in particular; returns its facts and what policy says.
    pub(crate) fn judge_in_test(
        &self,
        action: &serde_json::Value,
        wall: Timestamp,
    ) -> (serde_json::Value, countersign_policy::judge::Judgement) {
        use countersign_policy::facts::{Agent, Facts, Principal, Recent, Surroundings};

        let none = Some(String::new());
        let around = Surroundings {
            principal: Principal::Agent(Agent {
                user: Some("agent".to_owned()),
                uid: 50_001,
                program: Some("/usr/bin/agent".to_owned()),
                unit: none.clone(),
                container: none,
                host: "host".to_owned(),
                groups: Some(BTreeSet::new()),
            }),
            identity: "pidfd".to_owned(),
            workspace: None,
            program: Err("not looked for".to_owned()),
            resolved: std::collections::BTreeMap::new(),
            wall,
            utc_offset_minutes: 0,
            recent: Recent::default(),
        };
        let facts = Facts::of(action, &around, self.policies.kinds()).to_value();
        let judgement = self.policies.judge_document(&facts, action);
        (facts, judgement)
    }

    fn no_policies(mode: Mode, members: &[Member], default: Requirement) -> Policies {
        Self::policies(mode, members, default, Catalogue::default())
    }

    fn policies(
        mode: Mode,
        members: &[Member],
        default: Requirement,
        catalogue: Catalogue,
    ) -> Policies {
        use countersign_policy::load::{Lack, People, Sources};

        Policies::load(Sources {
            files: &[],
            catalogue,
            kinds: countersign_policy::kinds::Kinds::known(),
            default,
            people: People {
                mode,
                members,
                requesters: None,
            },
            lack: Lack::Report,
        })
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::requirement::{RequiredReview, RunBy, Tier};
    use countersign_shared::roster::Person;
    use ssh_key::PublicKey;
    use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};

    use super::*;

    fn key(seed: u8, in_a_token: bool) -> String {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let public = Ed25519PublicKey(secret.verifying_key().to_bytes());
        let data = if in_a_token {
            KeyData::SkEd25519(SkEd25519::new(public, "ssh:"))
        } else {
            KeyData::Ed25519(public)
        };
        PublicKey::from(data).to_openssh().unwrap()
    }

    fn rules(mode: Mode, keys: &[String], assurance: Assurance) -> Rules {
        let person = Person {
            name: "ana".to_owned(),
            user: "ana".to_owned(),
            groups: Vec::new(),
            keys: keys.to_vec(),
        };
        let requirement = Requirement {
            reviews: vec![RequiredReview {
                policy: "default".to_owned(),
                seats: "1 of anyone".parse().unwrap(),
            }],
            tier: Tier::Medium,
            assurance,
            reason_required: false,
            ttl_s: 1,
            grant_s: 1,
            max_run_s: 1,
            run_by: RunBy::Agent,
            self_attest: true,
            advice: Vec::new(),
            why: Vec::new(),
            escalate: Vec::new(),
        };
        let roster = Roster::from_people(vec![person]).unwrap();
        let limits = Limits::default();
        Rules::holding_all(mode, roster, Vec::new(), requirement, limits, &json!({}))
    }

    #[test]
    fn only_keys_that_take_a_touch_keep_the_sides_of_one_user_apart() {
        let (token, other, file) = (key(1, true), key(2, true), key(3, false));
        let user = |keys: &[&String], assurance| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).clone()).collect();
            rules(Mode::User, &keys, assurance).separation()
        };
        assert_eq!(user(&[&token, &other], Assurance::Touch), Separation::Key);
        assert_eq!(user(&[&token], Assurance::Pin), Separation::Key);
        assert_eq!(user(&[&token], Assurance::Unlocked), Separation::None);
        assert_eq!(user(&[&token, &file], Assurance::Touch), Separation::None);
        assert_eq!(user(&[&file], Assurance::Touch), Separation::None);
        let system = rules(Mode::System, &[file], Assurance::File);
        assert_eq!(system.separation(), Separation::Uid);
    }
}
