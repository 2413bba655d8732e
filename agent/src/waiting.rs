//! Waiting for a decision, through restarts of the daemon, without losing the place.
//!
//! A task holds the connection and makes it anew, with the same ticket, when it breaks; this side
//! watches the clocks, the signals and the terminal. As long as the daemon does not say "approved",
//! the answer is no: a connection that cannot be had until the request must have ended is
//! [`Waited::Unreachable`].

use std::time::Duration;

use countersign_shared::machine::State;
use countersign_shared::time::Timestamp;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{Claim, Client, ClientError, Standing};
use crate::clock;
use crate::failure::Failure;
use crate::session::{FIRST_PAUSE, LONGEST_PAUSE, Session};
use crate::signals::Signals;
use crate::status::{Status, StatusLine};
use crate::tickets::Ticket;
use countersign_client::place::Place;

/// How long after its deadline a request is still waited for: the daemon says how it ended.
const AFTER_DEADLINE: Duration = Duration::from_secs(10);

/// How the wait ended.
#[derive(Debug)]
pub(crate) enum Waited {
    /// The request stands as no further decision will change, or is approved.
    Decided(Box<Standing>),
    /// The caller's own time is over.
    StillPending,
    /// The request's time is over, and the daemon did not say so.
    Expired,
    /// The request's time is over, and the daemon was not there.
    Unreachable,
    /// A signal came.
    Interrupted(Signal),
}

/// What the task tells.
enum News {
    Standing(Standing),
    Lost,
    Failed(ClientError),
}

/// Waits until the request is decided, the caller's `patience` is over, or a signal comes.
///
/// An entry that comes with the decision is checked before it is returned.
pub(crate) async fn wait(
    session: &mut Session,
    ticket: &Ticket,
    patience: Option<Duration>,
    signals: &mut Signals,
) -> Result<Waited, Failure> {
    session.hang_up();
    let known = session.heads().catch_up()?;
    let (news, mut heard) = mpsc::channel(8);
    let place = session.place().clone();
    let claim = ticket.claim.clone();
    let task = tokio::spawn(async move { follow(&place, &claim, known, &news).await });
    let waited = watch(ticket, patience, signals, &mut heard).await;
    task.abort();
    if let Ok(Waited::Decided(standing)) = &waited
        && let Some(entry) = &standing.decided_by
    {
        let kinds = decided_by(standing.state);
        session.heads().check(entry, kinds, ticket.claim.id)?;
    }
    waited
}

async fn watch(
    ticket: &Ticket,
    patience: Option<Duration>,
    signals: &mut Signals,
    heard: &mut mpsc::Receiver<News>,
) -> Result<Waited, Failure> {
    // A time beyond all clocks is none.
    let own_end = patience.and_then(|patience| Instant::now().checked_add(patience));
    let mut line = StatusLine::new();
    let mut status = Status {
        id: ticket.claim.id,
        reviewers: 0,
        expires_at: ticket.expires_at,
        connected: true,
    };
    let mut its_end = None;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        its_end = End::follow(its_end, status.expires_at);
        tokio::select! {
            biased;
            signal = signals.next() => return Ok(Waited::Interrupted(signal)),
            news = heard.recv() => match news {
                Some(News::Standing(standing)) if is_open(standing.state) => {
                    status.reviewers = standing.reviewers_online;
                    status.expires_at = standing.expires_at.or(status.expires_at);
                    status.connected = true;
                    line.show(&status);
                }
                Some(News::Standing(standing)) => {
                    return Ok(Waited::Decided(Box::new(standing)));
                }
                Some(News::Lost) => {
                    status.connected = false;
                    line.show(&status);
                }
                Some(News::Failed(error)) => return Err(error.into()),
                // The task ends only after its last news.
                None => return Ok(Waited::Unreachable),
            },
            () = until(own_end) => return Ok(Waited::StillPending),
            () = until(its_end.map(|end| end.gives_up)) => return Ok(if status.connected {
                Waited::Expired
            } else {
                Waited::Unreachable
            }),
            _ = ticks.tick(), if line.is_shown() => line.show(&status),
        }
    }
}

/// Tells whether a decision is still awaited.
const fn is_open(state: State) -> bool {
    matches!(state, State::Received | State::Pending)
}

/// Returns the types of entries that may bring a request into this state; empty for any.
///
/// A "no" needs no proof, so only an approval is held to its type.
const fn decided_by(state: State) -> &'static [&'static str] {
    match state {
        State::Approved => &["request.approved", "breakglass.used"],
        State::Received
        | State::Pending
        | State::Refused
        | State::Denied
        | State::Expired
        | State::Withdrawn
        | State::Superseded
        | State::Invalidated
        | State::Revoked
        | State::Lapsed
        | State::Redeemed
        | State::Running
        | State::NotRun
        | State::Indeterminate
        | State::Succeeded
        | State::Failed
        | State::Killed
        | State::Settled => &[],
    }
}

/// When to give up a request that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    at: Timestamp,
    gives_up: Instant,
}

impl End {
    /// Returns the end for `at`, which is the `kept` one unless the daemon names another time.
    ///
    /// Computed anew at each look, it would move on with the clock once `at` is over, and a wait
    /// for a daemon that is away would have no end.
    fn follow(kept: Option<Self>, at: Option<Timestamp>) -> Option<Self> {
        let at = at?;
        kept.filter(|kept| kept.at == at).or_else(|| {
            Some(Self {
                at,
                gives_up: Instant::now() + at.since(clock::wall()) + AFTER_DEADLINE,
            })
        })
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Follows the request over as many connections as it takes.
async fn follow(place: &Place, claim: &Claim, known: u64, news: &mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let next = match follow_once(place, claim, known, news, &mut pause).await {
            Ok(()) => return,
            Err(error) if error.is_lost() => News::Lost,
            Err(error) => News::Failed(error),
        };
        let is_last = matches!(next, News::Failed(_));
        if news.send(next).await.is_err() || is_last {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Follows the request over one connection; ends well when nobody needs to know more.
async fn follow_once(
    place: &Place,
    claim: &Claim,
    known: u64,
    news: &mpsc::Sender<News>,
    pause: &mut Duration,
) -> Result<(), ClientError> {
    let mut client = Client::connect(place).await?;
    let mut standings = client.wait(claim, known).await?;
    while let Some(standing) = standings.next().await? {
        *pause = FIRST_PAUSE;
        let is_last = !is_open(standing.state);
        if news.send(News::Standing(standing)).await.is_err() || is_last {
            return Ok(());
        }
    }
    Err(ClientError::Lost {
        message: "the daemon stopped telling before the request was decided".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_states_are_waited_in() {
        let open: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| is_open(*state))
            .collect();
        assert_eq!(open, [State::Received, State::Pending]);
    }

    #[test]
    fn the_end_moves_only_when_the_daemon_names_another_time() {
        let over = Timestamp::from_millis(1);
        let kept = End::follow(None, Some(over));
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(End::follow(kept, Some(over)), kept);
        let later = Timestamp::from_millis(2);
        let moved = End::follow(kept, Some(later));
        assert_eq!(moved.map(|end| end.at), Some(later));
        assert_eq!(End::follow(moved, None), None);
    }
}
