//! What nobody is asked about: how long until it is durably approved, and until it runs.
//!
//! Beside the first stands an echo with one durable transaction, beside the second `sudo -n true`:
//! the program that most people know for running something with a policy in between.

use std::process::{Command, Stdio};

use countersign_shared::json;
use countersign_shared::wire::pb;
use countersign_tests::calls::Agent;
use countersign_tests::floor::{self, Floor, Sizes};
use countersign_tests::installation::{Installation, Outcome};
use countersign_tests::measure::{Samples, bar, beside, now, say};

const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 1000000
pending = 1000000
";

/// What `init` writes: reading in the workspace asks nobody.
const STARTER: &str = include_str!("../../policy/starter/coding-agents.cedar");

/// Lets the one program run that is measured.
const LETS_TRUE_RUN: &str = r#"
@id("true") @review("nobody")
permit (principal, action == Action::"exec.run", resource)
when { context.program_name == "true" && context.argument_count == 0 };
"#;

/// Lets the daemon run the same.
const RUNS_TRUE: &str = "[profile.true]\nprograms = [\"/bin/true\"]\ndirectories = [\"/\"]\n";

/// The number of `STATE_APPROVED` on the wire.
const APPROVED: i32 = pb::State::Approved as i32;

/// Calls of one kind in a row; then the other kind has its turn.
const TURN: u64 = 25;

/// Turns.
const TURNS: u64 = 40;

/// How often a program is started in a row, and how many turns there are.
const STARTS: (u64, u64) = (5, 40);

fn main() -> Outcome<()> {
    if floor::serve_if_asked()? {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(submit())?;
    runtime.block_on(run())
}

/// Submit until the answer that it is approved.
async fn submit() -> Outcome<()> {
    let (mut installation, _signer) = Installation::make(SETTINGS)?;
    installation.home.write_policy(STARTER);
    installation.start()?;
    drop(installation.ready().await?);
    let mut product = Agent::connect(&installation.place()?).await?;
    let directory = std::env::current_dir()?;
    let directory = directory.to_str().ok_or("a directory in UTF-8")?;
    for number in 0..50 {
        approved(&mut product, asking(directory, number)?).await?;
    }
    let database = installation.home.path().join("state.db");
    let bare = Floor::start(&Sizes::of_last(&database, 0)?)?;
    let mut echo = bare.connect().await?;
    for number in 0..50 {
        echo.submit(asking(directory, number)?).await?;
    }
    let (mut submits, mut echoes) = (Samples::default(), Samples::default());
    for turn in 0..TURNS {
        for number in 0..TURN {
            let asking = asking(directory, 1000 + turn * TURN + number)?;
            let begun = now();
            approved(&mut product, asking).await?;
            submits.push(begun.elapsed());
        }
        for number in 0..TURN {
            let asking = asking(directory, 1000 + turn * TURN + number)?;
            let begun = now();
            echo.submit(asking).await?;
            echoes.push(begun.elapsed());
        }
    }
    beside(
        "submit, durably approved by policy",
        &submits,
        "echo and one durable transaction",
        &echoes,
    );
    let ratio = submits.percentile(50).as_secs_f64() / echoes.percentile(50).as_secs_f64();
    bar("p50 of submit over p50 of the floor", ratio, 2.0, "x");
    Ok(())
}

async fn approved(agent: &mut Agent, asking: pb::SubmitRequest) -> Outcome<()> {
    let answer = agent.submit(asking).await?;
    if answer.state == APPROVED {
        Ok(())
    } else {
        Err(format!("not approved: state {}, {}", answer.state, answer.reason).into())
    }
}

fn asking(directory: &str, number: u64) -> Outcome<pb::SubmitRequest> {
    let path = format!("src/file-{number}.rs");
    let action = serde_json::json!({
        "v": 1,
        "kind": "file.read",
        "target": { "kind": "file", "name": path },
        "arguments": { "path": path },
        "context": { "cwd": directory },
        "claims": { "agent": "coder-1" },
    });
    Ok(pb::SubmitRequest {
        action: json::canonical(&action)?,
        submission: u128::from(number).to_be_bytes().to_vec(),
        ask_key: String::new(),
        attached: false,
        known_size: 0,
        use_at_once: None,
    })
}

/// A command that needs nobody, from its start to its end: on the agent's side, and by the daemon.
async fn run() -> Outcome<()> {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]);
    if !matches!(ends(&mut sudo), Ok(true)) {
        say("run: left out: `sudo -n true` is not there, or asks for a password");
        return Ok(());
    }
    let (mut installation, _signer) = Installation::make(SETTINGS)?;
    installation.home.write_policy(LETS_TRUE_RUN);
    std::fs::write(installation.home.path().join("profiles.toml"), RUNS_TRUE)?;
    installation.start()?;
    drop(installation.ready().await?);
    let mut here = installation.home.agent_command(&["run", "--", "true"]);
    let brokered = ["exec", "--as", "true", "--", "true"];
    let mut there = installation.home.agent_command(&brokered);
    let (mut runs, mut execs, mut sudos) =
        (Samples::default(), Samples::default(), Samples::default());
    let (starts, turns) = STARTS;
    for _ in 0..turns {
        for (command, samples) in [
            (&mut here, &mut runs),
            (&mut there, &mut execs),
            (&mut sudo, &mut sudos),
        ] {
            for _ in 0..starts {
                let begun = now();
                if !ends(command)? {
                    return Err(format!("{command:?} failed").into());
                }
                samples.push(begun.elapsed());
            }
        }
    }
    for (name, samples, compared) in [
        (
            "countersign-agent run -- true",
            &runs,
            "p50 of run over p50 of sudo",
        ),
        (
            "countersign-agent exec --as true -- true",
            &execs,
            "p50 of exec over p50 of sudo",
        ),
    ] {
        beside(name, samples, "sudo -n true", &sudos);
        let ratio = samples.percentile(50).as_secs_f64() / sudos.percentile(50).as_secs_f64();
        bar(compared, ratio, 1.5, "x");
    }
    Ok(())
}

/// Runs a command, and tells whether it ended well.
fn ends(command: &mut Command) -> std::io::Result<bool> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}
