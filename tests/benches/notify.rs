//! Request until the notification server has the bubble, beside a bare call of the server after the
//! same request.
//!
//! Bubbles come once in 15 s, so each sample has a program of its own that has just begun to follow.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use countersign_shared::wire::pb;
use countersign_tests::calls::{Agent, action};
use countersign_tests::desktop::Desktop;
use countersign_tests::installation::{Installation, Outcome};
use countersign_tests::measure::{Samples, bar, beside, millis, now};
use countersign_tests::programs::{PERSON, program};
use zbus::zvariant::Variant;

const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 1000000
pending = 1000000
";

/// Rounds that are not counted.
const WARMING: u64 = 5;

/// Samples of each kind.
const SAMPLES: u64 = 200;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (mut installation, _signer) = Installation::make(SETTINGS)?;
    installation.start()?;
    drop(runtime.block_on(installation.ready())?);
    let desktop = Desktop::start(&installation.home.make_dir("bus"));
    let mut agent = runtime.block_on(Agent::connect(&installation.place()?))?;
    let (mut bubbles, mut bare) = (Samples::default(), Samples::default());
    let mut count = 0;
    for number in 0..WARMING + SAMPLES {
        let follower = Follower::start(&installation, &desktop)?;
        let begun = now();
        let asked = runtime.block_on(agent.submit(asking(2 * number)))?;
        count += 1;
        let bubble = desktop.wait_for(count).at.duration_since(begun);
        drop(follower);
        // The next one would tell of it as soon as it begins.
        runtime.block_on(take_back(&mut agent, asked))?;
        let begun = now();
        let asked = runtime.block_on(async {
            let asked = agent.submit(asking(2 * number + 1)).await?;
            call(desktop.address()).await?;
            Outcome::Ok(asked)
        })?;
        count += 1;
        let least = desktop.wait_for(count).at.duration_since(begun);
        runtime.block_on(take_back(&mut agent, asked))?;
        if number >= WARMING {
            bubbles.push(bubble);
            bare.push(least);
        }
    }
    beside(
        "request to bubble",
        &bubbles,
        "request and one bare call",
        &bare,
    );
    bar(
        "p99 of request to bubble",
        millis(bubbles.percentile(99)),
        100.0,
        "ms",
    );
    Ok(())
}

/// The program, following the daemon, with nothing to tell yet.
struct Follower(Child);

impl Follower {
    fn start(installation: &Installation, desktop: &Desktop) -> Outcome<Self> {
        let mut child = Command::new(program(PERSON))
            .arg("notify")
            .arg("--home")
            .arg(installation.home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", desktop.address())
            .env("COUNTERSIGN_STATE", installation.home.root().join("notify"))
            .env("XDG_CONFIG_HOME", installation.home.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stderr.take().ok_or("no standard error")?;
        let follower = Self(child);
        for line in BufReader::new(said).lines() {
            if line?.contains("connected, 0 requests wait") {
                return Ok(follower);
            }
        }
        Err("the program does not follow".into())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Killed, it takes no bubble away; whether it had ended already changes nothing.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The least: a connection of its own, and one call.
async fn call(address: &str) -> Outcome<()> {
    let connection = zbus::connection::Builder::address(address).build().await?;
    let hints: HashMap<&str, Variant<'_>> = HashMap::new();
    let actions: [&str; 0] = [];
    let body = (
        "Countersign",
        0_u32,
        "",
        "a request waits",
        "",
        actions.as_slice(),
        hints,
        -1_i32,
    );
    let name = "org.freedesktop.Notifications";
    let path = "/org/freedesktop/Notifications";
    connection
        .call_method(Some(name), path, Some(name), "Notify", &body)
        .await?;
    Ok(())
}

async fn take_back(agent: &mut Agent, asked: pb::SubmitResponse) -> Outcome<()> {
    let request = pb::WithdrawRequest {
        id: asked.id,
        ticket: asked.ticket,
    };
    agent.withdraw(request).await?;
    Ok(())
}

fn asking(number: u64) -> pb::SubmitRequest {
    pb::SubmitRequest {
        action: action(number),
        submission: u128::from(number).to_be_bytes().to_vec(),
        ask_key: String::new(),
        attached: false,
        known_size: 0,
        use_at_once: None,
    }
}
