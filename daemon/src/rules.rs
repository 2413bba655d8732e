//! The rules in force: roster, policies, default requirement and limits, under one digest.
//!
//! [`load`] makes them of the operator's files, [`written`] of what was kept of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

#[cfg(test)]
use countersign_policy::load::SCHEMA;
use countersign_policy::load::{Lack, People, Policies, Sources};
use countersign_shared::digest::Digest;
use countersign_shared::json;
use countersign_shared::limits::Limits;
use countersign_shared::log::entry::Separation;
use countersign_shared::machine::{Mode, RulesChanged, RulesVia, Signing};
use countersign_shared::requirement::{Assurance, Member, Requirement};
use countersign_shared::roster::change;
use countersign_shared::roster::{EnrolledKey, Roster};
use countersign_shared::time::Timestamp;

use crate::broker::profiles::Profiles;
use crate::config::{Groups, PolicySources};
use crate::store::KeptRules;

mod load;
mod narrow;
mod written;

pub use load::{Ground, RulesError};
pub use written::{SCHEMA_FILE, Written, WrittenError, WrittenMember};

/// Everything that decides, as one value. Replaced whole or not at all.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The digest over all of it: that of [`KeptRules::bytes`].
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
    /// The names of the people who may break the glass (R17).
    pub break_glass: BTreeSet<String>,
    /// How many different reviewers have to sign what replaces these rules, in system mode.
    pub signers: NonZeroU32,
    /// What the daemon runs itself.
    pub profiles: Arc<Profiles>,
    /// The OS groups of agents and reviewers, by which nobody runs what the daemon runs itself. They
    /// are the home's, and change with a start only.
    groups: Groups,
    /// All of it, as it is written down.
    pub kept: Arc<KeptRules>,
}

/// What rules are made of, but policies, targets, kinds and profiles, which are texts.
#[derive(Debug, Clone)]
struct Parts {
    mode: Mode,
    roster: Roster,
    members: Vec<Member>,
    break_glass: BTreeSet<String>,
    signers: NonZeroU32,
    default_requirement: Requirement,
    limits: Limits,
    groups: Groups,
}

impl Rules {
    /// Puts rules together of texts that were read before; they were judged under this schema of
    /// policies.
    fn assemble(
        parts: Parts,
        texts: BTreeMap<String, String>,
        schema: String,
    ) -> Result<Self, RulesError> {
        let sources = PolicySources::of_texts(texts)?;
        let policies = parts.policies(&sources, Lack::Report)?;
        let profiles = load::profiles(&parts, sources.profiles, load::Lack::Logged)?;
        Ok(Self::of(parts, sources.texts, schema, policies, profiles)?)
    }

