//! The console's way to the daemon: one task that follows, loads, signs and hands in.
//!
//! It keeps what the console must not know: the connection, the kept heads, the key. It reconnects
//! by itself, and tells the console each time how things stand. Nothing is repeated by itself that
//! decides: after a lost connection the reviewer looks again.

use std::path::PathBuf;
use std::time::Duration;

use countersign_client::heads::{Heads, HeadsError};
use countersign_client::place::{self, Place, PlaceError};
use countersign_client::refusal::Failure;
use countersign_client::shown::{self, ShownHead};
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::text::Untrusted;
use countersign_shared::wire::pb;
use tokio::sync::mpsc;

use crate::client::{Client, ClientError, Signed};
use crate::console::event::{News, Request};
use crate::console::model::{self, Detail, ModelError, Row, Standing};
use crate::console::runner::{self, ConsoleError, Link, Options};
use crate::console::safety::{Decision, Signing, Verdict};
use crate::keys::Signer;
use crate::review::{Review, ReviewError};
use crate::signing::{self, Pen, SigningError, Word};

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

/// Runs the console until it is left.
pub async fn run_console(
    place: Place,
    key: Option<PathBuf>,
    options: Options,
) -> Result<(), LinkError> {
    run_with(place, Hand::Find(key), options, Extras::default()).await
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
    let heads = Heads::open(&state_dir, place.log_key()?)?;
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
        news,
        pen: None,
        signer: None,
        is_forked: false,
        told: None,
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
    news: mpsc::Sender<News>,
    pen: Option<Pen>,
    signer: Option<Signer>,
    is_forked: bool,
    /// The reason without a connection that was told last.
    told: Option<String>,
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

    /// Answers what was asked for while there was no connection.
    async fn refuse_waiting(&mut self, asked: &mut mpsc::Receiver<Request>) {
        while let Ok(request) = asked.try_recv() {
            let why = "the daemon is not connected".to_owned();
            let news = match request {
                Request::Load(id) => News::NotLoaded { id, why },
                Request::Decide(decision) => News::NotDecided {
                    id: decision.id,
                    why,
                },
                Request::Unlock(_) => News::NotUnlocked { why },
                Request::Shown { .. } | Request::Claim(_) | Request::Release(_) => continue,
            };
            drop(self.news.send(news).await);
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
        let known = match self.heads.catch_up() {
            Ok(known) => known,
            Err(error) => return self.alarm(&error).await,
        };
        let mut changes = match client.watch(known).await {
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
                        self.tell(change).await?;
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

    /// Learns who the reviewer is, and chooses the key, once.
    async fn take_key(&mut self, client: &mut Client) -> Result<(), Gone> {
        let pen = match Pen::fetch(client).await {
            Ok(pen) => pen,
            Err(error) => {
                self.notice(&error).await?;
                return Ok(self.news.send(News::Signing(Signing::Missing)).await?);
            }
        };
        if self.signer.is_none() {
            match std::mem::replace(&mut self.hand, Hand::Find(None)) {
                Hand::Ready(signer) => self.signer = Some(*signer),
                Hand::Find(named) => {
                    match pen.choose(named.as_deref(), &self.place) {
                        Ok(signer) => self.signer = Some(signer),
                        Err(error) => self.notice(&SigningError::Key(error)).await?,
                    }
                    self.hand = Hand::Find(named);
                }
            }
        }
        self.pen = Some(pen);
        let signing = self.signing();
        Ok(self.news.send(News::Signing(signing)).await?)
    }

    fn signing(&self) -> Signing {
        match &self.signer {
            None => Signing::Missing,
            Some(signer) if signer.is_locked() => Signing::Locked,
            Some(_) => Signing::Ready,
        }
    }

    async fn tell(&mut self, change: pb::watch_response::Change) -> Result<(), Gone> {
        use pb::watch_response::Change;

        match change {
            Change::Request(summary) => match Row::try_from(summary) {
                Ok(row) => self.news.send(News::Row(Box::new(row))).await?,
                Err(error) => self.notice(&error).await?,
            },
            Change::SnapshotComplete(complete) => {
                let Ok(now) = complete.now.parse() else {
                    return self.notice(&shown::AnswerError { field: "now" }).await;
                };
                let reviewer =
                    (!complete.reviewer.is_empty()).then(|| Untrusted::new(complete.reviewer));
                let local = crate::cli::wall_time();
                self.news
                    .send(News::SnapshotComplete {
                        reviewer,
                        now,
                        local,
                    })
                    .await?;
            }
            Change::Head(head) => {
                let accepted = ShownHead::try_from(head);
                match accepted {
                    Ok(head) => match self.heads.accept(&head) {
                        Ok(()) => {
                            let size = self.heads.last().map_or(0, Checkpoint::size);
                            self.news.send(News::HeadAdvanced { size }).await?;
                        }
                        Err(error) if is_behind(&error) => {}
                        Err(error) => self.alarm(&error).await?,
                    },
                    Err(error) => self.notice(&error).await?,
                }
            }
            Change::Draining(_) => self.news.send(News::Draining).await?,
        }
        Ok(())
    }

    async fn perform(&mut self, client: &mut Client, request: Request) -> Result<Flow, Gone> {
        match request {
            Request::Load(id) => {
                match Review::load(client, &mut self.heads, &id.to_string()).await {
                    Ok(review) => match Detail::try_from(review.answer) {
                        Ok(detail) => self.news.send(News::Loaded(Box::new(detail))).await?,
                        Err(error) => {
                            let why = chain(&error);
                            self.news.send(News::NotLoaded { id, why }).await?;
                        }
                    },
                    Err(error) => {
                        if error.is_alarm() {
                            self.alarm(&error).await?;
                        }
                        let why = chain(&error);
                        self.news.send(News::NotLoaded { id, why }).await?;
                    }
                }
            }
            Request::Shown { id, display } => {
                if let Err(error) = client.open(id, display).await {
                    self.notice(&error).await?;
                }
            }
            Request::Claim(id) => {
                if let Err(error) = client.claim(id).await {
                    self.notice(&error).await?;
                }
            }
            Request::Release(id) => {
                if let Err(error) = client.release(id).await {
                    self.notice(&error).await?;
                }
            }
            Request::Unlock(passphrase) => self.unlock(passphrase).await?,
            Request::Decide(decision) => {
                let id = decision.id;
                let news = match self.decide(client, &decision).await {
                    Ok((standing, missing)) => News::Decided {
                        id,
                        standing,
                        missing,
                    },
                    Err(Undecided::Refused(why)) => News::NotDecided { id, why },
                    // Nobody knows whether it was recorded: the console says so, and the next
                    // snapshot tells.
                    Err(Undecided::Unknown) => return Ok(Flow::Reconnect),
                };
                self.news.send(news).await?;
            }
        }
        Ok(Flow::GoOn)
    }

    /// Unlocks the key on a thread of its own: it takes a third of a second.
    async fn unlock(&mut self, passphrase: crate::console::safety::Passphrase) -> Result<(), Gone> {
        let Some(mut signer) = self.signer.take() else {
            let why = "there is no key to unlock".to_owned();
            return Ok(self.news.send(News::NotUnlocked { why }).await?);
        };
        let unlocked = tokio::task::spawn_blocking(move || {
            let done = signer.unlock(&zeroize::Zeroizing::new(passphrase.reveal().to_owned()));
            (signer, done)
        })
        .await;
        let news = match unlocked {
            Ok((signer, done)) => {
                self.signer = Some(signer);
                match done {
                    Ok(()) => News::Unlocked,
                    Err(error) => News::NotUnlocked { why: chain(&error) },
                }
            }
            Err(_) => News::NotUnlocked {
                why: "the key could not be unlocked".to_owned(),
            },
        };
        Ok(self.news.send(news).await?)
    }

    /// Loads the request anew, makes sure it is the one on the screen, signs, hands in, and checks
    /// that the log holds it.
    async fn decide(
        &mut self,
        client: &mut Client,
        decision: &Decision,
    ) -> Result<(Standing, String), Undecided> {
        if self.is_forked {
            let why = "the log contradicts itself; nothing is decided here any more";
            return Err(Undecided::Refused(why.to_owned()));
        }
        let loaded = Review::load(client, &mut self.heads, &decision.id.to_string()).await;
        if let Err(error) = &loaded
            && error.is_alarm()
        {
            self.is_forked = true;
            drop(self.news.send(News::Forked { what: chain(error) }).await);
        }
        let review = loaded?;
        if review.digest() != decision.digest
            || review.rendering.digest() != decision.display
            || review.answer.self_attests != decision.self_attested
        {
            return Err(Undecided::Refused("it changed while you looked".to_owned()));
        }
        let pen = Pen::fetch(client).await?;
        let verdict = match decision.verdict {
            Verdict::Approve => countersign_shared::statement::Verdict::Approve,
            Verdict::Deny => countersign_shared::statement::Verdict::Deny,
        };
        let word = Word {
            verdict,
            reason: decision.reason.clone(),
        };
        let statement = self
            .sign(&pen, &review, decision.passphrase_typed, word)
            .await?;
        self.pen = Some(pen);
        let known = self.heads.catch_up().map_err(ReviewError::from)?;
        let answer = client.decide(decision.id, statement.clone(), known).await?;
        let standing = model::standing(answer.state)?;
        let missing = answer.missing.clone();
        let kept = signing::keep(
            &mut self.heads,
            &self.state_dir,
            (&review, verdict),
            &statement,
            answer,
        );
        // The decision stands whatever became of its copy; only a log without it is an alarm.
        match kept {
            Ok(_) => {}
            Err(error @ SigningError::NotRecorded(_)) => {
                self.is_forked = true;
                drop(
                    self.news
                        .send(News::Forked {
                            what: chain(&error),
                        })
                        .await,
                );
            }
            Err(error) => {
                drop(
                    self.news
                        .send(News::Notice {
                            text: chain(&error),
                        })
                        .await,
                );
            }
        }
        Ok((standing, missing))
    }

    /// Signs on a thread of its own: a security key may wait for its owner's touch.
    async fn sign(
        &mut self,
        pen: &Pen,
        review: &Review,
        passphrase_typed: bool,
        word: Word,
    ) -> Result<Signed, Undecided> {
        let missing = || Undecided::Refused("there is no key to sign with".to_owned());
        let mut signer = self.signer.take().ok_or_else(missing)?;
        if !passphrase_typed {
            signer.keep();
        }
        let now = crate::cli::wall_time();
        let statement =
            match signing::decision(pen, signer.assurance(), review, &self.heads, word, now) {
                Ok(statement) => statement,
                Err(error) => {
                    self.signer = Some(signer);
                    return Err(error.into());
                }
            };
        let (signer, done) = tokio::task::spawn_blocking(move || {
            let done = signing::sign(&mut signer, &statement);
            (signer, done)
        })
        .await
        .map_err(|_| missing())?;
        self.signer = Some(signer);
        Ok(done?)
    }

    /// The log contradicts itself: nothing is decided any more.
    async fn alarm(&mut self, error: &(dyn std::error::Error + Sync)) -> Result<(), Gone> {
        self.is_forked = true;
        Ok(self.news.send(News::Forked { what: chain(error) }).await?)
    }

    /// Says why there is no connection, once for each reason.
    async fn tell_once(&mut self, error: &ClientError) -> Result<(), Gone> {
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

/// Why a decision was not seen to be recorded.
enum Undecided {
    /// It was not.
    Refused(String),
    /// The connection was lost on the way.
    Unknown,
}

impl From<ClientError> for Undecided {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Failure(Failure::Lost { .. } | Failure::Unexpected { .. })
            | ClientError::Answer(_) => Self::Unknown,
            ClientError::Connect(_) | ClientError::Failure(Failure::Refused(_)) => {
                Self::Refused(chain(&error))
            }
        }
    }
}

impl From<ReviewError> for Undecided {
    fn from(error: ReviewError) -> Self {
        // Nothing was sent yet, whatever went wrong.
        Self::Refused(chain(&error))
    }
}

impl From<SigningError> for Undecided {
    fn from(error: SigningError) -> Self {
        Self::Refused(chain(&error))
    }
}

impl From<ModelError> for Undecided {
    fn from(error: ModelError) -> Self {
        Self::Refused(chain(&error))
    }
}

/// Tells whether a head is merely older than one that another call of this console brought.
fn is_behind(error: &HeadsError) -> bool {
    use countersign_shared::log::keeper::Fork;

    matches!(
        error,
        HeadsError::Fork(Fork::WentBack { .. } | Fork::OtherStart { .. })
    )
}

/// Writes an error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
