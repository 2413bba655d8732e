//! The calls about what the daemon runs itself: what a profile would run, and the run.

use std::time::Duration;

use countersign_client::refusal;
use countersign_client::shown::{AnswerError, Inclusion, state};
use countersign_shared::digest::Digest;
use countersign_shared::machine::State;
use countersign_shared::text::Untrusted;
use countersign_shared::wire::pb;
use pb::execute_request::Message as Asked;
use pb::execute_response::Message as Answered;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Claim, Client, ClientError, Submitted, Taken, soon};

/// How many messages wait to be sent.
const WAITING: usize = 4;

/// How long a signal may wait behind input.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// How often it is looked whether it still waits.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is asked of a profile.
#[derive(Debug, Clone)]
pub struct Describe {
    /// The profile.
    pub profile: String,
    /// The program, as it was named.
    pub program: Vec<u8>,
    /// The directory; empty for the profile's first one.
    pub directory: String,
    /// The variables that are passed on.
    pub environment: Vec<(String, Vec<u8>)>,
}

/// The way to a run. The run ends when this and [`FromRun`] are gone.
#[derive(Debug, Clone)]
pub struct ToRun(mpsc::Sender<pb::ExecuteRequest>);

/// What comes from a run.
#[derive(Debug)]
pub struct FromRun(Streaming<pb::ExecuteResponse>);

/// A run that began with the approval.
#[derive(Debug)]
pub struct Begun {
    /// The entry that says that the one use is taken.
    pub by: Box<Inclusion>,
    /// The way to it.
    pub to: ToRun,
    /// What comes from it.
    pub from: FromRun,
}

/// One piece of it.
#[derive(Debug, Clone)]
pub enum News {
    /// The one use is taken: the entry that says so.
    Redeemed(Box<Inclusion>),
    /// The program runs.
    Started,
    /// Standard output.
    Stdout(Vec<u8>),
    /// Standard error.
    Stderr(Vec<u8>),
    /// It is over.
    Ended(RunEnded),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunEnded {
    /// Where the request stands.
    pub state: State,
    /// Why, when it did not end by itself.
    pub because: Untrusted,
    /// A stable word for why.
    pub reason: String,
    /// The exit code.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Client {
    /// Asks what a profile would run; canonical JSON.
    pub async fn describe(&mut self, asking: &Describe) -> Result<Vec<u8>, ClientError> {
        let environment = asking.environment.iter();
        let request = pb::DescribeRequest {
            profile: asking.profile.clone(),
            program: asking.program.clone(),
            directory: asking.directory.clone(),
            environment: environment
                .map(|(name, value)| pb::Variable {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
        };
        Ok(soon(self.calls.describe(request)).await?.run)
    }

    /// Asks, and has the daemon run it at once where nobody has to be asked.
    pub(super) async fn ask_to_run(
        &mut self,
        request: pb::SubmitRequest,
    ) -> Result<Submitted, ClientError> {
        let (to, mut from) = self.begin(Asked::Ask(request)).await?;
        let mut submitted: Submitted = match from.message().await? {
            Answered::Asked(submitted) => submitted.try_into()?,
            Answered::Redeemed(_)
            | Answered::Started(_)
            | Answered::Stdout(_)
            | Answered::Stderr(_)
            | Answered::Ended(_) => return Err(AnswerError { field: "asked" }.into()),
        };
        if submitted.state == State::Redeemed && !submitted.joined {
            let News::Redeemed(by) = from.next().await? else {
                return Err(AnswerError { field: "redeemed" }.into());
            };
            let begun = Begun { by, to, from };
            submitted.taken = Some(Taken::Daemon(Box::new(begun)));
        }
        Ok(submitted)
    }

    /// Has the daemon run what was approved.
    pub async fn execute(
        &mut self,
        claim: &Claim,
        digest: &Digest,
        action: &[u8],
        known_size: u64,
    ) -> Result<(ToRun, FromRun), ClientError> {
        let begin = Asked::Begin(pb::ExecuteBegin {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
            digest: digest.to_string(),
            action: action.to_vec(),
            known_size,
        });
        self.begin(begin).await
    }

    async fn begin(&mut self, first: Asked) -> Result<(ToRun, FromRun), ClientError> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let to = ToRun(requests);
        // There is room for the first one.
        to.send(first).await;
        let from = soon(self.calls.execute(ReceiverStream::new(waiting))).await?;
        Ok((to, FromRun(from)))
    }
}

impl ToRun {
    /// Sends more of standard input; `false` when nobody takes it any more.
    pub async fn input(&self, piece: Vec<u8>) -> bool {
        self.send(Asked::Input(piece)).await
    }

    /// Says that standard input has ended.
    pub async fn end_input(&self) {
        self.send(Asked::InputEnd(true)).await;
    }

    /// Passes a signal on; tells whether it is on its way to the program. It is not while the program takes
    /// no input: what was sent before stands in its way.
    pub async fn signal(&self, number: i32) -> bool {
        let sent = async {
            let is_sent = self.send(Asked::Signal(number)).await;
            while is_sent && self.0.capacity() < self.0.max_capacity() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            is_sent
        };
        tokio::time::timeout(ON_ITS_WAY, sent)
            .await
            .unwrap_or(false)
    }

    async fn send(&self, message: Asked) -> bool {
        let request = pb::ExecuteRequest {
            message: Some(message),
        };
        self.0.send(request).await.is_ok()
    }
}

impl FromRun {
    /// Waits for what comes next. An error is the end, and leaves open what ran.
    pub async fn next(&mut self) -> Result<News, ClientError> {
        let missing = |field| AnswerError { field };
        Ok(match self.message().await? {
            Answered::Redeemed(redeemed) => {
                let by = redeemed.redeemed_by.ok_or_else(|| missing("redeemed_by"))?;
                News::Redeemed(Box::new(by.try_into()?))
            }
            Answered::Started(_) => News::Started,
            Answered::Stdout(bytes) => News::Stdout(bytes),
            Answered::Stderr(bytes) => News::Stderr(bytes),
            Answered::Ended(ended) => News::Ended(RunEnded {
                state: state(ended.state)?,
                because: Untrusted::new(ended.because),
                reason: ended.reason,
                exit: ended.exit,
                signal: ended.signal,
            }),
            Answered::Asked(_) => return Err(AnswerError { field: "asked" }.into()),
        })
    }

    async fn message(&mut self) -> Result<Answered, ClientError> {
        match self.0.message().await {
            Ok(Some(response)) => Ok(response.message.ok_or(AnswerError { field: "message" })?),
            Ok(None) => Err(ClientError::Lost {
                message: "the daemon stopped telling before the run ended".to_owned(),
            }),
            Err(status) => Err(refusal::classify(&status).into()),
        }
    }
}
