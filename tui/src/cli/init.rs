//! Making a home. The daemon's own program makes it; here the person's key is chosen or made.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_client::place::Place;
use countersign_shared::home::{Layout, Mode};

use super::exit::{Done, Trouble};
use super::output;
use crate::keys::{self, AgentKey, KeyError, Passphrase, Places, Signer};
use crate::siblings::sibling;

/// What a home is made of. Nothing is asked for that is given; `--key` names a public key.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whether agents and reviewers are one OS user or separate ones: user or system.
    #[arg(long, value_parser = mode, default_value = "user")]
    mode: Mode,
    /// The first reviewer's name, such as an address; without it, the OS account's.
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// The first reviewer's OS account; without it, your own.
    #[arg(long, value_name = "ACCOUNT")]
    user: Option<String>,
    /// The account the daemon runs as in system mode.
    #[arg(long, value_name = "ACCOUNT")]
    daemon_user: Option<String>,
    /// Write no policy: then everything is held until somebody approves it.
    #[arg(long)]
    no_policy: bool,
}

fn mode(text: &str) -> Result<Mode, &'static str> {
    match text {
        "user" => Ok(Mode::User),
        "system" => Ok(Mode::System),
        _ => Err("must be `user` or `system`"),
    }
}

/// The private key that was made, in a directory of its own until the home is there.
struct Made {
    directory: PathBuf,
    private: PathBuf,
}

pub(super) fn init(home: Option<&Path>, arguments: &Arguments, key: Option<&Path>) -> Done {
    let daemon = sibling("countersignd").map_err(|error| Trouble::failure(&error))?;
    let layout = layout(home, arguments.mode)?;
    let user = match &arguments.user {
        Some(user) => user.clone(),
        None => crate::account::own().map_err(|error| Trouble::failure(&error))?,
    };
    let reviewer = arguments.reviewer.clone().unwrap_or_else(|| user.clone());
    if layout.config_file().exists() {
        return Err(Trouble::new(
            1,
            "exists",
            format!(
                "`{}` is there already; nothing was changed",
                layout.config_file().display()
            ),
        ));
    }
    let (public, made) = match (key, arguments.mode) {
        (Some(key), Mode::User) => {
            refuse_reachable(key)?;
            (key.to_path_buf(), None)
        }
        (Some(key), Mode::System) => (key.to_path_buf(), None),
        (None, Mode::System) => {
            return Err(Trouble::usage(
                "in system mode `--key` names the reviewer's public key",
            ));
        }
        (None, Mode::User) => {
            let made = make_key(&layout, &reviewer)?;
            (made.private.with_extension("key.pub"), Some(made))
        }
    };
    let mut command = Command::new(daemon);
    if let Some(home) = home {
        command.arg("--home").arg(home);
    }
    command.args([
        "init",
        "--mode",
        mode_word(arguments.mode),
        "--reviewer",
        &reviewer,
    ]);
    command.args(["--user", &user]).arg("--key").arg(&public);
    if let Some(daemon_user) = &arguments.daemon_user {
        command.args(["--daemon-user", daemon_user]);
    }
    if arguments.no_policy {
        command.arg("--no-policy");
    }
    let status = command.status().map_err(|error| Trouble::failure(&error))?;
    let done = if status.success() {
        made.as_ref().map_or(Ok(()), |made| settle(made, &layout))
    } else {
        Err(Trouble::new(
            1,
            "failure",
            "the home was not made, see above",
        ))
    };
    if let Some(made) = &made
        && let Err(error) = fs::remove_dir_all(&made.directory)
    {
        output::message(&format!(
            "`{}` could not be removed: {error}",
            made.directory.display()
        ));
    }
    done?;
    output::message("next: start `countersignd`, then open `countersign`");
    Ok(())
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::User => "user",
        Mode::System => "system",
    }
}

/// Returns where the home will be: as the daemon's program finds it, too.
fn layout(home: Option<&Path>, mode: Mode) -> Result<Layout, Trouble> {
    if home.is_none() && mode == Mode::System && std::env::var_os("COUNTERSIGN_HOME").is_none() {
        return Ok(Layout::system());
    }
    Place::find(home)
        .map(|place| place.layout().clone())
        .map_err(|error| Trouble::failure(&error))
}

/// Makes an encrypted key, with a passphrase that is asked for twice.
fn make_key(layout: &Layout, reviewer: &str) -> Result<Made, Trouble> {
    let trouble = |error: KeyError| Trouble::new(4, "no-key", super::exit::chain(&error));
    let passphrase: Passphrase =
        keys::ask_on_terminal("Passphrase for your new reviewer key: ").map_err(trouble)?;
    if passphrase.is_empty() {
        return Err(Trouble::usage(
            "an empty passphrase protects nothing; nothing was made",
        ));
    }
    let again = keys::ask_on_terminal("The same passphrase again: ").map_err(trouble)?;
    if *passphrase != *again {
        return Err(Trouble::usage(
            "the two passphrases differ; nothing was made",
        ));
    }
    let parent = layout.config_dir().parent().unwrap_or(Path::new("/"));
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Trouble::new(1, "failure", format!("no random numbers: {error}")))?;
    let name = data_encoding::HEXLOWER.encode(&random);
    let directory = parent.join(format!(".countersign-init-{name}"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|error| Trouble::failure(&error))?;
    let private = directory.join("reviewer.key");
    keys::generate(&private, reviewer, &passphrase).map_err(trouble)?;
    Ok(Made { directory, private })
}

/// Moves the key that was made to its place in the new home.
fn settle(made: &Made, layout: &Layout) -> Done {
    let place = layout.config_dir().join("reviewer.key");
    for ending in ["key", "key.pub"] {
        fs::rename(
            made.private.with_extension(ending),
            place.with_extension(ending),
        )
        .map_err(|error| Trouble::failure(&error))?;
    }
    output::ours(&format!("made {}", place.display()));
    Ok(())
}

/// In user mode, refuses a key that any program of the same user could sign with.
fn refuse_reachable(public: &Path) -> Done {
    let places = Places::from_environment();
    let trouble = |error: KeyError| Trouble::new(4, "no-key", super::exit::chain(&error));
    let refuse = |why: &str| {
        Trouble::new(
            4,
            "key-within-reach",
            format!(
                "any program you run could sign with `{}`: {why}",
                public.display()
            ),
        )
        .hint("leave `--key` out, and a key with a passphrase of its own is made")
    };
    let signer = keys::open(public, &places).map_err(trouble)?;
    let is_hardware = signer
        .public_key()
        .algorithm()
        .to_string()
        .starts_with("sk-");
    if !is_hardware && !signer.is_encrypted() {
        return Err(refuse("it has no passphrase, or ssh-agent holds it"));
    }
    if is_hardware {
        return Ok(());
    }
    let loaded = match &places.agent {
        Some(agent) => AgentKey::list(agent).unwrap_or_default(),
        None => Vec::new(),
    };
    let key = signer.public_key().key_data();
    if loaded
        .into_iter()
        .any(|loaded| Signer::Agent(loaded).public_key().key_data() == key)
    {
        return Err(refuse("ssh-agent holds it"));
    }
    Ok(())
}
