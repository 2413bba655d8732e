//! `install`: puts the hook into a client's settings, or takes it out.
//!
//! Settings are the user's. What stands there stays: other hooks, other keys, their order, comments.
//! Only hooks that start this program for this client are ours, and those are put, replaced and taken
//! out whole. A file that cannot be read as what it should be is left alone.
//!
//! | module | what it is |
//! |---|---|
//! | `place` | which file, for whom |
//! | `hooks` | what has to stand there for each client |
//! | `json`, `requirements` | putting it into JSON with comments, and into Codex's TOML |
//! | `client` | what is known about versions, and what a person has to be told |

mod client;
mod hooks;
mod json;
mod place;
mod requirements;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use countersign_shared::text::{Printable, Untrusted};

use crate::cli::InstallOptions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

use hooks::Hooks;
use place::Scope;

/// The hook cannot be put in or taken out.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    /// There is no such place.
    #[error("{client} has no {scope} settings that hooks are known to hold in")]
    NoPlace {
        client: &'static str,
        scope: &'static str,
    },
    /// The environment does not say where the user's files are.
    #[error("`HOME` is not set to an absolute path")]
    NoHome,
    /// This program's own path cannot be told.
    #[error("the path of this program cannot be told")]
    NoProgram(#[source] io::Error),
    /// A path that settings cannot hold.
    #[error("the path `{}` is not UTF-8", path.display())]
    NotText { path: PathBuf },
    /// Whoever runs the agent could replace the program that managed settings start.
    #[error(
        "`{}` can be changed by others than root, so that managed settings that start `{}` would hold nobody",
        path.display(), program.display()
    )]
    NotManaged { path: PathBuf, program: PathBuf },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The file is not what settings are.
    #[error("`{}` cannot be merged into: {problem}", path.display())]
    Settings { path: PathBuf, problem: String },
    /// The client lets calls pass when a hook fails.
    #[error(
        "`{program} --version` says {found}: before {least} a hook that is killed or missing lets the call pass"
    )]
    FailsOpen {
        program: &'static str,
        found: String,
        least: String,
    },
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        match &error {
            InstallError::NoPlace { .. } => Self::of(Exit::Usage, "no-place", &error)
                .hint("use `--user` or `--project`, and read docs/agents.md on what that is worth"),
            InstallError::NoHome => Self::of(Exit::Usage, "no-home", &error),
            InstallError::NotManaged { .. } => Self::of(Exit::Failure, "not-managed", &error)
                .hint("install the program for root first, as in `/usr/local/bin`"),
            InstallError::Settings { .. } => Self::of(Exit::Failure, "not-merged", &error)
                .hint("nothing was changed; mend the file, or put the hook in by hand"),
            InstallError::FailsOpen { .. } => Self::of(Exit::Failure, "client-fails-open", &error)
                .hint("update the client; nothing was changed"),
            InstallError::NoProgram(_)
            | InstallError::NotText { .. }
            | InstallError::Read { .. }
            | InstallError::Write { .. } => Self::of(Exit::Failure, "not-installed", &error),
        }
    }
}

/// Puts the hook in, or takes it out.
pub(crate) async fn perform(home: Option<&Path>, options: InstallOptions) -> Result<Exit, Failure> {
    let scope = Scope::of(&options.scope);
    let path = place::settings(options.client, scope, &place::Homes::take())?;
    let program = std::env::current_exe().map_err(InstallError::NoProgram)?;
    if !options.remove {
        client::check_version(options.client).await?;
        if scope == Scope::Managed && !options.dry_run {
            check_managed(&program)?;
        }
    }
    let hooks = Hooks::new(options.client, &program, home)?;
    let before = read(&path)?;
    let after = merge(scope, &path, &before, &hooks, options.remove)?;
    let done = match (&after, options.dry_run) {
        (None, _) => "nothing to change in",
        (Some(text), true) => {
            for row in Printable::exact_lines(&Untrusted::new(text.clone())) {
                output::result(&row);
            }
            "would be written:"
        }
        (Some(text), false) => {
            write(&path, text)?;
            "written:"
        }
    };
    let path = Printable::exact(&Untrusted::new(path.display().to_string()));
    output::message(&Printable::concat([
        &Printable::ours(done),
        &Printable::ours(" "),
        &path,
    ]));
    if !options.remove {
        for warning in client::warnings(options.client, scope) {
            output::message(&Printable::concat([
                &Printable::ours("warning: "),
                &Printable::ours(warning),
            ]));
        }
    }
    Ok(Exit::Ok)
}

/// Returns the settings as they are to be; `None` when they are so already.
fn merge(
    scope: Scope,
    path: &Path,
    before: &str,
    hooks: &Hooks,
    remove: bool,
) -> Result<Option<String>, InstallError> {
    let merged = if place::is_toml(hooks.client(), scope) {
        requirements::merge(before, hooks, remove)
    } else {
        json::merge(before, hooks, remove)
    };
    let after = merged.map_err(|problem| InstallError::Settings {
        path: path.to_path_buf(),
        problem,
    })?;
    Ok((after != before).then_some(after))
}

/// Reads settings; none are empty ones.
fn read(path: &Path) -> Result<String, InstallError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(InstallError::Read {
            path: path.to_path_buf(),
            source,
        }),
    }
}

/// Writes settings so that a reader sees the old ones or the new, with the permissions they had.
fn write(path: &Path, text: &str) -> Result<(), InstallError> {
    // Settings that are a link into somebody's repository stay one.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let failed = |source| InstallError::Write {
        path: path.clone(),
        source,
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    let mode = fs::metadata(&path).map_or(0o644, |found| found.mode() & 0o777);
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)
        .and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        drop(fs::remove_file(&draft));
    }
    written.map_err(failed)
}

/// Checks that nobody but root can exchange the program, or a directory above it.
fn check_managed(program: &Path) -> Result<(), InstallError> {
    for path in program.ancestors() {
        let found = fs::symlink_metadata(path).map_err(|source| InstallError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        // In a directory with the sticky bit everybody owns what they made.
        let others = found.mode() & 0o022 != 0 && !(found.is_dir() && found.mode() & 0o1000 != 0);
        if found.uid() != 0 || others {
            return Err(InstallError::NotManaged {
                path: path.to_path_buf(),
                program: program.to_path_buf(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
