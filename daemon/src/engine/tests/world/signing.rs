//! What people sign in a test, and how it is handed in.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::display;
use countersign_shared::id::RequestId;
use countersign_shared::machine::State;
use countersign_shared::statement::{
    self, ActKind as StatementKind, Decision, Display, LogHead, Nonce, Requester, Statement,
    Subject, Verdict as Said,
};

use super::super::super::*;
use super::{ORIGIN, Person, World};
use crate::judge::{Bench, JudgeError, Signed};

impl World {
    pub(super) fn log_head(&self) -> LogHead {
        let head = self.engine.tail.frontier().head();
        LogHead {
            origin: ORIGIN.to_owned(),
            size: head.size,
            root: Digest::from_bytes(*head.root.as_bytes()),
        }
    }

    /// Signs a decision as a console would, and checks it as the socket does.
    pub(in super::super) fn verdict(
        &mut self,
        id: RequestId,
        person: &Person,
        said: Said,
    ) -> Box<Verdict> {
        let decision = self.statement(id, person, said);
        Box::new(self.judge(id, person, person, decision).unwrap())
    }

    /// Returns what a console would have the person sign.
    pub(in super::super) fn statement(
        &mut self,
        id: RequestId,
        person: &Person,
        said: Said,
    ) -> Decision {
        let view = self.view(id);
        let now = self.engine.now().wall;
        self.serial += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.serial.to_be_bytes());
        Decision {
            request: id,
            digest: view.request.digest(),
            verdict: said,
            reason: "because".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: statement::Assurance::File,
            self_attested: false,
            requester: Requester {
                uid: view.card.uid,
                user: view.card.user.clone(),
                unit: None,
                container: None,
            },
            rules: self.engine.rules.digest,
            display: shown(&view),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes(nonce),
            log: self.log_head(),
        }
    }

    /// Signs a decision with one person's key and hands it in from another's account.
    pub(in super::super) fn judge(
        &mut self,
        id: RequestId,
        caller: &Person,
        signer: &Person,
        decision: Decision,
    ) -> Result<Verdict, JudgeError> {
        let bytes = Statement::Decision(decision).to_bytes().unwrap();
        let sshsig = signer.sign(Decision::NAMESPACE, &bytes);
        self.judge_bytes(id, caller, &bytes, &sshsig)
    }

    /// Hands in a statement and a signature as they are.
    pub(in super::super) fn judge_bytes(
        &mut self,
        id: RequestId,
        caller: &Person,
        statement: &[u8],
        sshsig: &str,
    ) -> Result<Verdict, JudgeError> {
        let view = self.view(id);
        let rules = Arc::clone(&self.engine.rules);
        let bench = self.bench(&rules, caller, statement);
        bench.decision(&view, Signed { statement, sshsig })
    }

    pub(super) fn bench<'a>(
        &mut self,
        rules: &'a Rules,
        person: &Person,
        statement: &[u8],
    ) -> Bench<'a> {
        let size = crate::judge::head_size(statement).unwrap();
        let root = self.ask(|reply| Query::Root(size, reply)).unwrap();
        let now = self.engine.now().wall;
        Bench {
            rules,
            origin: ORIGIN,
            uid: person.uid,
            now,
            root,
        }
    }

    pub(in super::super) fn decide(
        &mut self,
        id: RequestId,
        person: &Person,
        said: Said,
    ) -> Result<Decided, EngineError> {
        let verdict = self.verdict(id, person, said);
        self.ask(|reply| Command::Decide(id, verdict, reply))
    }

    pub(in super::super) fn approve(&mut self, id: RequestId, person: &Person) -> Decided {
        self.decide(id, person, Said::Approve).unwrap()
    }

    pub(in super::super) fn act(
        &mut self,
        id: RequestId,
        person: &Person,
        (named, kind): (StatementKind, ActKind),
    ) -> Result<State, EngineError> {
        let act = self.signed_act(id, person, named).unwrap();
        self.ask(|reply| Command::Act(id, kind, Box::new(act), reply))
    }

    pub(in super::super) fn break_glass(
        &mut self,
        id: RequestId,
        person: &Person,
    ) -> Result<Decided, EngineError> {
        let act = self
            .signed_act(id, person, StatementKind::BreakGlass)
            .unwrap();
        let emergency = Box::new(Emergency {
            act,
            rules: self.engine.rules.digest,
            known_size: 0,
        });
        self.ask(|reply| Command::BreakGlass(id, emergency, reply))
    }

    /// Signs an act as a console would, and checks it as the socket does.
    pub(in super::super) fn signed_act(
        &mut self,
        id: RequestId,
        person: &Person,
        named: StatementKind,
    ) -> Result<countersign_shared::machine::Act, JudgeError> {
        let view = self.view(id);
        let now = self.engine.now().wall;
        let outcome = (named == StatementKind::Settle).then_some(statement::Outcome::Succeeded);
        let statement = Statement::Act(statement::Act {
            kind: named,
            subject: Subject::Request {
                id,
                digest: view.request.digest(),
            },
            outcome,
            display: (named == StatementKind::BreakGlass).then(|| shown(&view)),
            reason: self.reason.clone(),
            reviewer: person.name.to_owned(),
            assurance: statement::Assurance::File,
            rules: self.engine.rules.digest,
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes([1; 16]),
            log: self.log_head(),
        });
        let bytes = statement.to_bytes().unwrap();
        let sshsig = person.sign(named.namespace(), &bytes);
        let rules = Arc::clone(&self.engine.rules);
        let bench = self.bench(&rules, person, &bytes);
        let signed = Signed {
            statement: &bytes,
            sshsig: &sshsig,
        };
        bench.act(named, &view, signed)
    }
}

/// What a console shows of a request.
fn shown(view: &View) -> Display {
    let rendering = display::render(&view.document).unwrap();
    Display {
        sha256: rendering.digest(),
        complete: rendering.complete,
        masked: Vec::new(),
    }
}
