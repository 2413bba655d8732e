//! The table `[witnesses]`: who elsewhere is sent heads of the log, and how often.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use countersign_shared::home::Layout;
use serde::{Deserialize, Serialize};

/// How many seconds pass between two heads for one witness, when nothing is said.
const INTERVAL_S: NonZeroU16 = NonZeroU16::MIN.saturating_add(4);

/// The table `[witnesses]`. Without it nothing is sent to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessesTable {
    /// The file with the policy (C2SP `tlog-policy`), beside `countersign.toml` or absolute.
    policy: PathBuf,
    /// How many seconds pass between two heads for one witness.
    #[serde(default = "interval_s")]
    interval_seconds: NonZeroU16,
}

const fn interval_s() -> NonZeroU16 {
    INTERVAL_S
}

impl WitnessesTable {
    /// Returns the file with the policy.
    pub fn policy_file(&self, layout: &Layout) -> PathBuf {
        layout.config_dir().join(&self.policy)
    }

    /// Returns how long passes between two heads for one witness.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_seconds.get()))
    }
}
