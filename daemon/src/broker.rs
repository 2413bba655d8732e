//! Brokered execution: the daemon runs what was approved, so that the agent never holds what it takes.
//!
//! | module | what it is |
//! |---|---|
//! | [`profiles`] | what the operator lets the daemon run, checked against the machine |
//! | [`presence`] | whether what a profile names is there |
//! | [`ask`] | what a profile makes of an asking: program, directory, variables, opened and compared |
//! | [`arguments`] | the bytes that stand in an action |
//! | [`secrets`] | the secrets of a profile, read anew for each run |
//! | [`masker`] | takes them out of what the program writes |
//! | [`run`], [`during`], [`output`] | one run, from the one use to its end, and what it writes meanwhile |
//! | [`runs`] | the runs that go on: who may end them, who watches |
//! | [`child`], [`job`] | the way to the process that runs it |
//! | [`warden`], [`launcher`] | that process, which is this program again, and how its copy becomes the program |
//!
//! ```text
//! countersignd ─(socket)─ warden ─fork▶ launcher ─exec▶ program ─── …
//! ```
//!
//! The warden stays with the program and ends everything that came of it: when it is told to, when the
//! program ends, and when the daemon is gone. Nothing here decides what may run: that is asked for,
//! approved and redeemed as everything else is.

mod arguments;
pub(crate) mod ask;
mod child;
mod during;
mod job;
mod launcher;
mod masker;
mod output;
pub(crate) mod presence;
pub mod profiles;
pub(crate) mod run;
mod runs;
mod secrets;
mod warden;

pub(crate) use runs::{Runs, Stream, Why};

use std::process::ExitCode;

/// The first argument that makes this program a warden.
const WARDEN: &str = "_warden";

/// The first argument that makes this program a sweeper.
const SWEEPER: &str = "_sweeper";

/// Runs the program as a part of a brokered run, if it was started as one.
pub(crate) fn part() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let part = arguments.next()?;
    let run = match part.to_str()? {
        WARDEN => warden::main,
        SWEEPER => launcher::main,
        _ => return None,
    };
    // Then anybody could start one and be whom they like.
    if crate::sys::has_rights_of_its_file() {
        return Some(ExitCode::FAILURE);
    }
    Some(run(arguments))
}

/// What was asked of a profile cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// There is no such profile, or not for this user: which of the two is not said.
    #[error("there is no profile `{name}` for this user")]
    NoProfile {
        /// The name.
        name: String,
    },
    /// The profile does not have it.
    #[error("the profile `{profile}` {problem}")]
    Refuses {
        /// The profile.
        profile: String,
        /// What it does not have.
        problem: String,
    },
    /// The action is not what the profile makes of it.
    #[error("`{field}` is not what the profile `{profile}` says now; ask again")]
    Differs {
        /// The profile.
        profile: String,
        /// The part of the action.
        field: &'static str,
    },
    /// A secret cannot be had.
    #[error("the profile's secret `{name}` {problem}")]
    Secret {
        /// The variable.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The request is not for the daemon to run.
    #[error("the request names no profile, so its asker carries it out")]
    NotBrokered,
    /// What was sent is not the action of the request.
    #[error("what was sent is not what the request holds")]
    OtherAction,
    /// Too much runs.
    #[error("{limit} commands run already, which is the limit; try again when one has ended")]
    Busy {
        /// How many may.
        limit: usize,
    },
    /// Another call runs the request.
    #[error("the request runs already")]
    Runs,
}

impl BrokerError {
    /// Returns the stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoProfile { .. } => "profile-not-allowed",
            Self::Refuses { .. } => "profile-refuses",
            Self::Differs { .. } => "profile-differs",
            Self::Secret { .. } => "secret-unavailable",
            Self::NotBrokered => "not-brokered",
            Self::OtherAction => "other-action",
            Self::Busy { .. } => "runs-at-once",
            Self::Runs => "already-redeemed",
        }
    }
}
