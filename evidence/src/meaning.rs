//! What each type of entry means to a security team's tools: how grave it is, what was done, and
//! what came of it. One table for all formats; the words are those of OCSF 1.8.
//!
//! A type that the table does not have is exported as an observed event of its own name.

use crate::record::Record;

/// A number of OCSF and its caption.
pub(crate) type Word = (u8, &'static str);

/// What an entry is about, as OCSF divides the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A call about a request (API Activity, 6003).
    Call,
    /// The rules or the log's key changed (Entity Management, 3004).
    Rules,
    /// The daemon started or stopped (Application Lifecycle, 6002).
    Daemon,
}

/// What an entry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) class: Class,
    /// What the entry says, for people.
    pub(crate) name: &'static str,
    pub(crate) activity: Word,
    pub(crate) severity: Word,
    pub(crate) action: Word,
    pub(crate) disposition: Word,
    pub(crate) status: Word,
}

const CREATE: Word = (1, "Create");
const READ: Word = (2, "Read");
const UPDATE: Word = (3, "Update");
const DELETE: Word = (4, "Delete");
const START: Word = (3, "Start");
const STOP: Word = (4, "Stop");
const OTHER: Word = (99, "Other");

const INFORMATIONAL: Word = (1, "Informational");
const LOW: Word = (2, "Low");
const MEDIUM: Word = (3, "Medium");
const HIGH: Word = (4, "High");
const CRITICAL: Word = (5, "Critical");

const UNKNOWN: Word = (0, "Unknown");
const ALLOWED: Word = (1, "Allowed");
const DENIED: Word = (2, "Denied");
const OBSERVED: Word = (3, "Observed");

const BLOCKED: Word = (2, "Blocked");
const APPROVED: Word = (8, "Approved");
const DELAYED: Word = (14, "Delayed");
const DETECTED: Word = (15, "Detected");
const NO_ACTION: Word = (16, "No Action");
const LOGGED: Word = (17, "Logged");
const REVOKED: Word = (24, "Access Revoked");
const REJECTED: Word = (25, "Rejected");
const UNAUTHORIZED: Word = (26, "Unauthorized");
const ERROR: Word = (27, "Error");

const SUCCESS: Word = (1, "Success");
const FAILURE: Word = (2, "Failure");

/// Seen, written down, nothing decided.
const NOTED: Meaning = Meaning {
    class: Class::Call,
    name: "",
    activity: OTHER,
    severity: INFORMATIONAL,
    action: OBSERVED,
    disposition: LOGGED,
    status: SUCCESS,
};

impl Meaning {
    const fn noted(name: &'static str, activity: Word) -> Self {
        Self {
            name,
            activity,
            ..NOTED
        }
    }

    const fn said(name: &'static str, action: Word, disposition: Word) -> Self {
        Self {
            name,
            activity: UPDATE,
            action,
            disposition,
            ..NOTED
        }
    }

    const fn grave(self, severity: Word) -> Self {
        Self { severity, ..self }
    }

    const fn with(self, status: Word) -> Self {
        Self { status, ..self }
    }

    const fn about(self, class: Class) -> Self {
        Self { class, ..self }
    }
}

/// Returns what an entry means.
pub(crate) fn of(record: &Record<'_>) -> Meaning {
    match record.entry_type.as_str() {
        "request.received" => Meaning {
            activity: CREATE,
            ..Meaning::said("request received", OBSERVED, DELAYED).with(UNKNOWN)
        },
        "policy.evaluated" => match record.text("/outcome") {
            Some("permit") => Meaning::said("policy asks nobody", ALLOWED, ALLOWED),
            Some("refuse") => Meaning::said("policy refuses", DENIED, BLOCKED).grave(LOW),
            Some(_) | None => Meaning::said("policy asks people", OBSERVED, DELAYED).with(UNKNOWN),
        },
        "decision.recorded" => match record.text("/verdict") {
            Some("approve") => Meaning::said("person approves", OBSERVED, APPROVED),
            Some(_) | None => Meaning::said("person denies", DENIED, REJECTED).grave(LOW),
        },
        "request.approved" => match record.text("/via") {
            Some("policy") => Meaning::said("request approved by policy", ALLOWED, ALLOWED),
            Some("reviewers") => Meaning::said("request approved", ALLOWED, APPROVED),
            Some("self-attested") => {
                Meaning::said("request self-attested", ALLOWED, ALLOWED).grave(MEDIUM)
            }
            Some(_) | None => {
                Meaning::said("request approved by break-glass", ALLOWED, APPROVED).grave(CRITICAL)
            }
        },
        "execution.finished" | "execution.settled" => run(record),
        entry_type => by_type(entry_type),
    }
}

