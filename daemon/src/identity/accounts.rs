//! Accounts and groups of the machine, through NSS.

use std::collections::BTreeSet;
use std::io;

use super::process::{Fact, Unknown};
use crate::sys;
pub use crate::sys::{Account, Group};

/// The account database did not answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {what}")]
pub struct AccountError {
    what: String,
    #[source]
    source: io::Error,
}

/// The account database. Each call may block on a directory service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accounts;

impl Accounts {
    /// Finds an account by its number.
    ///
    /// # Errors
    /// When the database does not answer; not knowing the account is `None`.
    pub fn by_uid(self, uid: u32) -> Result<Option<Account>, AccountError> {
        sys::account_by_uid(uid).map_err(|source| AccountError {
            what: format!("uid {uid}"),
            source,
        })
    }

    /// Finds an account by its name, byte for byte.
    ///
    /// # Errors
    /// When the database does not answer; not knowing the account is `None`.
    pub fn by_name(self, name: &str) -> Result<Option<Account>, AccountError> {
        sys::account_by_name(name).map_err(|source| AccountError {
            what: format!("account `{}`", name.escape_debug()),
            source,
        })
    }

    /// Finds a group by its name, byte for byte.
    ///
    /// # Errors
    /// When the database does not answer; not knowing the group is `None`.
    pub fn group(self, name: &str) -> Result<Option<Group>, AccountError> {
        sys::group_by_name(name).map_err(|source| AccountError {
            what: format!("group `{}`", name.escape_debug()),
            source,
        })
    }

    /// Returns every group of an account, the primary one included.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn groups_of(self, account: &Account) -> Result<Vec<u32>, AccountError> {
        sys::groups_of(account).map_err(|source| AccountError {
            what: format!("the groups of `{}`", account.name.escape_debug()),
            source,
        })
    }

    /// Returns the accounts in a group: those it lists, and those whose primary group it is as far
    /// as the database enumerates accounts.
    ///
    /// # Errors
    /// When the database does not answer, or the group lists an account that does not exist.
    pub fn members(self, group: &Group) -> Result<Vec<Account>, AccountError> {
        let mut members = sys::accounts().map_err(|source| AccountError {
            what: "the accounts".to_owned(),
            source,
        })?;
        members.retain(|account| account.gid == group.gid);
        for name in &group.members {
            let account = self.by_name(name)?.ok_or_else(|| AccountError {
                what: format!(
                    "member `{}` of group `{}`",
                    name.escape_debug(),
                    group.name.escape_debug()
                ),
                source: io::Error::from(io::ErrorKind::NotFound),
            })?;
            if !members.contains(&account) {
                members.push(account);
            }
        }
        Ok(members)
    }
}

/// Returns the names of groups; a number that nobody named stands for itself.
pub(super) fn group_names(gids: &BTreeSet<u32>) -> Fact<BTreeSet<String>> {
    gids.iter()
        .map(|gid| match sys::group_by_gid(*gid) {
            Ok(Some(group)) => Ok(group.name),
            Ok(None) => Ok(gid.to_string()),
            Err(error) => Err(Unknown::from(&error)),
        })
        .collect()
}

/// Returns the name of a user.
pub(super) fn user_name(uid: u32) -> Fact<String> {
    match sys::account_by_uid(uid) {
        Ok(Some(account)) => Ok(account.name),
        Ok(None) => Err(Unknown::new("no account has this uid")),
        Err(error) => Err(Unknown::from(&error)),
    }
}
