//! Judges the signed statements of the log anew: signature, key, and every word.

use std::time::Duration;

use data_encoding::BASE64;

use super::force::InForce;
use super::rules::Signable;
use super::{Life, Problem, Replay};
use crate::digest::Digest;
use crate::log::entry::{Body, Entry, LogEvent};
use crate::machine::{Act, Decision, Event, Refused};
use crate::sshsig::{Checked, SigError};
use crate::statement::{
    self, ActKind, Context, Display, Expect, LogHead, Outcome, Requester, Statement, Subject,
    Verdict,
};
use crate::time::Timestamp;

/// How long after its judgement a deny or an act may have been recorded under newer rules.
const CARRIED_OVER: Duration = Duration::from_secs(120);

/// How far the time of handing in and that of the entry may be apart: clocks are set, and an entry's
/// time is never behind the one before it.
const CLOCKS: Duration = Duration::from_secs(300);

/// What a person signed, in an event.
#[derive(Debug)]
pub(super) enum Word<'a> {
    /// An approve or deny.
    Decision(&'a Decision),
    /// Another act.
    Act(ActKind, &'a Act),
    /// The event rests on no person's word.
    None,
}

/// Returns what a person signed, if an entry rests on that.
pub(super) fn word_in(body: &Body) -> Word<'_> {
    match body {
        Body::Request(event) => word(event),
        Body::Log(LogEvent::RulesSigned { act, .. } | LogEvent::RulesAcknowledged { act, .. }) => {
            Word::Act(ActKind::Rules, act)
        }
        Body::Log(
            LogEvent::Genesis { .. }
            | LogEvent::DaemonStarted { .. }
            | LogEvent::DaemonStopped {}
            | LogEvent::ClockJumped { .. }
            | LogEvent::RulesRefused { .. }
            | LogEvent::RulesProposed { .. }
            | LogEvent::RulesWithdrawn { .. }
            | LogEvent::RollbackAdopted { .. }
            | LogEvent::KeyRotated { .. }
            | LogEvent::KeyRetired { .. }
            | LogEvent::CallsRefused { .. }
            | LogEvent::DocumentErased { .. }
            | LogEvent::Pruned(_)
            | LogEvent::DataAccessed(_),
        ) => Word::None,
    }
}

/// Returns what a person signed, if the event rests on that.
pub(super) fn word(event: &Event) -> Word<'_> {
    match event {
        Event::Decided(decision) => Word::Decision(decision),
        Event::Revoked(act) => Word::Act(ActKind::Revoke, act),
        Event::KillRequested(act) => Word::Act(ActKind::Kill, act),
        Event::DebtClosed(act) => Word::Act(ActKind::CloseDebt, act),
        Event::Escalated { act: Some(act) } => Word::Act(ActKind::Escalate, act),
        Event::Settled { act: Some(act), .. } => Word::Act(ActKind::Settle, act),
        Event::BreakGlass(act) => Word::Act(ActKind::BreakGlass, act),
        Event::Escalated { act: None }
        | Event::Settled { act: None, .. }
        | Event::Received(_)
        | Event::PolicyEvaluated { .. }
        | Event::Refused { .. }
        | Event::Opened { .. }
        | Event::Claimed { .. }
        | Event::Released { .. }
        | Event::Approved { .. }
        | Event::Denied { .. }
        | Event::Detached {}
        | Event::Expired {}
        | Event::Withdrawn { .. }
        | Event::Superseded { .. }
        | Event::Invalidated { .. }
        | Event::Redeemed { .. }
        | Event::Lapsed {}
        | Event::Started { .. }
        | Event::Finished(_)
        | Event::NotRun { .. }
        | Event::Indeterminate { .. }
        | Event::RulesChanged(_) => Word::None,
    }
}

