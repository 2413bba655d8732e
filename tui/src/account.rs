//! The name of the OS account this process runs as.

use std::io;
use std::process::{Command, Stdio};

/// Asks the system for the account's name, through whatever directory it keeps accounts in.
///
/// # Errors
///
/// When `id` cannot be run or knows no name.
pub fn own() -> io::Result<String> {
    let output = Command::new("/usr/bin/id")
        .arg("-un")
        .stdin(Stdio::null())
        .output()?;
    let name = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    let name = name.trim();
    if output.status.success() && !name.is_empty() {
        Ok(name.to_owned())
    } else {
        Err(io::Error::other("this user has no account name"))
    }
}
