//! A server that the daemon runs as a profile says, so that the token it works with never comes here.
//!
//! It is `exec` with a streamed input, as a process of ours: asked for, approved and recorded as such,
//! once for the server. Each call that is passed on to it is asked for beside that.

use std::ffi::OsString;
use std::path::Path;

use crate::exit::Exit;
use crate::failure::Failure;

/// Returns the command that stands in for a server.
///
/// # Errors
/// When our own program cannot be found.
pub(super) fn command(
    home: Option<&Path>,
    profile: &str,
    server: Vec<OsString>,
) -> Result<Vec<OsString>, Failure> {
    let own = std::env::current_exe().map_err(|error| {
        Failure::of(Exit::Failure, "no-server", &error)
            .hint("`countersign-agent` has to be where it was started from")
    })?;
    let mut command = vec![own.into_os_string()];
    if let Some(home) = home {
        command.extend(["--home".into(), home.as_os_str().to_owned()]);
    }
    command.extend(["exec", "--as", profile, "--"].map(OsString::from));
    command.extend(server);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Arguments, Command};

    #[test]
    fn what_stands_in_for_a_server_is_a_command_line_of_ours() {
        let server = ["db-server", "--as", "x"].map(OsString::from).to_vec();
        let line = command(Some(Path::new("/home/x y")), "db", server.clone()).unwrap();
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert_eq!(arguments.home.as_deref(), Some(Path::new("/home/x y")));
        let Command::Exec(options) = arguments.command else {
            panic!("{:?}", arguments.command);
        };
        assert_eq!(options.profile, "db");
        assert_eq!(options.command, server);
    }
}
