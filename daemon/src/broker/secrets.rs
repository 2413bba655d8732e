//! The secrets of a profile, read anew for each run, just before its one use is taken: a secret that
//! cannot be had costs no use, and one that was changed is the changed one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::BrokerError;
use super::profiles::Resolved;
use crate::config::{Delivery, SecretSource};
use crate::home::read_private;
use crate::home::way::check_unchangeable;

/// The longest secret, in bytes.
const LONGEST: usize = 16 << 10;

/// What is shorter cannot be told from what a program writes anyway.
const SHORTEST: usize = 6;

/// How long a command may take that prints a secret.
const COMMAND: Duration = Duration::from_secs(10);

/// One secret.
pub(super) struct Secret {
    /// The variable that leads to it.
    pub(super) variable: String,
    /// The secret.
    pub(super) value: Zeroizing<Vec<u8>>,
    /// How the program gets it.
    pub(super) delivery: Delivery,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("variable", &self.variable)
            .finish_non_exhaustive()
    }
}

/// Reads all secrets of a profile.
pub(super) async fn read_all(profile: &Resolved) -> Result<Vec<Secret>, BrokerError> {
    let mut secrets = Vec::new();
    for (variable, (source, delivery)) in &profile.written.secrets {
        let failed = |problem: String| BrokerError::Secret {
            name: variable.clone(),
            problem,
        };
        let value = read(source).await.map_err(failed)?;
        let value = judge(value, *delivery).map_err(|problem| failed(problem.to_owned()))?;
        secrets.push(Secret {
            variable: variable.clone(),
            value,
            delivery: *delivery,
        });
    }
    Ok(secrets)
}

/// Says why not in words that name no part of it.
async fn read(source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, String> {
    match source {
        SecretSource::File(path) => of_file(path.clone()).await,
        SecretSource::Credential(name) => {
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or("is a credential, and the daemon was given none")?;
            of_file(Path::new(&directory).join(name)).await
        }
        SecretSource::Command(argv) => of_command(argv).await,
    }
}

async fn of_file(path: PathBuf) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = tokio::task::spawn_blocking(move || read_private(&path, LONGEST));
    match read.await {
        // Where the operator keeps it is nothing that an agent has to know.
        Ok(Err(error)) => {
            tracing::warn!("a secret cannot be read: {error}");
            Err("cannot be read; the daemon's journal says why".to_owned())
        }
        Ok(Ok(value)) => Ok(value),
        Err(_) => Err("cannot be read".to_owned()),
    }
}

async fn of_command(argv: &[String]) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |problem: &str| {
        let program = argv.first().map_or("", String::as_str);
        tracing::warn!(program, "the command for a secret {problem}");
        "cannot be had from its command; the daemon's journal says why".to_owned()
    };
    let (program, arguments) = argv.split_first().ok_or("has no command")?;
    // It runs as the daemon's own account, so nobody else may say what it does.
    let path = PathBuf::from(program);
    let checked = tokio::task::spawn_blocking(move || check_unchangeable(&path)).await;
    let checked = checked.map_err(|_| failed("cannot be looked at"))?;
    checked.map_err(|error| failed(&format!("cannot be trusted: {error}")))?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&format!("does not start: {error}")))?;
    let stdout = child.stdout.take().ok_or("cannot be read")?;
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut value = Zeroizing::new(Vec::with_capacity(LONGEST));
    let ended = tokio::time::timeout(COMMAND, async {
        stdout.take(most).read_to_end(&mut value).await?;
        child.wait().await
    })
    .await;
    match ended {
        Ok(Ok(status)) if status.success() && value.len() <= LONGEST => Ok(value),
        Ok(Ok(status)) if status.success() => Err(failed("prints too much")),
        Ok(Ok(status)) => Err(failed(&format!("failed: {status}"))),
        Ok(Err(error)) => Err(failed(&format!("cannot be read: {error}"))),
        Err(_) => {
            // What it started goes with it.
            let group = child.id().and_then(|id| i32::try_from(id).ok());
            if let Some(group) = group.and_then(Pid::from_raw) {
                // A group that is gone has no need of it.
                let _ = kill_process_group(group, Signal::KILL);
            }
            Err(failed("takes too long"))
        }
    }
}

