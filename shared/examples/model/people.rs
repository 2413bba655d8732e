//! What is asked, and what people sign.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::machine::{Act, Decision, Mode, Received, Side};
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use countersign_shared::statement::Verdict;
use countersign_shared::time::{Deadline, Moment, Timestamp};

/// How long a request lives, an approval waits and a run takes, in ticks of a second.
pub(crate) const TTL: u8 = 3;
pub(crate) const GRANT: u8 = 2;
pub(crate) const MAX_RUN: u8 = 1;

pub(crate) const DOCUMENT: Digest = Digest::from_bytes([1; 32]);
pub(crate) const STALE: Digest = Digest::from_bytes([3; 32]);
const RENDERING: Digest = Digest::from_bytes([2; 32]);

/// The person with a number; number [`REQUESTER`] stands behind the request.
pub(crate) const REQUESTER: u8 = 7;

pub(crate) fn person(number: u8) -> Member {
    Member {
        name: format!("p{number}"),
        uid: u32::from(number),
        groups: BTreeSet::new(),
        keys: BTreeSet::from([format!("k{number}")]),
    }
}

/// The requester and the reviewers in `listed`, one bit each.
pub(crate) fn roster(listed: u8) -> Vec<Member> {
    (0..8)
        .filter(|number| listed & (1 << number) != 0)
        .map(person)
        .collect()
}

/// A request that two people, or nobody, are asked about.
pub(crate) fn received(now: &Moment, asks: bool) -> Option<Received> {
    let reviews = if asks {
        vec![RequiredReview {
            policy: String::new(),
            seats: "2 of anyone".parse().ok()?,
        }]
    } else {
        Vec::new()
    };
    Some(Received {
        digest: DOCUMENT,
        display: RENDERING,
        displayable: true,
        mode: Mode::System,
        side: Side {
            uid: u32::from(REQUESTER),
            launchers: BTreeSet::new(),
            owner: None,
        },
        requirement: Requirement {
            reviews,
            tier: Tier::Low,
            assurance: Assurance::File,
            reason_required: false,
            ttl_s: u32::from(TTL),
            grant_s: u32::from(GRANT),
            max_run_s: u32::from(MAX_RUN),
            run_by: RunBy::Agent,
            self_attest: false,
            advice: Vec::new(),
            why: Vec::new(),
            escalate: Vec::new(),
        },
        rules: STALE,
        expires: Deadline::after(now, Duration::from_secs(u64::from(TTL))),
        ticket: STALE,
        attached: false,
    })
}

pub(crate) fn decision(verdict: Verdict, number: u8, digest: Digest) -> Decision {
    Decision {
        at: Timestamp::from_millis(0),
        verdict,
        member: person(number),
        key: format!("k{number}"),
        assurance: Assurance::File,
        self_attested: false,
        reason: String::new(),
        digest,
        display: RENDERING,
        statement_base64: String::new(),
        sshsig: String::new(),
    }
}

pub(crate) fn act(number: u8) -> Act {
    Act {
        member: person(number),
        key: format!("k{number}"),
        reason: "r".to_owned(),
        statement_base64: String::new(),
        sshsig: String::new(),
    }
}
