//! Compares statements with what the daemon knows (R12).
//!
//! That the signature is good and that its key belongs to the reviewer is known before; whether the
//! reviewer is eligible and the assurance suffices is the request machine's to say.

use std::time::Duration;

use super::{Act, Assurance, Decision, Display, LogHead, Requester, Subject, Verdict};
use crate::digest::Digest;
use crate::id::RequestId;
use crate::sshsig::Presence;
use crate::time::Timestamp;

/// How far a console's clock may be ahead of the daemon's.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

/// Why a well-formed and well-signed statement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is about another request.
    #[error("the statement is about the request {found}, not about {expected}")]
    Request {
        /// The request it was handed in for.
        expected: RequestId,
        /// The request it names.
        found: RequestId,
    },
    /// It is about something that is not a request, or not rules.
    #[error("the statement is not about {expected}")]
    Subject {
        /// What it should be about.
        expected: &'static str,
    },
    /// It names another document or other rules than are there.
    #[error("stale digest: the statement names {found}, here is {expected}; look again")]
    Digest {
        /// The digest of what is there.
        expected: Digest,
        /// The digest it names.
        found: Digest,
    },
    /// The person was shown something else.
    #[error("the statement is about another display than this request has; look again")]
    Display,
    /// The request cannot be shown completely.
    #[error("the request was not completely displayed; it can be denied, not approved")]
    Incomplete,
    /// It was signed under other rules.
    #[error(
        "the statement was signed under the rules {found}, in force are {expected}; look again"
    )]
    Rules {
        /// The rules in force.
        expected: Digest,
        /// The rules it names.
        found: Digest,
    },
    /// It names another requester.
    #[error("the statement names another requester than this request has")]
    Requester,
    /// It names another person than the one who hands it in.
    #[error("the statement is in the name of `{found}`, handed in by `{expected}`")]
    Reviewer {
        /// The person who hands it in.
        expected: String,
        /// The person it names.
        found: String,
    },
    /// It says the wrong thing about whether the person stands behind the request.
    #[error("the statement says self_attested: {found}, which is not so")]
    SelfAttested {
        /// What it says.
        found: bool,
    },
    /// It is for another log.
    #[error("the statement is for another log than `{expected}`")]
    Origin {
        /// This log's origin.
        expected: String,
    },
    /// The console had not seen the request in the log.
    #[error("the statement names a head of size {found}, older than the request: at least {least}")]
    OldHead {
        /// The least size.
        least: u64,
        /// The size it names.
        found: u64,
    },
    /// The console saw a log that is not this one.
    #[error("the statement names a head of size {size} that this log never had")]
    ForeignHead {
        /// The size it names.
        size: u64,
    },
    /// Its time is over.
    #[error("the statement expired at {expires_at}; sign again")]
    Expired {
        /// When it expired.
        expires_at: Timestamp,
    },
    /// It was made later than now.
    #[error("the statement was made at {issued_at}, which is still to come; compare the clocks")]
    NotYet {
        /// When it is said to be made.
        issued_at: Timestamp,
    },
    /// It claims a touch or a PIN that its signature does not prove.
    #[error("the statement claims `{claimed}`, which its signature does not prove")]
    Unproven {
        /// What it claims.
        claimed: Assurance,
    },
}

/// What the daemon knows, whatever the statement is about.
#[derive(Debug, Clone)]
pub struct Context {
    /// The name of the person who hands it in.
    pub reviewer: String,
    /// The digest of the rules in force.
    pub rules: Digest,
    /// The log's origin.
    pub origin: String,
    /// The least size of a head that covers what the statement is about.
    pub least_size: u64,
    /// The root that this log has at the size the statement names, none when it is not that long.
    pub root: Option<Digest>,
    /// The daemon's wall time.
    pub now: Timestamp,
    /// What the signature proves about the person's presence.
    pub presence: Presence,
}

/// What the daemon knows about the request that is decided.
#[derive(Debug, Clone)]
pub struct Expect {
    /// What it knows anyway.
    pub context: Context,
    /// The request the decision is handed in for.
    pub request: RequestId,
    /// The digest of its document.
    pub digest: Digest,
    /// What its rendering is.
    pub display: Display,
    /// Who asked.
    pub requester: Requester,
    /// Whether the person stands behind the request (R4).
    pub self_attested: bool,
}

