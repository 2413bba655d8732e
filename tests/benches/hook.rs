//! What a hook costs a call that policy lets pass: time and memory above those of an empty process.
//!
//! A client starts the hook for each call and waits for its end, so that starting counts. The daemon
//! judges, logs and redeems durably in between, as it always does, which takes two waits for the disk:
//! what those alone take in the same turns is printed beside it. The empty process is `true`, started
//! the same way; of memory, `echo`, since one that wrote nothing would have ended.

use std::fs::{self, File};
use std::io::{PipeReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use countersign_tests::installation::{Installation, Outcome};
use countersign_tests::measure::{Samples, bar, beside, millis, now, say};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde_json::json;

const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 1000000
pending = 1000000
";

/// What `init` writes: reading in the workspace asks nobody.
const STARTER: &str = include_str!("../../policy/starter/coding-agents.cedar");

/// Calls of one kind in a row; then the other kind has its turn.
const TURN: usize = 5;

/// Turns.
const TURNS: usize = 40;

/// How often memory is looked at.
const LOOKS: usize = 5;

/// How many readings in a row a process at rest has alike, and the time between them.
const AT_REST: (usize, Duration) = (10, Duration::from_millis(10));

/// How often a process is read before it is given up.
const MOST_READINGS: usize = 2000;

fn main() -> Outcome<()> {
    let (mut installation, _signer) = Installation::make(SETTINGS)?;
    installation.home.write_policy(STARTER);
    installation.start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    drop(runtime.block_on(installation.ready())?);
    let calls = Calls::new(&installation)?;
    time(&calls)?;
    memory(&calls)
}

/// Calls of a tool, each of its own.
struct Calls<'i> {
    installation: &'i Installation,
    next: std::cell::Cell<usize>,
}

impl<'i> Calls<'i> {
    fn new(installation: &'i Installation) -> Outcome<Self> {
        fs::write(installation.home.root().join("read-me"), "text\n")?;
        Ok(Self {
            installation,
            next: std::cell::Cell::new(0),
        })
    }

    /// Returns the hook's command for the next call, with what the client writes.
    fn hook(&self) -> Outcome<Command> {
        let number = self.next.get();
        self.next.set(number + 1);
        let cwd = self.installation.home.root();
        let payload = json!({
            "session_id": "0f3c1f6e-1111-4222-8333-444455556666",
            "transcript_path": "/nowhere.jsonl",
            "cwd": cwd,
            "permission_mode": "default",
            "hook_event_name": "PreToolUse",
            "tool_name": "Read",
            "tool_input": { "file_path": cwd.join("read-me") },
            "tool_use_id": format!("toolu_{number}"),
        });
        let path = cwd.join("payload");
        fs::write(&path, payload.to_string())?;
        let mut command = self.installation.home.agent_command(&["hook", "claude"]);
        command.stdin(File::open(path)?).stderr(Stdio::inherit());
        Ok(command)
    }
}

fn time(calls: &Calls<'_>) -> Outcome<()> {
    for _ in 0..TURN {
        allowed(&mut calls.hook()?)?;
    }
    let (mut hooks, mut empty) = (Samples::default(), Samples::default());
    let mut waits = Samples::default();
    let mut file = File::create(calls.installation.home.root().join("waits"))?;
    for _ in 0..TURNS {
        for _ in 0..TURN {
            let mut hook = calls.hook()?;
            let begun = now();
            allowed(&mut hook)?;
            hooks.push(begun.elapsed());
        }
        for _ in 0..TURN {
            let mut nothing = Command::new("true");
            nothing.stdin(Stdio::null());
            let begun = now();
            nothing.output()?;
            empty.push(begun.elapsed());
        }
        for _ in 0..TURN {
            let begun = now();
            for _ in 0..2 {
                file.write_all(&[0; 4096])?;
                file.sync_data()?;
            }
            waits.push(begun.elapsed());
        }
    }
    beside(
        "hook claude, a call that needs nobody",
        &hooks,
        "an empty process",
        &empty,
    );
    say(&format!(
        "{:44} p50 {:>9.3} ms   p99 {:>9.3} ms",
        "two waits for the disk",
        millis(waits.percentile(50)),
        millis(waits.percentile(99))
    ));
    let above = millis(hooks.percentile(50)) - millis(empty.percentile(50));
    bar("p50 above an empty process", above, 5.0, "ms");
    Ok(())
}

/// Runs a hook, which has to allow the call.
fn allowed(hook: &mut Command) -> Outcome<()> {
    let output = hook.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains(r#""permissionDecision":"allow""#) {
        Ok(())
    } else {
        Err(format!("not allowed: {output:?}").into())
    }
}

fn memory(calls: &Calls<'_>) -> Outcome<()> {
    let (mut hook, mut empty) = (0, 0);
    for _ in 0..LOOKS {
        hook = hook.max(most_memory(&mut calls.hook()?)?);
        let mut echo = Command::new("echo");
        empty = empty.max(most_memory(echo.arg("x"))?);
    }
    let megabytes = |bytes: u32| f64::from(bytes) / 1e3;
    say(&format!(
        "{:44} {:.1} MB, an empty process {:.1} MB",
        "most memory held at once",
        megabytes(hook),
        megabytes(empty)
    ));
    let above = megabytes(hook) - megabytes(empty);
    bar("memory above an empty process", above, 15.0, "MB");
    Ok(())
}

/// Returns the most memory that a process held, in kilobytes: read when all it has left to do is to
/// write its answer, into a pipe that has no room.
fn most_memory(command: &mut Command) -> Outcome<u32> {
    let (reader, mut writer) = std::io::pipe()?;
    let flags = fcntl_getfl(&writer)?;
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK)?;
    while writer.write(&[b' '; 4096]).is_ok() {}
    fcntl_setfl(&writer, flags)?;
    let mut child = command.stdout(writer).spawn()?;
    // The command holds the other end of the pipe as long as it is there.
    command.stdout(Stdio::null());
    let most = at_rest(&child);
    drain(reader)?;
    if !child.wait()?.success() {
        return Err(format!("{command:?} failed").into());
    }
    most
}

fn at_rest(child: &Child) -> Outcome<u32> {
    let path = format!("/proc/{}/status", child.id());
    let (enough, pause) = AT_REST;
    let (mut last, mut alike) = (0, 0);
    for _ in 0..MOST_READINGS {
        std::thread::sleep(pause);
        let found = peak(Path::new(&path))?;
        alike = if found == last { alike + 1 } else { 0 };
        last = found;
        if alike >= enough && found > 0 {
            return Ok(found);
        }
    }
    Err("it does not come to rest".into())
}

fn peak(path: &Path) -> Outcome<u32> {
    let status = fs::read_to_string(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no peak")?.parse()?)
}

fn drain(mut reader: PipeReader) -> Outcome<()> {
    std::io::copy(&mut reader, &mut std::io::sink())?;
    Ok(())
}
