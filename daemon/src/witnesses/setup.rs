//! What the operator wrote about witnesses: the table `[witnesses]` and the policy that it names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_shared::home::Layout;
use countersign_shared::log::note::{VerifierKey, WitnessKey};
use countersign_shared::log::trust_policy::{MAX_POLICY, PolicyError, TrustPolicy};

use super::Place;
use super::place::PlaceError;
use crate::config::WitnessesTable;
use crate::home::{HomeError, read_trusted, shown};

/// A policy that no head can be sent by.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file cannot be read, or others could change it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The file is not a policy.
    #[error("`{}`, {problem}", shown(file))]
    Policy {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        problem: PolicyError,
    },
    /// The policy names logs, and not this one.
    #[error(
        "`{}` does not name this log; add the line `log {vkey}`, or leave out all logs",
        shown(file)
    )]
    OtherLog {
        /// The file.
        file: PathBuf,
        /// The key of this log.
        vkey: String,
    },
    /// Heads can be sent to nobody.
    #[error(
        "no witness in `{}` has a URL, so no head could be sent; write it behind the witness's key",
        shown(.0)
    )]
    Nobody(PathBuf),
    /// A witness's URL is none that can be used.
    #[error("`{}`, witness `{}`: {problem}", shown(file), name.escape_ascii())]
    Place {
        /// The file.
        file: PathBuf,
        /// What the file calls the witness.
        name: Box<[u8]>,
        /// What is wrong.
        problem: PlaceError,
    },
}

/// Where heads are sent, and how often.
#[derive(Debug, Clone)]
pub struct Setup {
    pub(super) policy: TrustPolicy,
    pub(super) interval: Duration,
    pub(super) places: Vec<(WitnessKey, Place)>,
}

/// Reads the policy in a file.
///
/// # Errors
///
/// When others could change it, or it is none.
pub fn read_policy(file: &Path) -> Result<TrustPolicy, SetupError> {
    let bytes = read_trusted(file, MAX_POLICY)?;
    TrustPolicy::read(&bytes).map_err(|problem| SetupError::Policy {
        file: file.to_owned(),
        problem,
    })
}

impl Setup {
    /// Reads what a home says about witnesses; nothing when they are off. `keys` are all that the log
    /// has had, the one in force last: a policy that names an earlier one is about this log.
    ///
    /// # Errors
    ///
    /// When the policy cannot be read, is not about this log, or nobody could be reached by it.
    pub fn load(
        layout: &Layout,
        table: Option<&WitnessesTable>,
        keys: &[VerifierKey],
    ) -> Result<Option<Self>, SetupError> {
        let Some(table) = table else {
            return Ok(None);
        };
        let file = table.policy_file(layout);
        let policy = read_policy(&file)?;
        Self::of(policy, table.interval(), keys, &file).map(Some)
    }

    pub(super) fn of(
        policy: TrustPolicy,
        interval: Duration,
        keys: &[VerifierKey],
        file: &Path,
    ) -> Result<Self, SetupError> {
        let file = || file.to_owned();
        let logs = policy.logs();
        if !logs.is_empty() && !logs.iter().any(|known| keys.contains(&known.key)) {
            return Err(SetupError::OtherLog {
                file: file(),
                vkey: keys.last().map(ToString::to_string).unwrap_or_default(),
            });
        }
        let mut places = Vec::new();
        for witness in policy.witnesses() {
            let Some(url) = &witness.url else { continue };
            let place = Place::read(url).map_err(|problem| SetupError::Place {
                file: file(),
                name: witness.name.clone(),
                problem,
            })?;
            places.push((witness.key.clone(), place));
        }
        if places.is_empty() {
            return Err(SetupError::Nobody(file()));
        }
        Ok(Self {
            policy,
            interval,
            places,
        })
    }
}