fn run(record: &Record<'_>) -> Meaning {
    match record.run_outcome() {
        Some("succeeded") => Meaning::said("run succeeded", ALLOWED, ALLOWED),
        Some("failed") => Meaning::said("run failed", ALLOWED, ERROR)
            .with(FAILURE)
            .grave(LOW),
        Some("killed") => Meaning::said("run was ended", DENIED, BLOCKED)
            .with(FAILURE)
            .grave(MEDIUM),
        Some(_) | None => Meaning::said("run settled", OBSERVED, LOGGED).grave(MEDIUM),
    }
}

fn by_type(entry_type: &str) -> Meaning {
    let ended = |name| Meaning::said(name, DENIED, BLOCKED);
    match entry_type {
        "request.refused" => ended("request refused by policy").grave(LOW),
        "request.denied" => Meaning::said("request denied", DENIED, REJECTED).grave(LOW),
        "request.expired" => ended("request expired"),
        "request.lapsed" => ended("approval lapsed"),
        "request.withdrawn" => Meaning::said("request withdrawn", DENIED, NO_ACTION),
        "request.superseded" => Meaning::said("request superseded", DENIED, NO_ACTION),
        "request.invalidated" => ended("request invalidated by new rules").grave(LOW),
        "request.revoked" => Meaning::said("approval revoked", DENIED, REVOKED).grave(MEDIUM),
        "request.redeemed" => Meaning::said("approval used", ALLOWED, ALLOWED),
        "request.escalated" => Meaning::noted("more people called", UPDATE).grave(LOW),
        "request.detached" => Meaning::noted("caller may go away", UPDATE),
        "review.opened" => Meaning::noted("request shown completely", READ),
        "review.claimed" => Meaning::noted("person is on it", UPDATE),
        "review.released" => Meaning::noted("person is off it", UPDATE),
        "execution.started" => Meaning::said("run started", ALLOWED, ALLOWED),
        "execution.not-run" => ended("nothing ran").with(FAILURE).grave(MEDIUM),
        "execution.indeterminate" => Meaning::said("nobody can say what ran", UNKNOWN, UNKNOWN)
            .with(UNKNOWN)
            .grave(HIGH),
        "execution.kill-requested" => ended("end of the run asked for").grave(MEDIUM),
        "data.accessed" => Meaning::noted("data accessed", READ),
        "document.erased" => Meaning::noted("document erased", DELETE).grave(LOW),
        "log.pruned" => Meaning::noted("old entries pruned", DELETE).grave(LOW),
        "breakglass.used" => Meaning::said("glass broken", ALLOWED, APPROVED).grave(CRITICAL),
        "debt.closed" => Meaning::noted("broken glass reviewed", UPDATE).grave(LOW),
        "event.refused" => Meaning::said("calls refused", DENIED, UNAUTHORIZED)
            .with(FAILURE)
            .grave(LOW),
        "clock.jumped" => Meaning::said("clock behind the log", OBSERVED, DETECTED).grave(HIGH),
        "rollback.adopted" => {
            Meaning::said("log went back, and went on", OBSERVED, DETECTED).grave(CRITICAL)
        }
        "log.genesis" => Meaning::noted("log begun", CREATE).about(Class::Rules),
        "rules.changed" => Meaning::noted("rules changed", UPDATE)
            .grave(MEDIUM)
            .about(Class::Rules),
        "rules.proposed" => Meaning::noted("rules proposed", CREATE).about(Class::Rules),
        "rules.withdrawn" => Meaning::noted("proposed rules withdrawn", UPDATE).about(Class::Rules),
        "rules.signed" => Meaning::noted("rules signed", UPDATE).about(Class::Rules),
        "rules.acknowledged" => Meaning::noted("adopted rules acknowledged", UPDATE)
            .grave(MEDIUM)
            .about(Class::Rules),
        "rules.refused" => Meaning::noted("rules refused", OTHER).about(Class::Rules),
        "key.rotated" => Meaning::noted("log key changed", UPDATE)
            .grave(HIGH)
            .about(Class::Rules),
        "key.retired" => Meaning::noted("old log key ended", UPDATE)
            .grave(MEDIUM)
            .about(Class::Rules),
        "daemon.started" => Meaning::noted("daemon started", START).about(Class::Daemon),
        "daemon.stopped" => Meaning::noted("daemon stopped", STOP).about(Class::Daemon),
        _ => Meaning::noted("entry of another type", OTHER),
    }
}
