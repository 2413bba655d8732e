//! The console's way to the daemon: one task that follows, loads, signs and hands in.
//!
//! It keeps what the console must not know: the connection, the kept heads, the key. It reconnects
//! by itself, and tells the console each time how things stand. Nothing is repeated by itself that
//! decides: after a lost connection the reviewer looks again.
//!
//! | module | what it is |
//! |---|---|
//! | `news` | what the daemon says |
//! | `perform` | what the console asks for |
//! | `key` | the reviewer's key |
//! | `rules` | rules that wait for people |
//! | `logbook` | the log, and the proof of an entry |
//! | `uses` | who used which data |
//! | `following` | what a run writes |
//! | `decide` | one decision, from the screen to the log |

use std::path::PathBuf;
use std::time::Duration;

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::place::{self, Place, PlaceError};
use countersign_client::private::Lasting;
use countersign_shared::id::RequestId;
use countersign_shared::wire::pb;
use tokio::sync::mpsc;

use crate::cause::chain;
use crate::client::Client;
use crate::console::event::{News, Request};
use crate::console::runner::{self, ConsoleError, Link, Options};
use crate::keys::Signer;
use crate::review::{ReviewError, caught_up};
use crate::signing::Pen;

mod decide;
mod following;
mod key;
mod logbook;
mod news;
mod perform;
mod rules;
mod uses;

/// The longest wait before trying again, in milliseconds.
const LONGEST_PAUSE: u64 = 5_000;

/// The console cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The places cannot be told.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What was kept of the log cannot be used.
    #[error("the kept head of the log cannot be used")]
    Heads(#[from] HeadsError),
    /// The terminal cannot be used.
    #[error(transparent)]
    Console(#[from] ConsoleError),
}

/// Runs the console until it is left; begins with a request if one is named.
pub async fn run_console(
    place: Place,
    key: Option<PathBuf>,
    options: Options,
    open: Option<RequestId>,
) -> Result<(), LinkError> {
    let extras = Extras {
        open,
        ..Extras::default()
    };
    run_with(place, Hand::Find(key), options, extras).await
}

/// Where the key comes from.
#[derive(Debug)]
pub enum Hand {
    /// The named one, or the only enrolled one that is found.
    Find(Option<PathBuf>),
    /// One that is in memory only.
    Ready(Box<Signer>),
}

/// What a console may be given beside the ordinary.
#[derive(Debug, Default)]
pub struct Extras {
    /// Where heads and decisions are kept, instead of the usual place.
    pub state: Option<PathBuf>,
    /// The request to begin with.
    pub open: Option<RequestId>,
    /// Lines to show as they come.
    pub notices: Option<mpsc::Receiver<String>>,
}

/// Runs the console with a key, until it is left.
pub async fn run_with(
    place: Place,
    hand: Hand,
    options: Options,
    extras: Extras,
) -> Result<(), LinkError> {
    let state_dir = match extras.state {
        Some(state) => state,
        None => place::state_dir()?,
    };
    let heads = Heads::open(&state_dir, place.log_key()?, Lasting::PowerCut)?;
    let (requests, asked) = mpsc::channel(64);
    let (news, told) = mpsc::channel(1024);
    if let Some(mut lines) = extras.notices {
        let news = news.clone();
        tokio::spawn(async move {
            while let Some(text) = lines.recv().await {
                if news.send(News::Notice { text }).await.is_err() {
                    return;
                }
            }
        });
    }
    let clerk = Clerk {
        place,
        hand,
        state_dir,
        heads,
        known: 0,
        news,
        pen: None,
        signer: None,
        is_forked: false,
        open: extras.open,
        told: None,
        agents: logbook::Agents::new(),
        follower: None,
    };
    let task = tokio::spawn(clerk.serve(asked));
    let ended = runner::run(
        options,
        Link {
            requests,
            news: told,
        },
    )
    .await;
    task.abort();
    ended.map(|_| ()).map_err(LinkError::from)
}

/// Whether a connection is of further use.
enum Flow {
    /// It is.
    GoOn,
    /// What came of the last call is not known: everything is read anew.
    Reconnect,
}

/// The console is gone, so there is nobody to serve.
struct Gone;

impl<T> From<mpsc::error::SendError<T>> for Gone {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self
    }
}

struct Clerk {
    place: Place,
    hand: Hand,
    state_dir: PathBuf,
    heads: Heads,
    /// How many entries the kept head had when the connection began.
    known: u64,
    news: mpsc::Sender<News>,
    pen: Option<Pen>,
    signer: Option<Signer>,
    is_forked: bool,
    /// The request to begin with, until it was asked for.
    open: Option<RequestId>,
    /// The reason without a connection that was told last.
    told: Option<String>,
    /// Who asked for which request, as far as it was needed.
    agents: logbook::Agents,
    /// The task that follows a run.
    follower: Option<following::Follower>,
}

impl Clerk {
    async fn serve(mut self, mut asked: mpsc::Receiver<Request>) {
        let mut tries = 0u32;
        while self.session(&mut asked, &mut tries).await.is_ok() {
            tries = tries.saturating_add(1);
            if self.news.send(News::Disconnected { tries }).await.is_err() {
                return;
            }
            let pause = 100u64.saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.refuse_waiting(&mut asked).await;
        }
    }

    /// Serves one connection. Returns when it is lost.
    async fn session(
        &mut self,
        asked: &mut mpsc::Receiver<Request>,
        tries: &mut u32,
    ) -> Result<(), Gone> {
        let mut client = match Client::connect(&self.place).await {
            Ok(client) => client,
            Err(error) => return self.tell_once(&error).await,
        };
        self.known = match caught_up::<ReviewError>(&mut client, &mut self.heads).await {
            Ok(known) => known,
            Err(ReviewError::Log(error)) => return self.alarm(&error).await,
            Err(error) => return self.tell_once(&error).await,
        };
        let mut changes = match client.watch(self.known).await {
            Ok(changes) => changes,
            Err(error) => return self.tell_once(&error).await,
        };
        self.told = None;
        *tries = 0;
        self.news.send(News::Connected).await?;
        self.take_key(&mut client).await?;
        loop {
            tokio::select! {
                change = changes.message() => match change {
                    Ok(Some(pb::WatchResponse { change: Some(change) })) => {
                        let may_be_owed = news::may_be_owed(&change);
                        self.tell(&mut client, change).await?;
                        if may_be_owed {
                            self.tell_owed(&mut client).await?;
                        }
                    }
                    Ok(Some(pb::WatchResponse { change: None })) => {}
                    Ok(None) | Err(_) => return Ok(()),
                },
                request = asked.recv() => match request {
                    Some(request) => {
                        if let Flow::Reconnect = self.perform(&mut client, request).await? {
                            return Ok(());
                        }
                    }
                    None => return Err(Gone),
                },
            }
        }
    }

    /// The log contradicts itself: nothing is decided any more.
    async fn alarm(&mut self, error: &(dyn std::error::Error + Sync)) -> Result<(), Gone> {
        self.is_forked = true;
        Ok(self.news.send(News::Forked { what: chain(error) }).await?)
    }

    /// Says why there is no connection, once for each reason.
    async fn tell_once(&mut self, error: &(dyn std::error::Error + Sync)) -> Result<(), Gone> {
        let text = chain(error);
        if self.told.as_ref() != Some(&text) {
            self.told = Some(text.clone());
            self.news.send(News::Notice { text }).await?;
        }
        Ok(())
    }

    async fn notice(&self, error: &(dyn std::error::Error + Sync)) -> Result<(), Gone> {
        Ok(self.news.send(News::Notice { text: chain(error) }).await?)
    }
}
