//! What is known about clients that calls a person has to be told.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::InstallError;
use super::place::Scope;
use crate::hook::Dialect;

/// The first version of Claude Code that a failing hook can be told to block in.
const CLAUDE_BLOCKS_FROM: Version = Version(2, 1, 295);

/// How long a client may take to say its version.
const PATIENCE: Duration = Duration::from_secs(15);

/// Major, minor and patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    /// Finds the first version in a text.
    fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let mut parts = word.trim_start_matches('v').splitn(3, '.');
            let mut number = || parts.next()?.parse().ok();
            Some(Self(number()?, number()?, number()?))
        })
    }
}

/// Refuses a version that is known to let calls pass where the hook is told to block.
///
/// A client that is not found, or does not say, is a warning only: it may be installed later, or
/// elsewhere.
///
/// # Errors
/// When it is too old.
pub(super) async fn check_version(client: Dialect) -> Result<(), InstallError> {
    if client != Dialect::Claude {
        return Ok(());
    }
    let program = "claude";
    let asked = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(_)) | Err(_) => String::new(),
    };
    match Version::find(&said) {
        Some(version) if version < CLAUDE_BLOCKS_FROM => {
            let Version(major, minor, patch) = version;
            let Version(a, b, c) = CLAUDE_BLOCKS_FROM;
            Err(InstallError::FailsOpen {
                program,
                found: format!("{major}.{minor}.{patch}"),
                least: format!("{a}.{b}.{c}"),
            })
        }
        Some(_) => Ok(()),
        None => {
            crate::telling::warn(
                "`claude --version` does not answer; before 2.1.295 a hook that is killed or missing \
                 lets the call pass",
            );
            Ok(())
        }
    }
}

/// Returns what is to be said when the hook is in place.
pub(super) fn warnings(client: Dialect, scope: Scope) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    match client {
        Dialect::Claude => {}
        Dialect::Codex => {
            warnings.push("codex makes the call when the hook is killed, missing or too slow");
            if scope != Scope::Managed {
                warnings
                    .push("codex skips this hook in silence until you trust it in codex itself");
            }
        }
        Dialect::Gemini => {
            warnings.push("gemini makes the call when the hook is killed or too slow");
        }
        Dialect::Copilot => {
            warnings.push("copilot makes the call when the hook is too slow");
            if scope == Scope::Project {
                warnings.push("copilot reads a repository's hooks only in a folder that you trust");
            }
        }
    }
    if scope != Scope::Managed {
        warnings.push("whoever can change these settings can take the hook out again");
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_a_client_says() {
        for (text, version) in [
            ("2.1.330 (Claude Code)\n", Some(Version(2, 1, 330))),
            ("claude v2.1.197", Some(Version(2, 1, 197))),
            ("", None),
            ("2.1", None),
            ("unknown", None),
        ] {
            assert_eq!(Version::find(text), version, "{text}");
        }
        assert!(Version(2, 1, 197) < CLAUDE_BLOCKS_FROM);
        assert!(Version(2, 2, 0) > CLAUDE_BLOCKS_FROM);
    }

    #[test]
    fn every_client_that_lets_calls_pass_is_named() {
        for client in [Dialect::Codex, Dialect::Gemini, Dialect::Copilot] {
            let warnings = warnings(client, Scope::User);
            assert!(warnings.iter().any(|text| text.contains("makes the call")));
        }
        assert!(warnings(Dialect::Claude, Scope::Managed).is_empty());
    }
}
