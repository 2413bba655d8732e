//! Submit until the request is durable and pending, beside an echo with one durable transaction.

use countersign_shared::wire::pb;
use countersign_tests::calls::{Agent, action};
use countersign_tests::floor::{self, Floor, Sizes};
use countersign_tests::installation::{Installation, Outcome};
use countersign_tests::measure::{Samples, bar, beside, now};

const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 1000000
pending = 1000000
";

/// Calls of one kind in a row; then the other kind has its turn.
const TURN: u64 = 25;

/// Turns.
const TURNS: u64 = 40;

fn main() -> Outcome<()> {
    if floor::serve_if_asked()? {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(compare())
}

async fn compare() -> Outcome<()> {
    let (mut installation, _signer) = Installation::make(SETTINGS)?;
    installation.start()?;
    drop(installation.ready().await?);
    let mut product = Agent::connect(&installation.place()?).await?;
    // Warm, and something to take the sizes from.
    for number in 0..50 {
        product.submit(asking(number)).await?;
    }
    let bare = Floor::start(&Sizes::of_last(
        &installation.home.path().join("state.db"),
        0,
    )?)?;
    let mut echo = bare.connect().await?;
    for number in 0..50 {
        echo.submit(asking(number)).await?;
    }
    let (mut submits, mut echoes) = (Samples::default(), Samples::default());
    for turn in 0..TURNS {
        for (agent, samples) in [(&mut product, &mut submits), (&mut echo, &mut echoes)] {
            for number in 0..TURN {
                let asking = asking(1000 + turn * TURN + number);
                let begun = now();
                agent.submit(asking).await?;
                samples.push(begun.elapsed());
            }
        }
    }
    beside(
        "submit, durable and pending",
        &submits,
        "echo and one durable transaction",
        &echoes,
    );
    let ratio = submits.percentile(50).as_secs_f64() / echoes.percentile(50).as_secs_f64();
    bar("p50 of submit over p50 of the floor", ratio, 2.0, "x");
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
