//! The rules in force, and what waits to take their place: how they change, by the operator's files
//! in user mode, and in system mode by removals, signatures and adoptions (R5, R17).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_policy::rejudge::Standing as Rejudged;
use countersign_shared::digest::Digest;
use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::machine::{Act, Event, Mode, RulesVia, State};
use countersign_shared::requirement::Requirement;
use countersign_shared::roster::change;

use super::batch::{Scene, Step};
use super::call::Inclusion;
use super::writes::reviewer_actor;
use super::{Change, Engine, EngineError, daemon_actor};
use crate::rules::{Rules, RulesError};
use crate::store::{Store, StoreError};

/// The rules in force, and what stands beside them.
#[derive(Debug, Clone)]
pub struct Force {
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// Those that wait for signatures.
    pub proposed: Option<Proposed>,
    /// What the operator adopted without the reviewers, while none has acknowledged it.
    pub adopted: Option<Adopted>,
}

/// Rules that wait for signatures.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// The rules.
    pub rules: Arc<Rules>,
    /// The position of `rules.proposed`.
    pub at: u64,
    /// Who signed them, and the positions of those entries.
    pub signed: BTreeMap<String, u64>,
    /// Whom they give something: these people must not be the only ones who sign.
    pub gained: BTreeSet<String>,
}

/// Rules that the operator put in force without the reviewers, and all that changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The rules in force.
    pub rules: Digest,
    /// Those that were in force before the first adoption that nobody has acknowledged.
    pub previous: Digest,
    /// The position of the entry of that adoption.
    pub at: u64,
    /// What the operator said.
    pub reason: String,
}

/// What the operator's files make, ready to be taken: everything costly is done.
#[derive(Debug)]
pub struct NewRules {
    rules: Arc<Rules>,
    /// The rules in force without what the files no longer have, where that is less.
    narrowed: Option<Arc<Rules>>,
    /// The rules that were in force then.
    base: Digest,
}

/// A person's signed word on a change of rules, checked against the rules that were in force.
#[derive(Debug)]
pub struct RulesWord {
    /// The word.
    pub act: Act,
    /// Whether it puts proposed rules in force, or acknowledges adopted ones.
    pub on: WordOn,
    /// The rules it is about.
    pub rules: Digest,
    /// The rules in force that it was checked under.
    pub under: Digest,
    /// The size of the last head the caller kept, 0 for none.
    pub known_size: u64,
}

/// What a word is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordOn {
    /// Rules that are proposed.
    Proposal,
    /// Rules that were adopted.
    Adoption,
}

/// A person's word on rules was recorded.
#[derive(Debug)]
pub struct RulesSigned {
    /// The entry with its proof.
    pub recorded: Inclusion,
    /// Whether the rules are in force now.
    pub in_force: bool,
    /// What is still missing, if anything.
    pub missing: Option<String>,
}

impl NewRules {
    /// Compares what the operator's files make with what is in force.
    ///
    /// # Errors
    ///
    /// When the rules in force cannot be narrowed.
    pub fn of(in_force: &Rules, rules: Arc<Rules>) -> Result<Self, RulesError> {
        let narrowed = match in_force.mode {
            Mode::User => None,
            Mode::System => in_force.narrowed_to(&rules)?.map(Arc::new),
        };
        Ok(Self {
            rules,
            narrowed,
            base: in_force.digest,
        })
    }
}

impl Proposed {
    /// Returns what is missing until they take force, nothing when nothing is.
    pub fn missing(&self, in_force: &Rules) -> Option<String> {
        let signed: BTreeSet<String> = self.signed.keys().cloned().collect();
        if change::is_enough(&signed, in_force.signers, &self.gained) {
            return None;
        }
        let needed = usize::try_from(in_force.signers.get()).unwrap_or(usize::MAX);
        let count = needed.saturating_sub(signed.len());
        Some(match count {
            0 => "needs the signature of somebody whose keys it does not change".to_owned(),
            1 => "needs 1 more signature".to_owned(),
            several => format!("needs {several} more signatures"),
        })
    }
}

