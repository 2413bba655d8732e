//! A decision until the agent that waits for it resumes, with 1,000 others waiting, beside the same
//! through a bare server.

use countersign_shared::statement::Verdict;
use countersign_shared::wire::pb;
use countersign_tests::calls::{Agent, action};
use countersign_tests::floor::{self, Floor, Sizes};
use countersign_tests::installation::{Installation, Outcome};
use countersign_tests::measure::{Samples, bar, beside, millis, now};
use countersign_tests::reviewer::Reviewer;
use tonic::Streaming;

const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 1000000
pending = 1000000
";

/// How many wait beside the one that is decided, each with a connection of its own.
const OTHERS: u64 = 1000;

/// How many decisions are measured.
const DECISIONS: u64 = 300;

/// Decisions of one kind in a row; then the other kind has its turn.
const TURN: u64 = 25;

fn main() -> Outcome<()> {
    if floor::serve_if_asked()? {
        return Ok(());
    }
    countersignd::socket::raise_descriptor_limit()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(compare())
}

async fn compare() -> Outcome<()> {
    let (mut installation, signer) = Installation::make(SETTINGS)?;
    installation.start()?;
    let mut client = installation.ready().await?;
    // A console that follows, as there is whenever somebody decides.
    let mut news = client.watch(0).await?;
    tokio::spawn(async move { while let Ok(Some(_)) = news.message().await {} });
    let mut reviewer = Reviewer::new(&installation, signer)?;
    let place = installation.place()?;
    let mut agent = Agent::connect(&place).await?;
    let mut others = Vec::new();
    for number in 0..OTHERS {
        let mut other = Agent::connect(&place).await?;
        others.push(ask(&mut other, number).await?);
    }
    // Warm, and something to take the sizes from.
    for number in 0..20 {
        decide(&mut agent, &mut reviewer, &mut client, OTHERS + number).await?;
    }
    let sizes = Sizes::of_last(&installation.home.path().join("state.db"), 2)?;
    let bare = Floor::start(&sizes)?;
    let mut echo = bare.connect().await?;
    for number in 0..OTHERS {
        let mut other = bare.connect().await?;
        let waiting = wait(&mut other, &number.to_string(), "").await?;
        others.push((String::new(), waiting));
    }
    let (mut resumes, mut echoes) = (Samples::default(), Samples::default());
    for turn in 0..DECISIONS / TURN {
        for number in 0..TURN {
            let number = 2 * OTHERS + turn * TURN + number;
            resumes.push(decide(&mut agent, &mut reviewer, &mut client, number).await?);
        }
        for number in 0..TURN {
            let number = 2 * OTHERS + turn * TURN + number;
            echoes.push(report(&mut echo, &number.to_string()).await?);
        }
    }
    beside(
        "decision until the agent resumes, 1000 wait",
        &resumes,
        "bare call, transaction, stream, 1000 wait",
        &echoes,
    );
    bar(
        "p99 from decision to resumed agent",
        millis(resumes.percentile(99)),
        5.0,
        "ms",
    );
    drop(others);
    Ok(())
}

/// Asks, and waits until the daemon has said that it is pending.
async fn ask(agent: &mut Agent, number: u64) -> Outcome<(String, Streaming<pb::WaitResponse>)> {
    let answer = agent
        .submit(pb::SubmitRequest {
            action: action(number),
            submission: u128::from(number).to_be_bytes().to_vec(),
            ask_key: String::new(),
            attached: true,
            known_size: 0,
            use_at_once: None,
        })
        .await?;
    let waiting = wait(agent, &answer.id, &answer.ticket).await?;
    Ok((answer.id, waiting))
}

async fn wait(agent: &mut Agent, id: &str, ticket: &str) -> Outcome<Streaming<pb::WaitResponse>> {
    let request = pb::WaitRequest {
        id: id.to_owned(),
        ticket: ticket.to_owned(),
        known_size: 0,
    };
    let mut waiting = agent.wait(request).await?;
    waiting.message().await?.ok_or("no standing")?;
    Ok(waiting)
}

/// Measures from handing in a signed decision until the waiting agent knows.
async fn decide(
    agent: &mut Agent,
    reviewer: &mut Reviewer,
    client: &mut countersign::client::Client,
    number: u64,
) -> Outcome<std::time::Duration> {
    let (id, mut waiting) = ask(agent, number).await?;
    let (review, signed) = reviewer.sign(client, &id, Verdict::Approve).await?;
    let resumed = tokio::spawn(async move {
        while let Some(standing) = waiting.message().await? {
            if standing.state() == pb::State::Approved {
                return Ok(now());
            }
        }
        Err(tonic::Status::aborted("never approved"))
    });
    let begun = now();
    client.decide(review.document.id(), signed, 0).await?;
    Ok(resumed.await??.duration_since(begun))
}

/// Measures the same through the bare server.
async fn report(echo: &mut Agent, id: &str) -> Outcome<std::time::Duration> {
    let mut waiting = wait(echo, id, "").await?;
    let resumed = tokio::spawn(async move {
        drop(waiting.message().await);
        now()
    });
    let begun = now();
    let request = pb::ReportRequest {
        id: id.to_owned(),
        ..Default::default()
    };
    echo.report(request).await?;
    Ok(resumed.await?.duration_since(begun))
}
