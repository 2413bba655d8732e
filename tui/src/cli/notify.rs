//! `notify`: tells on the desktop, puts the unit in place, or shows that it works.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::place::{self, Place};

use super::exit::{Done, Trouble, chain};
use super::{output, runtime};
use crate::client::Client;
use crate::notify::desktop::{self, Desktop};
use crate::notify::open::Opener;
use crate::notify::settings::{self, Settings};
use crate::notify::words::Words;
use crate::notify::{Options, Said, install};

/// How long a test's bubble stands when nobody takes it away.
const TEST: Duration = Duration::from_secs(10);

/// How to be told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Put the unit for systemd's user manager in place and start it.
    #[arg(long, conflicts_with = "test")]
    install: bool,
    /// Show a bubble and say whether everything is there.
    #[arg(long)]
    test: bool,
    /// How you are called, instead of `countersign/notify.toml` in your configuration directory.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn notify(home: Option<&Path>, arguments: &Arguments, key: Option<&Path>) -> Done {
    let settings = read(arguments.config.as_deref())?;
    if arguments.install {
        return put_in_place(home);
    }
    let place = Place::find(home).map_err(|error| Trouble::failure(&error))?;
    let opener = Opener {
        terminal: settings.terminal.clone(),
        home: home.map(Path::to_path_buf),
        key: key.map(Path::to_path_buf),
    };
    if arguments.test {
        return test(&place, &settings);
    }
    let options = Options {
        quiet: settings.quiet_hours,
        opener,
        is_seen: std::io::stdout().is_terminal(),
        state_dir: place::state_dir().map_err(|error| Trouble::failure(&error))?,
    };
    let is_seen = options.is_seen;
    let mut say = |said| match said {
        Said::Told(text) => {
            output::ours(&text);
            if is_seen {
                ring();
            }
        }
        Said::Notice(text) => output::message(&format!("countersign: {text}")),
    };
    runtime()?
        .block_on(crate::notify::run(place, options, &mut say))
        .map_err(|error| Trouble::failure(&error))
}

/// Reads how the person is called.
pub(super) fn read(named: Option<&Path>) -> Result<Settings, Trouble> {
    let path = named.map(Path::to_path_buf).or_else(settings::place);
    path.map_or_else(
        || Ok(Settings::default()),
        |path| Settings::read(&path).map_err(|error| Trouble::new(2, "settings", chain(&error))),
    )
}

fn put_in_place(home: Option<&Path>) -> Done {
    let done = install::install(home).map_err(|error| Trouble::failure(&error))?;
    output::ours(&format!("made {}", done.path.display()));
    output::message(&if done.is_enabled {
        "it runs now, and from each login on; `countersign notify --test` shows a bubble".to_owned()
    } else {
        format!(
            "no user manager of systemd took it up; where there is one, say `systemctl --user \
             enable --now {}`",
            install::UNIT
        )
    });
    Ok(())
}

/// Shows a bubble, and says what answers.
fn test(place: &Place, settings: &Settings) -> Done {
    let server = desktop::server().map_err(|error| {
        Trouble::new(1, "no-desktop", chain(&error))
            .hint("in a terminal, `countersign notify` tells there; the console rings by itself")
    })?;
    output::ours(&format!("notification server: {server}"));
    let quiet = settings
        .quiet_hours
        .map_or_else(|| "none".to_owned(), |quiet| quiet.to_string());
    output::ours(&format!("quiet hours: {quiet}"));
    runtime()?.block_on(async {
        let (mut desktop, mut done) = Desktop::new();
        desktop
            .show(&Words::test())
            .await
            .map_err(|error| Trouble::new(1, "no-desktop", chain(&error)))?;
        output::ours("a bubble was shown");
        Client::connect(place).await?;
        output::ours("the daemon answers");
        // Some servers take a bubble away with the program that asked for it.
        drop(tokio::time::timeout(TEST, done.recv()).await);
        desktop.close().await;
        Ok(())
    })
}

/// Rings the terminal.
fn ring() {
    let mut out = std::io::stdout().lock();
    // A bell that cannot ring changes nothing.
    drop(out.write_all(b"\x07").and_then(|()| out.flush()));
}