impl Adopted {
    /// Reads which adoption nobody has acknowledged.
    pub(super) fn stored(store: &Store) -> Result<Option<Self>, StoreError> {
        let Some(at) = store.adopted()? else {
            return Ok(None);
        };
        let bytes = store.entry(at)?;
        let entry = bytes.and_then(|bytes| Entry::read(&bytes).ok());
        if let Some(Body::Request(Event::RulesChanged(change))) = entry.map(|entry| entry.body)
            && let Some(RulesVia::Adoption { reason }) = change.via
        {
            return Ok(Some(Self {
                rules: store.rules()?.unwrap_or(change.rules),
                previous: change.previous,
                at,
                reason,
            }));
        }
        Err(StoreError::Row {
            what: format!("entry {at} adopts no rules"),
        })
    }
}

impl Engine {
    /// Returns the rules in force and what stands beside them.
    pub(super) fn force(&self) -> Force {
        self.published.borrow().clone()
    }

    /// Goes by other rules, once they are durable, and tells those who ask or follow.
    pub(super) fn go_by(&mut self, mut force: Force) {
        if let Some(adopted) = &mut force.adopted {
            adopted.rules = force.rules.digest;
        }
        self.separation = force.rules.separation();
        self.rules = Arc::clone(&force.rules);
        self.published.send_replace(force);
        self.announce(Change::Rules);
    }

    /// Takes what the operator's files make: at once in user mode; in system mode what they take
    /// away at once, and the rest when it is signed. Returns what is to be gone by.
    pub(super) fn take_rules(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        new: &NewRules,
    ) -> Result<Force, EngineError> {
        if new.base != self.rules.digest {
            return Err(EngineError::RulesChanged);
        }
        let mut force = self.force();
        match self.rules.mode {
            Mode::User => {
                if new.rules.digest != force.rules.digest {
                    self.replace_rules(step, scene, &new.rules, new.base, None)?;
                    force.rules = Arc::clone(&new.rules);
                }
                return Ok(force);
            }
            Mode::System => {}
        }
        if let Some(narrowed) = &new.narrowed {
            let via = RulesVia::Removal {};
            self.replace_rules(step, scene, narrowed, new.base, Some(via))?;
            force.rules = Arc::clone(narrowed);
            // What was signed was the change of other rules than these.
            force.proposed = None;
        }
        let waits = force.proposed.as_ref().map(|it| it.rules.digest);
        if new.rules.digest == force.rules.digest {
            force.proposed = None;
            if let Some(rules) = waits {
                let event = LogEvent::RulesWithdrawn { rules };
                step.note(&mut self.store, scene, daemon_actor(), event)?;
            }
        } else if waits != Some(new.rules.digest) {
            let event = LogEvent::RulesProposed {
                rules: new.rules.digest,
                previous: force.rules.digest,
            };
            let at = step.note(&mut self.store, scene, daemon_actor(), event)?;
            tracing::warn!(
                rules = %new.rules.digest,
                in_force = %force.rules.digest,
                "new rules wait for the signatures of reviewers"
            );
            force.proposed = Some(Proposed {
                at,
                signed: BTreeMap::new(),
                gained: change::gained(force.rules.people(), new.rules.people()),
                rules: Arc::clone(&new.rules),
            });
        }
        Ok(force)
    }

    /// Records a person's word on a change of rules, and puts them in force when that is enough.
    /// Returns what is to be gone by, the position of the entry, and whether that put them in force.
    pub(super) fn sign_rules(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        word: RulesWord,
    ) -> Result<(Force, u64, bool), EngineError> {
        let RulesWord {
            act, rules, under, ..
        } = word;
        if under != self.rules.digest {
            return Err(EngineError::RulesChanged);
        }
        self.check_clock()?;
        let mut force = self.force();
        let name = act.member.name.clone();
        let actor = reviewer_actor(&name, Some(act.member.uid));
        let act = Box::new(act);
        match word.on {
            WordOn::Adoption => {
                if force.adopted.as_ref().map(|it| it.rules) != Some(rules) {
                    return Err(EngineError::NotProposed { rules });
                }
                let event = LogEvent::RulesAcknowledged { rules, act };
                let at = step.note(&mut self.store, scene, actor, event)?;
                self.store.drop_adopted()?;
                force.adopted = None;
                Ok((force, at, false))
            }
            WordOn::Proposal => {
                let Some(proposed) = force
                    .proposed
                    .as_mut()
                    .filter(|it| it.rules.digest == rules)
                else {
                    return Err(EngineError::NotProposed { rules });
                };
                // The same word again changes nothing and is no error (R5).
                if let Some(at) = proposed.signed.get(&name) {
                    let at = *at;
                    return Ok((force, at, false));
                }
                let event = LogEvent::RulesSigned { rules, act };
                let at = step.note(&mut self.store, scene, actor, event)?;
                proposed.signed.insert(name, at);
                if proposed.missing(&self.rules).is_some() {
                    return Ok((force, at, false));
                }
                let rules = Arc::clone(&proposed.rules);
                let via = RulesVia::Signatures {};
                self.replace_rules(step, scene, &rules, under, Some(via))?;
                force.rules = rules;
                force.proposed = None;
                Ok((force, at, true))
            }
        }
    }

