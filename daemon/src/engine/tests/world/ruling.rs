//! How rules change in a test: what files make, and what people sign about it.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::machine::Act;
use countersign_shared::statement::{self, ActKind, Nonce, Statement, Subject};

use super::super::super::*;
use super::{Person, World};
use crate::judge::{JudgeError, Signed};

impl World {
    /// Takes what files make, as a reload does.
    pub(in super::super) fn take(&mut self, rules: Rules) -> Result<Force, EngineError> {
        let new = NewRules::of(&self.engine.rules, Arc::new(rules)).unwrap();
        self.ask(|reply| Command::Rules(Box::new(new), reply))
    }

    /// Signs the proposed rules as a person's program does.
    pub(in super::super) fn sign_rules(
        &mut self,
        person: &Person,
        rules: Digest,
    ) -> Result<RulesSigned, EngineError> {
        let previous = self.engine.rules.digest;
        let at = self.engine.force().proposed.map_or(0, |it| it.at);
        let statement = self.rules_statement(person, (previous, rules));
        let act = self
            .judge_rules(person, (previous, rules), at, &statement)
            .unwrap();
        self.hand_in(act, WordOn::Proposal, rules)
    }

    /// Acknowledges adopted rules as a person's program does.
    pub(in super::super) fn acknowledge(
        &mut self,
        person: &Person,
    ) -> Result<RulesSigned, EngineError> {
        let adopted = self.engine.force().adopted.unwrap();
        let change = (adopted.previous, adopted.rules);
        let statement = self.rules_statement(person, change);
        let act = self
            .judge_rules(person, change, adopted.at, &statement)
            .unwrap();
        self.hand_in(act, WordOn::Adoption, adopted.rules)
    }

    /// Hands the acknowledgement of rules in that were acknowledged.
    pub(in super::super) fn hand_in_again(
        &mut self,
        person: &Person,
        rules: Digest,
    ) -> Result<RulesSigned, EngineError> {
        let change = (rules, rules);
        let statement = self.rules_statement(person, change);
        let act = self.judge_rules(person, change, 0, &statement).unwrap();
        self.hand_in(act, WordOn::Adoption, rules)
    }

    pub(in super::super) fn hand_in(
        &mut self,
        act: Act,
        on: WordOn,
        rules: Digest,
    ) -> Result<RulesSigned, EngineError> {
        let word = Box::new(RulesWord {
            act,
            on,
            rules,
            under: self.engine.rules.digest,
            known_size: 0,
        });
        self.ask(|reply| Command::SignRules(word, reply))
    }

    /// Returns what a person signs about a change of rules.
    pub(in super::super) fn rules_statement(
        &self,
        person: &Person,
        (previous, rules): (Digest, Digest),
    ) -> statement::Act {
        let now = self.engine.now().wall;
        statement::Act {
            kind: ActKind::Rules,
            subject: Subject::Rules { digest: rules },
            outcome: None,
            display: None,
            reason: "read it".to_owned(),
            reviewer: person.name.to_owned(),
            assurance: statement::Assurance::File,
            rules: previous,
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            nonce: Nonce::from_bytes([2; 16]),
            log: self.log_head(),
        }
    }

    /// Signs a statement about rules and checks it as the socket does.
    pub(in super::super) fn judge_rules(
        &mut self,
        person: &Person,
        change: (Digest, Digest),
        at: u64,
        stated: &statement::Act,
    ) -> Result<Act, JudgeError> {
        let bytes = Statement::Act(stated.clone()).to_bytes().unwrap();
        let sshsig = person.sign(ActKind::Rules.namespace(), &bytes);
        let rules = Arc::clone(&self.engine.rules);
        let bench = self.bench(&rules, person, &bytes);
        let signed = Signed {
            statement: &bytes,
            sshsig: &sshsig,
        };
        bench.rules_word(change, at, signed)
    }
}