    /// Writes rules down and computes their digest.
    fn of(
        parts: Parts,
        texts: BTreeMap<String, String>,
        schema: String,
        policies: Policies,
        profiles: Profiles,
    ) -> Result<Self, json::JsonError> {
        let kept = written::write(&parts, texts, schema)?;
        Ok(Self {
            digest: Digest::of(&kept.bytes),
            mode: parts.mode,
            roster: parts.roster,
            members: parts.members,
            policies: Arc::new(policies),
            limits: parts.limits,
            break_glass: parts.break_glass,
            signers: parts.signers,
            profiles: Arc::new(profiles),
            groups: parts.groups,
            kept: Arc::new(kept),
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

    /// Returns the OS groups of agents and reviewers.
    pub const fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Returns what it takes to sign other rules while these are in force.
    pub fn signing(&self) -> Signing {
        Signing {
            signers: self.signers,
            assurance: self.policies.default_requirement().assurance,
        }
    }

    /// Returns the people, as a change is compared.
    pub fn people(&self) -> change::People<'_> {
        change::People {
            roster: &self.roster,
            members: &self.members,
        }
    }

    /// Returns how many bytes of an entry these rules take.
    pub fn entry_size(&self) -> Result<usize, json::JsonError> {
        let change = self.change(self.digest, None, Timestamp::from_millis(0));
        json::canonical(&change).map(|bytes| bytes.len())
    }

    /// Returns the body of the entry that puts these rules in force; `via` in system mode only.
    pub fn change(&self, previous: Digest, via: Option<RulesVia>, at: Timestamp) -> RulesChanged {
        RulesChanged {
            rules: self.digest,
            previous,
            members: self.members.clone(),
            allowed_signers: self.roster.allowed_signers(),
            break_glass: self.break_glass.clone(),
            signing: match self.mode {
                Mode::User => None,
                Mode::System => Some(self.signing()),
            },
            via,
            at,
        }
    }
}

impl Parts {
    /// Loads the policies of these people.
    fn policies(&self, sources: &PolicySources, lack: Lack) -> Result<Policies, RulesError> {
        // In user mode all who ask are the one user there is; elsewhere agents are nobody in the
        // roster.
        let us = BTreeSet::from([crate::home::us()]);
        let touching = self.roster.with_security_keys();
        Policies::load(Sources {
            files: &sources.files,
            catalogue: sources.catalogue.clone(),
            kinds: sources.kinds.clone(),
            default: self.default_requirement.clone(),
            people: People {
                mode: self.mode,
                members: &self.members,
                touching: &touching,
                requesters: (self.mode == Mode::User).then_some(&us),
            },
            lack,
        })
        .map_err(RulesError::Policies)
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
    ) -> Self {
        let parts = Parts {
            mode,
            roster,
            members,
            break_glass: BTreeSet::new(),
            signers: NonZeroU32::MIN,
            default_requirement: requirement,
            limits,
            groups: Groups::default(),
        };
        Self::assemble(parts, BTreeMap::new(), SCHEMA.to_owned()).unwrap()
    }

    /// Returns these rules with something changed, and what follows from that.
    fn with(&self, change: impl FnOnce(&mut Parts, &mut BTreeMap<String, String>)) -> Self {
        let mut parts = Parts {
            mode: self.mode,
            roster: self.roster.clone(),
            members: self.members.clone(),
            break_glass: self.break_glass.clone(),
            signers: self.signers,
            default_requirement: self.policies.default_requirement().clone(),
            limits: self.limits.clone(),
            groups: self.groups.clone(),
        };
        let mut texts = self.kept.files.clone();
        texts.remove(SCHEMA_FILE);
        change(&mut parts, &mut texts);
        Self::assemble(parts, texts, SCHEMA.to_owned()).unwrap()
    }

    /// Replaces the default requirement.
    pub(crate) fn change_default(&mut self, change: impl FnOnce(&mut Requirement)) {
        *self = self.with(|parts, _| change(&mut parts.default_requirement));
    }

    /// Lets these people break the glass, and nobody else.
    pub(crate) fn list_for_break_glass(&mut self, names: &[&str]) {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        *self = self.with(|parts, _| parts.break_glass = names);
    }

    /// Gives a person these keys, and no others.
    pub(crate) fn give_keys(&mut self, name: &str, keys: &[String]) {
        *self = self.with(|parts, _| {
            let people = parts.roster.iter().map(|person| {
                let mut written = countersign_shared::roster::Person::from(person);
                if written.name == name {
                    written.keys = keys.to_vec();
                }
                written
            });
            parts.roster = Roster::from_people(people.collect()).unwrap();
            let uid_of = |name: &str| parts.members.iter().find(|it| it.name == name).unwrap().uid;
            parts.members = parts
                .roster
                .iter()
                .map(|person| written::member_of(person, uid_of(person.name())))
                .collect();
        });
    }

    /// Asks for so many signatures under what replaces these rules.
    pub(crate) fn ask_for_signers(&mut self, signers: u32) {
        *self = self.with(|parts, _| parts.signers = NonZeroU32::new(signers).unwrap());
    }

    /// Puts a file among the rules.
    pub(crate) fn put_file(&mut self, name: &str, text: &str) {
        *self = self.with(|_, texts| {
            texts.insert(name.to_owned(), text.to_owned());
        });
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
}

#[cfg(test)]
mod tests;
