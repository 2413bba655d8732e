//! Statements as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parts::hex;
use super::{
    Act, ActKind, Assurance, Decision, Display, LogHead, MAX_NUMBER, MAX_REASON, MAX_STATEMENT,
    Nonce, Outcome, Requester, Statement, StatementError, Subject, Verdict,
};
use crate::digest::Digest;
use crate::json;
use crate::time::Timestamp;

/// in-toto's Statement v1.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const REQUEST: &str = "request/";
const RULES: &str = "rules";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: [WireSubject; 1],
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSubject {
    name: String,
    digest: Sha256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sha256 {
    #[serde(with = "hex")]
    sha256: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionPredicate {
    decision: Verdict,
    reason: String,
    reviewer: String,
    assurance: Assurance,
    self_attested: bool,
    requester: Requester,
    rules: Digest,
    display: Display,
    issued_at: Timestamp,
    expires_at: Timestamp,
    nonce: Nonce,
    log: LogHead,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActPredicate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display: Option<Display>,
    reason: String,
    reviewer: String,
    assurance: Assurance,
    rules: Digest,
    issued_at: Timestamp,
    expires_at: Timestamp,
    nonce: Nonce,
    log: LogHead,
}

/// Reads the values; that the bytes are the canonical ones is for the caller to compare.
pub(super) fn read(bytes: &[u8]) -> Result<Statement, StatementError> {
    if bytes.len() > MAX_STATEMENT {
        return Err(StatementError::TooLong {
            found: bytes.len(),
            limit: MAX_STATEMENT,
        });
    }
    let envelope: Envelope<Value> = serde_json::from_slice(bytes).map_err(|error| shape(&error))?;
    if envelope.kind != STATEMENT {
        return Err(StatementError::Type);
    }
    let [subject] = envelope.subject;
    if envelope.predicate_type == Decision::TYPE {
        return read_decision(&subject, envelope.predicate);
    }
    let kind = ActKind::ALL
        .into_iter()
        .find(|kind| kind.predicate_type() == envelope.predicate_type)
        .ok_or(StatementError::Type)?;
    read_act(kind, &subject, envelope.predicate)
}

fn read_decision(subject: &WireSubject, predicate: Value) -> Result<Statement, StatementError> {
    let Subject::Request { id, digest } = read_subject(subject)? else {
        return Err(REQUEST_EXPECTED);
    };
    let predicate: DecisionPredicate =
        serde_json::from_value(predicate).map_err(|error| shape(&error))?;
    Ok(Statement::Decision(Decision {
        request: id,
        digest,
        verdict: predicate.decision,
        reason: predicate.reason,
        reviewer: predicate.reviewer,
        assurance: predicate.assurance,
        self_attested: predicate.self_attested,
        requester: predicate.requester,
        rules: predicate.rules,
        display: predicate.display,
        issued_at: predicate.issued_at,
        expires_at: predicate.expires_at,
        nonce: predicate.nonce,
        log: predicate.log,
    }))
}

fn read_act(
    kind: ActKind,
    subject: &WireSubject,
    predicate: Value,
) -> Result<Statement, StatementError> {
    let predicate: ActPredicate =
        serde_json::from_value(predicate).map_err(|error| shape(&error))?;
    Ok(Statement::Act(Act {
        kind,
        subject: read_subject(subject)?,
        outcome: predicate.outcome,
        display: predicate.display,
        reason: predicate.reason,
        reviewer: predicate.reviewer,
        assurance: predicate.assurance,
        rules: predicate.rules,
        issued_at: predicate.issued_at,
        expires_at: predicate.expires_at,
        nonce: predicate.nonce,
        log: predicate.log,
    }))
}

const REQUEST_EXPECTED: StatementError = StatementError::Subject {
    expected: "one request, named `request/<id>`",
};

fn read_subject(subject: &WireSubject) -> Result<Subject, StatementError> {
    let digest = subject.digest.sha256;
    if subject.name == RULES {
        return Ok(Subject::Rules { digest });
    }
    subject
        .name
        .strip_prefix(REQUEST)
        .and_then(|id| id.parse().ok())
        .map(|id| Subject::Request { id, digest })
        .ok_or(REQUEST_EXPECTED)
}

pub(super) fn write_decision(decision: &Decision) -> Result<Vec<u8>, StatementError> {
    check_reason(&decision.reason)?;
    check_times(decision.issued_at, decision.expires_at)?;
    check_log(&decision.log)?;
    let subject = Subject::Request {
        id: decision.request,
        digest: decision.digest,
    };
    let predicate = DecisionPredicate {
        decision: decision.verdict,
        reason: decision.reason.clone(),
        reviewer: decision.reviewer.clone(),
        assurance: decision.assurance,
        self_attested: decision.self_attested,
        requester: decision.requester.clone(),
        rules: decision.rules,
        display: decision.display.clone(),
        issued_at: decision.issued_at,
        expires_at: decision.expires_at,
        nonce: decision.nonce,
        log: decision.log.clone(),
    };
    write(Decision::TYPE, subject, predicate)
}

pub(super) fn write_act(act: &Act) -> Result<Vec<u8>, StatementError> {
    check_reason(&act.reason)?;
    check_times(act.issued_at, act.expires_at)?;
    check_log(&act.log)?;
    match (act.kind == ActKind::Rules, act.subject) {
        (true, Subject::Rules { .. }) | (false, Subject::Request { .. }) => {}
        (true, Subject::Request { .. }) => {
            return Err(StatementError::Subject {
                expected: "the new rules, named `rules`",
            });
        }
        (false, Subject::Rules { .. }) => return Err(REQUEST_EXPECTED),
    }
    if act.outcome.is_some() != (act.kind == ActKind::Settle) {
        return Err(StatementError::Outcome);
    }
    if act.display.is_some() != (act.kind == ActKind::BreakGlass) {
        return Err(StatementError::Display);
    }
    let predicate = ActPredicate {
        outcome: act.outcome,
        display: act.display.clone(),
        reason: act.reason.clone(),
        reviewer: act.reviewer.clone(),
        assurance: act.assurance,
        rules: act.rules,
        issued_at: act.issued_at,
        expires_at: act.expires_at,
        nonce: act.nonce,
        log: act.log.clone(),
    };
    write(act.kind.predicate_type(), act.subject, predicate)
}

fn write<P: Serialize>(
    predicate_type: &str,
    subject: Subject,
    predicate: P,
) -> Result<Vec<u8>, StatementError> {
    let (name, digest) = match subject {
        Subject::Request { id, digest } => (format!("{REQUEST}{id}"), digest),
        Subject::Rules { digest } => (RULES.to_owned(), digest),
    };
    canonical(&Envelope {
        kind: STATEMENT.to_owned(),
        subject: [WireSubject {
            name,
            digest: Sha256 { sha256: digest },
        }],
        predicate_type: predicate_type.to_owned(),
        predicate,
    })
}

fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, StatementError> {
    json::canonical(value).map_err(|error| StatementError::Shape {
        message: error.to_string(),
    })
}

fn shape(error: &serde_json::Error) -> StatementError {
    StatementError::Shape {
        message: error.to_string(),
    }
}

fn check_reason(reason: &str) -> Result<(), StatementError> {
    if reason.len() <= MAX_REASON && !reason.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(StatementError::Reason {
            found: reason.len(),
            limit: MAX_REASON,
        })
    }
}

fn check_times(issued_at: Timestamp, expires_at: Timestamp) -> Result<(), StatementError> {
    if issued_at < expires_at {
        Ok(())
    } else {
        Err(StatementError::Times {
            issued_at,
            expires_at,
        })
    }
}

fn check_log(log: &LogHead) -> Result<(), StatementError> {
    if log.size <= MAX_NUMBER {
        Ok(())
    } else {
        Err(StatementError::Number { found: log.size })
    }
}