impl Replay {
    /// Judges the statement of a decision, and returns the head it names.
    pub(super) fn decision(
        &self,
        entry: &Entry,
        life: &Life,
        decision: &Decision,
        checked: &Result<Checked, SigError>,
    ) -> Result<LogHead, Problem> {
        let bytes = decode(&decision.statement_base64)?;
        let Statement::Decision(stated) = Statement::read(&bytes).map_err(Problem::Statement)?
        else {
            return Err(Problem::Kind);
        };
        let recorded = entry.now.wall;
        let (early, late) = (recorded.since(decision.at), decision.at.since(recorded));
        // A deny is taken while the wall clock is behind the log, however far (R10).
        if late > CLOCKS || (decision.verdict == Verdict::Approve && early > CLOCKS) {
            return Err(Problem::HandedIn {
                recorded,
                handed_in: decision.at,
            });
        }
        let signature = Signature {
            name: &decision.member.name,
            checked,
            at: decision.at,
        };
        let received = life.request.received();
        self.under(entry, decision.verdict == Verdict::Deny, |force| {
            let (context, key) = self.context(force, life.least_size(), &signature, &stated.log)?;
            let expect = Expect {
                context,
                request: life.request.id(),
                digest: received.digest,
                // Which values are masked and how the requester is called stands in the document
                // alone; whoever has the document compares those two.
                display: Display {
                    sha256: received.display,
                    complete: received.displayable,
                    masked: stated.display.masked.clone(),
                },
                requester: Requester {
                    uid: received.side.uid,
                    ..stated.requester.clone()
                },
                self_attested: life.request.is_own(&decision.member),
            };
            let assurance = statement::check(&stated, &expect).map_err(Problem::Mismatch)?;
            same("verdict", stated.verdict == decision.verdict)?;
            same("reason", stated.reason == decision.reason)?;
            same("digest", stated.digest == decision.digest)?;
            same("display", stated.display.sha256 == decision.display)?;
            same(
                "self_attested",
                stated.self_attested == decision.self_attested,
            )?;
            same("assurance", assurance == decision.assurance)?;
            same("key", key == decision.key)?;
            is_member(force, &decision.member)
        })?;
        Ok(stated.log)
    }

    /// Judges the statement of an act, and returns the head it names.
    pub(super) fn act(
        &self,
        entry: &Entry,
        life: &Life,
        kind: ActKind,
        act: &Act,
        checked: &Result<Checked, SigError>,
    ) -> Result<LogHead, Problem> {
        let bytes = decode(&act.statement_base64)?;
        let Statement::Act(stated) = Statement::read(&bytes).map_err(Problem::Statement)? else {
            return Err(Problem::Kind);
        };
        if stated.kind != kind {
            return Err(Problem::Kind);
        }
        let signature = Signature {
            name: &act.member.name,
            checked,
            // An act's event does not say when it was handed in. The entry's time may be later, and
            // may be ahead of the wall clock; so the statement may have expired in between.
            at: entry.now.wall.min(just_before(stated.expires_at)),
        };
        let breaks_glass = kind == ActKind::BreakGlass;
        if breaks_glass {
            in_time(entry, stated.expires_at)?;
        }
        // Acts that take something away are taken under rules that changed a moment ago.
        self.under(entry, !breaks_glass, |force| {
            let (context, key) = self.context(force, life.least_size(), &signature, &stated.log)?;
            let digest = life.request.digest();
            let subject = Subject::Request {
                id: life.request.id(),
                digest,
            };
            if breaks_glass {
                check_glass(force, life, &stated, subject, &context)?;
            } else {
                statement::check_act(&stated, subject, &context).map_err(Problem::Mismatch)?;
            }
            same("reason", stated.reason == act.reason)?;
            same("outcome", stated.outcome == outcome(&entry.body))?;
            same("key", key == act.key)?;
            is_member(force, &act.member)
        })?;
        Ok(stated.log)
    }

    /// Judges the statement by which a person signs a change of rules that stands in the log, and
    /// returns the head it names.
    pub(super) fn rules_act(
        &self,
        entry: &Entry,
        change: &Signable,
        act: &Act,
        checked: &Result<Checked, SigError>,
    ) -> Result<LogHead, Problem> {
        let bytes = decode(&act.statement_base64)?;
        let Statement::Act(stated) = Statement::read(&bytes).map_err(Problem::Statement)? else {
            return Err(Problem::Kind);
        };
        if stated.kind != ActKind::Rules {
            return Err(Problem::Kind);
        }
        let signature = Signature {
            name: &act.member.name,
            checked,
            at: entry.now.wall.min(just_before(stated.expires_at)),
        };
        in_time(entry, stated.expires_at)?;
        let force = self.in_force()?;
        let least_size = change.index.saturating_add(1);
        let (context, key) = self.context(force, least_size, &signature, &stated.log)?;
        let context = Context {
            rules: change.previous,
            ..context
        };
        let subject = Subject::Rules {
            digest: change.rules,
        };
        let found = statement::check_act(&stated, subject, &context).map_err(Problem::Mismatch)?;
        let needed = force.signing.assurance;
        if found < needed {
            return Err(Problem::Machine(Refused::Assurance { needed, found }));
        }
        same("reason", stated.reason == act.reason)?;
        same("key", key == act.key)?;
        is_member(force, &act.member)?;
        Ok(stated.log)
    }

