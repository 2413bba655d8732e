//! The cast and the settings of the lives that are played.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::digest::Digest;
use crate::machine::{Act, Decision, Mode, Received, Side};
use crate::requirement::{Assurance, Member, RequiredReview, Requirement, RunBy, Tier};
use crate::statement::Verdict;
use crate::time::{Deadline, Moment, Timestamp};

pub(super) const REQUESTER: u32 = 1000;
pub(super) const LAUNCHER: u32 = 1001;

/// Everybody who ever sits in the roster. The last three stand behind the request.
pub(super) fn everybody() -> Vec<Member> {
    [
        ("ana", 2001, &["dba", "sre"][..]),
        ("bo", 2002, &["sre"]),
        ("cy", 2003, &["dba"]),
        ("di", 2004, &[]),
        ("own", REQUESTER, &["dba", "sre"]),
        ("lia", LAUNCHER, &["dba", "sre"]),
        ("oda", 2005, &["dba", "sre"]),
    ]
    .into_iter()
    .map(|(name, uid, groups)| Member {
        name: name.to_owned(),
        uid,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        keys: BTreeSet::from([key(name, 0), key(name, 1)]),
    })
    .collect()
}

pub(super) fn person(name: &str) -> Member {
    let mut all = everybody().into_iter();
    all.find(|member| member.name == name).unwrap()
}

pub(super) fn key(name: &str, number: u8) -> String {
    format!("SHA256:{name}/{number}")
}

pub(super) fn document() -> Digest {
    Digest::from_bytes([1; 32])
}

pub(super) fn rendering() -> Digest {
    Digest::from_bytes([2; 32])
}

pub(super) fn other() -> Digest {
    Digest::from_bytes([3; 32])
}

/// What is fixed at intake.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn on its own")]
pub(super) struct Setting {
    pub(super) mode: Mode,
    pub(super) tier: Tier,
    pub(super) assurance: Assurance,
    pub(super) reason_required: bool,
    pub(super) self_attest: bool,
    pub(super) run_by: RunBy,
    pub(super) displayable: bool,
    pub(super) attached: bool,
    pub(super) reviews: Vec<&'static str>,
    pub(super) ttl_s: u32,
    pub(super) grant_s: u32,
    pub(super) max_run_s: u32,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            mode: Mode::System,
            tier: Tier::Medium,
            assurance: Assurance::File,
            reason_required: false,
            self_attest: false,
            run_by: RunBy::Agent,
            displayable: true,
            attached: true,
            reviews: vec!["1 of sre"],
            ttl_s: 100,
            grant_s: 50,
            max_run_s: 60,
        }
    }
}

impl Setting {
    pub(super) fn received(&self, now: &Moment) -> Received {
        Received {
            digest: document(),
            display: rendering(),
            displayable: self.displayable,
            mode: self.mode,
            side: Side {
                uid: REQUESTER,
                launchers: BTreeSet::from([LAUNCHER]),
                owner: Some("oda".to_owned()),
            },
            requirement: Requirement {
                reviews: self
                    .reviews
                    .iter()
                    .map(|review| RequiredReview {
                        policy: "default".to_owned(),
                        seats: review.parse().unwrap(),
                    })
                    .collect(),
                tier: self.tier,
                assurance: self.assurance,
                reason_required: self.reason_required,
                ttl_s: self.ttl_s,
                grant_s: self.grant_s,
                max_run_s: self.max_run_s,
                run_by: self.run_by,
                self_attest: self.self_attest,
                advice: Vec::new(),
                why: Vec::new(),
                escalate: Vec::new(),
            },
            rules: Digest::from_bytes([4; 32]),
            expires: Deadline::after(now, Duration::from_secs(u64::from(self.ttl_s))),
            ticket: Digest::from_bytes([5; 32]),
            attached: self.attached,
        }
    }
}

pub(super) fn decision(verdict: Verdict, member: Member) -> Decision {
    Decision {
        at: Timestamp::from_millis(0),
        verdict,
        key: key(&member.name, 0),
        member,
        assurance: Assurance::Passphrase,
        self_attested: false,
        reason: "looked at it".to_owned(),
        digest: document(),
        display: rendering(),
        statement_base64: "e30=".to_owned(),
        sshsig: "-----BEGIN SSH SIGNATURE-----".to_owned(),
    }
}

pub(super) fn act(member: Member) -> Act {
    Act {
        key: key(&member.name, 0),
        member,
        reason: "because".to_owned(),
        statement_base64: "e30=".to_owned(),
        sshsig: "-----BEGIN SSH SIGNATURE-----".to_owned(),
    }
}