/// Takes the end of the line away that files and commands have, and refuses what could not be masked
/// or passed on.
fn judge(
    mut value: Zeroizing<Vec<u8>>,
    delivery: Delivery,
) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    if delivery == Delivery::Environment {
        if value.ends_with(b"\n") {
            value.pop();
        }
        if value.contains(&0) {
            return Err("holds NUL, which no variable can");
        }
    }
    if value.trim_ascii().len() < SHORTEST {
        return Err("is too short to be masked out of what the program writes");
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn command(script: &str) -> SecretSource {
        SecretSource::Command(["/bin/sh", "-c", script].map(str::to_owned).to_vec())
    }

    #[tokio::test]
    async fn a_secret_comes_from_a_file_of_its_own_or_from_what_a_command_prints() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "hunter2-hunter2\n").unwrap();
        for (mode, readable) in [(0o600, true), (0o400, true), (0o640, false), (0o644, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = read(&SecretSource::File(path.clone())).await;
            assert_eq!(read.is_ok(), readable, "{mode:o}");
        }
        let printed = read(&command("echo hunter2-hunter2")).await.unwrap();
        let value = judge(printed, Delivery::Environment).unwrap();
        assert_eq!(value.as_slice(), b"hunter2-hunter2");
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_had_is_none() {
        for source in [
            command("echo hunter2-hunter2; exit 1"),
            command("head -c 20000 /dev/zero"),
            SecretSource::Command(vec!["/no/such/program".to_owned()]),
            SecretSource::File("/no/such/file".into()),
            SecretSource::Credential("no-such-credential".to_owned()),
        ] {
            let problem = read(&source).await.unwrap_err();
            assert!(
                !problem.contains("hunter2") && !problem.contains("/no/"),
                "{problem}"
            );
        }
    }

    #[tokio::test]
    async fn a_command_that_others_could_change_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tool");
        fs::write(&path, "#!/bin/sh\necho hunter2-hunter2\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let source = SecretSource::Command(vec![path.to_str().unwrap().to_owned()]);
        read(&source).await.unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        read(&source).await.unwrap_err();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).unwrap();
        read(&source).await.unwrap_err();
    }

    /// How often something is looked for, a millisecond apart.
    const TRIES: usize = 30_000;

    #[tokio::test(start_paused = true)]
    async fn what_a_command_started_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let script = format!("sleep 1000 & echo $! >{}; wait", pid.display());
        let reading = tokio::spawn(async move { read(&command(&script)).await });
        // The clock stands still; the program does not.
        let pause = || std::thread::sleep(Duration::from_millis(1));
        let is_written = || fs::read_to_string(&pid).is_ok_and(|it| it.ends_with('\n'));
        for _ in 0..TRIES {
            if is_written() {
                break;
            }
            tokio::task::yield_now().await;
            pause();
        }
        let child = fs::read_to_string(&pid).unwrap();
        let place = Path::new("/proc").join(child.trim());
        assert!(place.exists());
        tokio::time::advance(COMMAND * 2).await;
        reading.await.unwrap().unwrap_err();
        let is_gone = || {
            let stat = fs::read_to_string(place.join("stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z")
        };
        assert!((0..TRIES).any(|_| {
            pause();
            is_gone()
        }));
    }

    #[test]
    fn what_could_not_be_masked_or_passed_on_is_no_secret() {
        let judge = |value: &[u8], delivery| judge(Zeroizing::new(value.to_vec()), delivery);
        assert!(judge(b"short\n", Delivery::Environment).is_err());
        assert!(judge(b"      \n\n", Delivery::File).is_err());
        assert!(judge(b"with\0zero", Delivery::Environment).is_err());
        assert!(judge(b"with\0zero\n", Delivery::File).is_ok());
        assert_eq!(
            judge(b"-----KEY\n", Delivery::File).unwrap().as_slice(),
            b"-----KEY\n"
        );
    }
}