/// Compares a decision with what the daemon knows, and returns the assurance that counts.
///
/// A deny is held to less: that a request cannot be shown completely, or that the rules have
/// changed, is no reason to let it pass.
///
/// # Errors
///
/// The first [`Mismatch`]; the decision does not count.
pub fn check(decision: &Decision, expect: &Expect) -> Result<Assurance, Mismatch> {
    if decision.request != expect.request {
        return Err(Mismatch::Request {
            expected: expect.request,
            found: decision.request,
        });
    }
    check_digest(decision.digest, expect.digest)?;
    if decision.display != expect.display {
        return Err(Mismatch::Display);
    }
    match decision.verdict {
        Verdict::Approve => {
            if !decision.display.complete {
                return Err(Mismatch::Incomplete);
            }
            check_rules(decision.rules, &expect.context)?;
        }
        Verdict::Deny => {}
    }
    if decision.requester != expect.requester {
        return Err(Mismatch::Requester);
    }
    if decision.self_attested != expect.self_attested {
        return Err(Mismatch::SelfAttested {
            found: decision.self_attested,
        });
    }
    check_reviewer(&decision.reviewer, &expect.context)?;
    check_log(&decision.log, &expect.context)?;
    check_times(decision.issued_at, decision.expires_at, &expect.context)?;
    establish(decision.assurance, &expect.context)
}

/// Compares an act with what the daemon knows, and returns the assurance that counts.
///
/// # Errors
///
/// The first [`Mismatch`]; the act is not done.
pub fn check_act(act: &Act, subject: Subject, context: &Context) -> Result<Assurance, Mismatch> {
    match (subject, act.subject) {
        (
            Subject::Request { id, digest },
            Subject::Request {
                id: found_id,
                digest: found,
            },
        ) => {
            if id != found_id {
                return Err(Mismatch::Request {
                    expected: id,
                    found: found_id,
                });
            }
            check_digest(found, digest)?;
        }
        (Subject::Rules { digest }, Subject::Rules { digest: found }) => {
            check_digest(found, digest)?;
            // New rules name the ones they replace, so that two proposals never both take force.
            check_rules(act.rules, context)?;
        }
        (Subject::Request { .. }, Subject::Rules { .. }) => {
            return Err(Mismatch::Subject {
                expected: "a request",
            });
        }
        (Subject::Rules { .. }, Subject::Request { .. }) => {
            return Err(Mismatch::Subject { expected: "rules" });
        }
    }
    check_reviewer(&act.reviewer, context)?;
    check_log(&act.log, context)?;
    check_times(act.issued_at, act.expires_at, context)?;
    establish(act.assurance, context)
}

/// Compares an act that breaks the glass with what the daemon knows, and returns the assurance that
/// counts. It approves, so it is held to what approvals are: what was shown, and the rules.
///
/// # Errors
///
/// The first [`Mismatch`]; nothing is approved.
pub fn check_break_glass(
    act: &Act,
    subject: Subject,
    display: &Display,
    context: &Context,
) -> Result<Assurance, Mismatch> {
    if act.display.as_ref() != Some(display) {
        return Err(Mismatch::Display);
    }
    if !display.complete {
        return Err(Mismatch::Incomplete);
    }
    check_rules(act.rules, context)?;
    check_act(act, subject, context)
}

fn check_digest(found: Digest, expected: Digest) -> Result<(), Mismatch> {
    if found == expected {
        Ok(())
    } else {
        Err(Mismatch::Digest { expected, found })
    }
}

fn check_rules(found: Digest, context: &Context) -> Result<(), Mismatch> {
    if found == context.rules {
        Ok(())
    } else {
        Err(Mismatch::Rules {
            expected: context.rules,
            found,
        })
    }
}

fn check_reviewer(found: &str, context: &Context) -> Result<(), Mismatch> {
    if found == context.reviewer {
        Ok(())
    } else {
        Err(Mismatch::Reviewer {
            expected: context.reviewer.clone(),
            found: found.to_owned(),
        })
    }
}

fn check_log(log: &LogHead, context: &Context) -> Result<(), Mismatch> {
    if log.origin != context.origin {
        return Err(Mismatch::Origin {
            expected: context.origin.clone(),
        });
    }
    if log.size < context.least_size {
        return Err(Mismatch::OldHead {
            least: context.least_size,
            found: log.size,
        });
    }
    if context.root == Some(log.root) {
        Ok(())
    } else {
        Err(Mismatch::ForeignHead { size: log.size })
    }
}

fn check_times(
    issued_at: Timestamp,
    expires_at: Timestamp,
    context: &Context,
) -> Result<(), Mismatch> {
    if expires_at <= context.now {
        Err(Mismatch::Expired { expires_at })
    } else if issued_at > context.now.plus(CLOCK_TOLERANCE) {
        Err(Mismatch::NotYet { issued_at })
    } else {
        Ok(())
    }
}

fn establish(claimed: Assurance, context: &Context) -> Result<Assurance, Mismatch> {
    claimed
        .established(context.presence)
        .ok_or(Mismatch::Unproven { claimed })
}
