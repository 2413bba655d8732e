//! The calls about rules: which are in force, what they say, which wait for people's word, and that
//! word itself.

use countersign_shared::digest::Digest;
use countersign_shared::json;
use countersign_shared::statement::Statement;
use countersign_shared::wire::pb;
use tonic::{Response, Status};

use super::review::Reviewers;
use super::{encode, status};
use crate::engine::{Command, EngineError, Force, Query, RulesWord, WordOn};
use crate::identity::Peer;
use crate::judge::{JudgeError, Signed};

impl Reviewers {
    /// Returns the rules in force.
    pub(super) fn rules(&self, peer: &Peer) -> Result<Response<pb::GetRulesResponse>, Status> {
        let force = self.desk.engine.force();
        let rules = &force.rules;
        let roster =
            json::canonical(&rules.members).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(pb::GetRulesResponse {
            digest: rules.digest.to_string(),
            allowed_signers: rules.roster.allowed_signers(),
            roster,
            you: rules
                .member_of_uid(peer.uid())
                .map_or_else(String::new, |member| member.name.clone()),
            refused: self.desk.refused_rules().unwrap_or_default(),
            break_glass: rules.break_glass.iter().cloned().collect(),
            policies: u32::try_from(rules.policies.len()).unwrap_or(u32::MAX),
            lacks: rules.lacks(),
            standing: Some(standing(&force)),
        }))
    }

    /// Returns rules whole.
    pub(super) async fn rules_whole(
        &self,
        digest: &str,
    ) -> Result<Response<pb::ReadRulesResponse>, Status> {
        let force = self.desk.engine.force();
        let digest = match digest {
            "" => force.rules.digest,
            text => text
                .parse()
                .map_err(|error: countersign_shared::digest::DigestError| {
                    status::malformed("digest", &error.to_string())
                })?,
        };
        let kept = match &force.proposed {
            Some(proposed) if proposed.rules.digest == digest => (*proposed.rules.kept).clone(),
            Some(_) | None if force.rules.digest == digest => (*force.rules.kept).clone(),
            Some(_) | None => {
                let kept = self
                    .desk
                    .ask(|reply| Query::KeptRules(digest, reply))
                    .await?;
                kept.ok_or_else(|| {
                    status::engine(&EngineError::NotFound {
                        id: digest.to_string(),
                    })
                })?
            }
        };
        Ok(Response::new(pb::ReadRulesResponse {
            rules: kept.bytes,
            files: kept
                .files
                .into_iter()
                .map(|(name, text)| pb::RulesFile { name, text })
                .collect(),
        }))
    }

    /// Returns what waits for people's word.
    pub(super) async fn rules_proposed(
        &self,
        known_size: u64,
    ) -> Result<Response<pb::ProposedRulesResponse>, Status> {
        self.desk.reviewer_holds(known_size);
        let force = self.desk.engine.force();
        let (mut proposed, mut adopted) = (None, None);
        if let Some(waiting) = &force.proposed {
            let at = waiting.at;
            let proof = self
                .desk
                .ask(|reply| Query::Prove(at, known_size, reply))
                .await?;
            proposed = Some(encode::inclusion(&proof));
        }
        if let Some(waiting) = &force.adopted {
            let at = waiting.at;
            let proof = self
                .desk
                .ask(|reply| Query::Prove(at, known_size, reply))
                .await?;
            adopted = Some(encode::inclusion(&proof));
        }
        Ok(Response::new(pb::ProposedRulesResponse {
            standing: Some(standing(&force)),
            proposed,
            adopted,
            adopted_previous: force
                .adopted
                .as_ref()
                .map_or_else(String::new, |adopted| adopted.previous.to_string()),
            gained: force
                .proposed
                .as_ref()
                .map_or_else(Vec::new, |it| it.gained.iter().cloned().collect()),
            signers: force.rules.signers.get(),
            assurance: force.rules.signing().assurance.to_string(),
        }))
    }

    /// Takes a person's word on a change of rules.
    pub(super) async fn rules_word(
        &self,
        peer: &Peer,
        request: pb::SignRulesRequest,
    ) -> Result<Response<pb::SignRulesResponse>, Status> {
        let pb::SignRulesRequest {
            statement,
            sshsig,
            known_size,
        } = request;
        self.desk.reviewer_holds(known_size);
        let force = self.desk.engine.force();
        let Statement::Act(stated) = Statement::read(&statement)
            .map_err(|error| status::judge(&JudgeError::Statement(error)))?
        else {
            return Err(status::judge(&JudgeError::Kind));
        };
        let (on, change, at) = waiting(
            &force,
            stated.rules,
            Statement::Act(stated.clone()).subject_digest(),
        )
        .map_err(|error| status::engine(&error))?;
        let bench = self.bench(&force.rules, peer, &statement).await?;
        let signed = Signed {
            statement: &statement,
            sshsig: &sshsig,
        };
        let act = bench
            .rules_word(change, at, signed)
            .map_err(|error| status::judge(&error))?;
        let word = Box::new(RulesWord {
            act,
            on,
            rules: change.1,
            under: force.rules.digest,
            known_size,
        });
        let done = self
            .desk
            .ask(|reply| Command::SignRules(word, reply))
            .await?;
        Ok(Response::new(pb::SignRulesResponse {
            in_force: done.in_force,
            recorded: Some(encode::inclusion(&done.recorded)),
            missing: done.missing.unwrap_or_default(),
        }))
    }
}

/// Finds what a statement about the change from `previous` to `rules` is on: the proposal, or the
/// adoption that is to be acknowledged. Returns the change as it stands, and its entry.
fn waiting(
    force: &Force,
    previous: Digest,
    rules: Digest,
) -> Result<(WordOn, (Digest, Digest), u64), EngineError> {
    if let Some(adopted) = &force.adopted
        && adopted.rules == rules
        && adopted.previous == previous
    {
        return Ok((WordOn::Adoption, (previous, rules), adopted.at));
    }
    match &force.proposed {
        // That it names other rules as those in force is told by whoever compares the statement.
        Some(proposed) if proposed.rules.digest == rules => {
            let change = (force.rules.digest, rules);
            Ok((WordOn::Proposal, change, proposed.at))
        }
        Some(_) | None => Err(EngineError::NotProposed { rules }),
    }
}

/// Returns which rules are in force, and which wait for people's word.
pub(super) fn standing(force: &Force) -> pb::RulesStanding {
    let proposed = force.proposed.as_ref();
    let adopted = force.adopted.as_ref();
    let digest = |digest: Option<Digest>| digest.map_or_else(String::new, |it| it.to_string());
    pb::RulesStanding {
        in_force: force.rules.digest.to_string(),
        proposed: digest(proposed.map(|it| it.rules.digest)),
        signed_by: proposed.map_or_else(Vec::new, |it| it.signed.keys().cloned().collect()),
        missing: proposed
            .and_then(|it| it.missing(&force.rules))
            .unwrap_or_default(),
        adopted: digest(adopted.map(|it| it.rules)),
        adopted_reason: adopted.map_or_else(String::new, |it| it.reason.clone()),
    }
}
