//! The unit for systemd's user manager: written, and enabled where there is a manager.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_client::private::{Lasting, write_private};

use super::settings::config_home;

/// The unit's name.
pub const UNIT: &str = "countersign-notify.service";

/// The unit, with a place for the command.
const TEMPLATE: &str = include_str!("../../systemd/countersign-notify.service");

/// The unit could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The environment names no place.
    #[error("`XDG_CONFIG_HOME` and `HOME` name no absolute path to put the unit below")]
    NoPlace,
    /// This program's path, or the home's, cannot stand in a unit.
    #[error("`{0}` cannot stand in a unit: it is not text, or holds a line break")]
    Path(String),
    /// The file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This program does not know its own path.
    #[error("this program's own path cannot be told")]
    Own(#[source] io::Error),
}

/// What was done.
#[derive(Debug)]
pub struct Installed {
    /// The unit's file.
    pub path: PathBuf,
    /// True when the user's manager has started it, and will at each login.
    pub is_enabled: bool,
}

/// Writes the unit and enables it.
///
/// # Errors
///
/// When it cannot be written. Where no manager runs, it is not enabled, which is no error.
pub fn install(home: Option<&Path>) -> Result<Installed, InstallError> {
    let own = std::env::current_exe().map_err(InstallError::Own)?;
    let home = home
        .map(|home| std::path::absolute(home).map_err(InstallError::Own))
        .transpose()?;
    let text = unit(&own, home.as_deref())?;
    let dir = config_home()
        .ok_or(InstallError::NoPlace)?
        .join("systemd")
        .join("user");
    let path = dir.join(UNIT);
    let written = fs::create_dir_all(&dir)
        .and_then(|()| write_private(&path, text.as_bytes(), Lasting::PowerCut));
    written.map_err(|source| InstallError::Write {
        path: path.clone(),
        source,
    })?;
    let is_enabled = systemctl(&["daemon-reload"]) && systemctl(&["enable", "--now", UNIT]);
    Ok(Installed { path, is_enabled })
}

fn systemctl(arguments: &[&str]) -> bool {
    Command::new("systemctl")
        .arg("--user")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Writes the unit's text.
fn unit(own: &Path, home: Option<&Path>) -> Result<String, InstallError> {
    let mut command = quoted(own)?;
    if let Some(home) = home {
        command.push_str(" --home ");
        command.push_str(&quoted(home)?);
    }
    command.push_str(" notify");
    Ok(TEMPLATE.replace("@COMMAND@", &command))
}

/// Quotes a path for `ExecStart=` (systemd.service(5), "COMMAND LINES").
fn quoted(path: &Path) -> Result<String, InstallError> {
    let text = path
        .to_str()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| InstallError::Path(path.display().to_string().escape_debug().to_string()))?;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' | '$' => out.extend([c, c]),
            _ => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_quoted_so_that_systemd_takes_it_as_it_is() {
        let text = unit(
            Path::new("/opt/a b/100%/countersign"),
            Some(Path::new("/srv/$HOME/\"x\"\\")),
        )
        .unwrap();
        let command = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="))
            .unwrap();
        assert_eq!(
            command,
            r#""/opt/a b/100%%/countersign" --home "/srv/$$HOME/\"x\"\\" notify"#
        );
        assert!(!text.contains('@'), "{text}");
    }

    #[test]
    fn a_path_with_a_line_break_is_refused() {
        let path = Path::new("/opt/a\nExecStartPre=/bin/evil");
        assert!(matches!(unit(path, None), Err(InstallError::Path(_))));
    }
}
