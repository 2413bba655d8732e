//! Who runs a command of the operator's on this machine, for the entry that says what was done.

use super::{AccountError, Accounts};

/// Where the kernel says who logged in for a process (`audit_getloginuid(3)`).
const LOGIN: &str = "/proc/self/loginuid";

/// The user behind a command, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The OS user that the command runs as.
    pub uid: u32,
    /// Its account's name; empty when it has none.
    pub user: String,
    /// The OS user that had logged in for it, where the kernel knows.
    pub login_uid: Option<u32>,
}

impl Operator {
    /// Returns the user behind this process.
    ///
    /// # Errors
    ///
    /// When the account cannot be looked up.
    pub fn of_this_process() -> Result<Self, AccountError> {
        let uid = rustix::process::getuid().as_raw();
        let account = Accounts.by_uid(uid)?;
        // A kernel without auditing knows nobody, and says so with the largest number.
        let login_uid = std::fs::read_to_string(LOGIN)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|login| *login != u32::MAX);
        Ok(Self {
            uid,
            user: account.map_or_else(String::new, |account| account.name),
            login_uid,
        })
    }
}
