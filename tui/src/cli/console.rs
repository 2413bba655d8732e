//! Opening the console: how it looks, how it rings, and where it begins.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::CommandFactory as _;
use countersign_client::place::Place;
use countersign_shared::id::RequestId;

use super::exit::{Done, Trouble};
use super::{notify, output};
use crate::console::ring::Ring;
use crate::console::runner::Options;

/// How the console shall be.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Only look; nothing can be decided.
    #[arg(long)]
    read_only: bool,
    /// Use ASCII symbols only.
    #[arg(long)]
    ascii: bool,
    /// When the console uses colours; `NO_COLOR` in the environment means never by itself.
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    /// Do not ring when a request comes in.
    #[arg(long)]
    quiet: bool,
    /// Begin with this request.
    #[arg(long, value_name = "ID")]
    open: Option<RequestId>,
}

/// When the console uses colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// Where the terminal can, and `NO_COLOR` is not set.
    Auto,
    /// Whatever the environment says.
    Always,
    /// Never: words and symbols say everything.
    Never,
}

impl Color {
    /// Decides. `variable` looks a variable of the environment up.
    fn is_wanted(self, variable: impl Fn(&str) -> Option<OsString>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                variable("NO_COLOR").is_none_or(|value| value.is_empty())
                    && variable("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

impl Arguments {
    /// Opens the console until it is left.
    pub(super) fn open(
        &self,
        find: &impl Fn() -> Result<Place, Trouble>,
        key: Option<PathBuf>,
    ) -> Done {
        if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
            let mut command = super::Arguments::command();
            output::bytes(command.render_long_help().to_string().as_bytes());
            return Err(Trouble::usage("the console needs a terminal"));
        }
        let (place, options) = (find()?, self.options()?);
        console_runtime()?
            .block_on(crate::link::run_console(place, key, options, self.open))
            .map_err(|error| Trouble::failure(&error))
    }

    /// Returns the console's options. `notify.toml` says how it rings.
    pub(super) fn options(&self) -> Result<Options, Trouble> {
        let ring = if self.quiet {
            Ring::Off
        } else {
            // What is wrong with the file must not keep anybody from the console for long.
            let hint = "mend it, or open the console with `--quiet`";
            notify::read(None)
                .map_err(|trouble| trouble.hint(hint))?
                .ring
        };
        Ok(Options {
            read_only: self.read_only,
            ascii: self.ascii,
            color: self.color.is_wanted(|name| std::env::var_os(name)),
            ring,
        })
    }
}

/// Returns a runtime in which drawing does not wait for the daemon's answers to be checked.
fn console_runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Trouble::failure(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_before_the_environment_and_no_color_before_the_terminal() {
        let with = |set: &'static [(&'static str, &'static str)]| {
            move |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            }
        };
        assert!(Color::Auto.is_wanted(with(&[("TERM", "xterm")])));
        assert!(Color::Auto.is_wanted(with(&[("NO_COLOR", "")])));
        assert!(!Color::Auto.is_wanted(with(&[("NO_COLOR", "1")])));
        assert!(!Color::Auto.is_wanted(with(&[("TERM", "dumb")])));
        assert!(Color::Always.is_wanted(with(&[("NO_COLOR", "1")])));
        assert!(!Color::Never.is_wanted(with(&[])));
    }
}