    /// Runs a check under the rules in force, and where it may be, under the ones just before.
    fn under(
        &self,
        entry: &Entry,
        may_be_older: bool,
        check: impl Fn(&InForce) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let force = self.in_force()?;
        let problem = match check(force) {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        let recent = entry.now.wall.since(force.since) <= CARRIED_OVER;
        match &self.before {
            Some(before) if may_be_older && recent && check(before).is_ok() => Ok(()),
            Some(_) | None => Err(problem),
        }
    }

    /// Asks whose a signature is; returns what statements are compared with, and the key.
    fn context(
        &self,
        force: &InForce,
        least_size: u64,
        signature: &Signature<'_>,
        head: &LogHead,
    ) -> Result<(Context, String), Problem> {
        let Signature { name, checked, at } = *signature;
        let signed = force
            .roster
            .admit(name, checked, at)
            .map_err(Problem::Signature)?;
        let context = Context {
            reviewer: name.to_owned(),
            rules: force.rules,
            origin: self.origin.clone(),
            least_size,
            root: self
                .root_at(head.size)
                .map(|root| Digest::from_bytes(*root.as_bytes())),
            now: at,
            presence: signed.presence,
        };
        Ok((context, signed.key.fingerprint().to_owned()))
    }
}

/// Judges an act that approves alone: by a listed person, who saw the whole request, as sure as an
/// approval of it must be.
fn check_glass(
    force: &InForce,
    life: &Life,
    stated: &statement::Act,
    subject: Subject,
    context: &Context,
) -> Result<(), Problem> {
    if !force.may_break_glass(&stated.reviewer) {
        return Err(Problem::NotListed {
            name: stated.reviewer.clone(),
        });
    }
    let received = life.request.received();
    let shown = Display {
        sha256: received.display,
        complete: received.displayable,
        // Which values are masked stands in the document alone.
        masked: stated
            .display
            .as_ref()
            .map_or_else(Vec::new, |display| display.masked.clone()),
    };
    let found = statement::check_break_glass(stated, subject, &shown, context)
        .map_err(Problem::Mismatch)?;
    let needed = life.request.requirement().assurance;
    if found < needed {
        return Err(Problem::Machine(Refused::Assurance { needed, found }));
    }
    Ok(())
}

/// Returns how a run went by a person's word, where the event says so.
fn outcome(body: &Body) -> Option<Outcome> {
    match body {
        Body::Request(Event::Settled { outcome, .. }) => *outcome,
        Body::Request(_) | Body::Log(_) => None,
    }
}

/// A signature that was held against its statement, and whose it is said to be.
#[derive(Debug, Clone, Copy)]
struct Signature<'a> {
    name: &'a str,
    checked: &'a Result<Checked, SigError>,
    at: Timestamp,
}

fn just_before(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_sub(1))
}

fn decode(base64: &str) -> Result<Vec<u8>, Problem> {
    BASE64
        .decode(base64.as_bytes())
        .map_err(|_| Problem::Base64)
}

fn same(field: &'static str, is: bool) -> Result<(), Problem> {
    if is {
        Ok(())
    } else {
        Err(Problem::NotStated { field })
    }
}

/// Refuses a statement that gives something and was recorded long after its time: whoever keeps it back
/// chooses when.
fn in_time(entry: &Entry, expires_at: Timestamp) -> Result<(), Problem> {
    if entry.now.wall.since(expires_at) > CLOCKS {
        return Err(Problem::KeptBack {
            recorded: entry.now.wall,
            expired: expires_at,
        });
    }
    Ok(())
}

fn is_member(force: &InForce, member: &crate::requirement::Member) -> Result<(), Problem> {
    if force.member(&member.name) == Some(member) {
        Ok(())
    } else {
        Err(Problem::Member {
            name: member.name.clone(),
        })
    }
}