    /// Says what came of a person's word, once it is durable.
    pub(super) fn rules_signed(
        &mut self,
        (force, at, in_force): (Force, u64, bool),
        known_size: u64,
    ) -> Result<RulesSigned, EngineError> {
        let missing = force
            .proposed
            .as_ref()
            .and_then(|proposed| proposed.missing(&force.rules));
        self.go_by(force);
        Ok(RulesSigned {
            recorded: self.inclusion(at, known_size)?,
            in_force,
            missing,
        })
    }

    /// Puts rules in force without the reviewers, as the operator said at the start.
    pub(super) fn adopt_rules(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        rules: &Arc<Rules>,
        (previous, reason): (Digest, String),
    ) -> Result<Force, EngineError> {
        let via = RulesVia::Adoption {
            reason: reason.clone(),
        };
        let at = self.replace_rules(step, scene, rules, previous, Some(via))?;
        self.store.put_adopted(at)?;
        tracing::warn!(%reason, rules = %rules.digest, "rules were adopted without the reviewers");
        let adopted = match self.force().adopted {
            // One that nobody has looked at yet stands, and is looked at together with this one.
            Some(before) => before,
            None => Adopted {
                rules: rules.digest,
                previous,
                at,
                reason,
            },
        };
        Ok(Force {
            rules: Arc::clone(rules),
            proposed: None,
            adopted: Some(adopted),
        })
    }

    /// Writes that the operator's files were read and not taken.
    pub(super) fn note_refused_rules(
        &mut self,
        batch: &mut Step,
        scene: &Scene,
        problem: String,
    ) -> Result<(), EngineError> {
        self.step(batch, scene, |engine, step| {
            let event = LogEvent::RulesRefused { problem };
            step.note(&mut engine.store, scene, daemon_actor(), event)?;
            Ok(())
        })
    }

    /// Puts other rules in force: one entry, applied to every request that has not ended. Returns
    /// its position.
    pub(super) fn replace_rules(
        &mut self,
        step: &mut Step,
        scene: &Scene,
        rules: &Rules,
        previous: Digest,
        via: Option<RulesVia>,
    ) -> Result<u64, EngineError> {
        let change = rules.change(previous, via, scene.now.wall);
        let event = Event::RulesChanged(Box::new(change));
        let body = Body::Request(event.clone());
        let at = step.append(&mut self.store, scene, daemon_actor(), None, body)?;
        self.store.put_rules(&rules.kept)?;
        // A change of rules has a batch of its own, so what is open is what is committed.
        let ids: Vec<RequestId> = self.live.keys().copied().collect();
        for id in ids {
            self.copy(step, id)?;
            step.apply_rules(&mut self.store, scene, &daemon_actor(), id, &event)?;
            let request = self.copy(step, id)?;
            if !matches!(request.state(), State::Pending | State::Approved) {
                continue;
            }
            let requirement = request.requirement().clone();
            if let Rejudged::Invalidated { because, .. } = self.rejudge(rules, id, &requirement)? {
                let event = Event::Invalidated { because };
                step.apply(&mut self.store, scene, &daemon_actor(), id, event)?;
            }
        }
        Ok(at)
    }

    /// Judges a request anew, under other rules, by the facts that stand in its document.
    fn rejudge(
        &self,
        rules: &Rules,
        id: RequestId,
        requirement: &Requirement,
    ) -> Result<Rejudged, EngineError> {
        let document = self.document(id)?;
        Ok(match Document::read(&document) {
            Ok(document) => {
                rules
                    .policies
                    .rejudge(requirement, document.facts(), document.action())
            }
            Err(error) => Rejudged::Invalidated {
                because: format!("its document cannot be read under the new rules: {error}"),
                joined: None,
            },
        })
    }
}
