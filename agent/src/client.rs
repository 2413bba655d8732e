//! The connection to the daemon: one Unix socket, checked before a byte is sent.
//!
//! Generated types end here: calls take and give our own. A [`Client`] is one connection and does
//! not come back by itself; whoever wants to go on makes another. It says whether a failure was an
//! answer ([`ClientError::Refused`]) or a lost connection ([`ClientError::is_lost`]), and judges
//! nothing else. Heads and proofs are checked by `Heads`.

mod answer;
mod execute;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use countersign_client::channel;
use countersign_client::heads::Gap;
use countersign_client::peer::ConnectError;
use countersign_client::place::Place;
use countersign_client::refusal::{self, Failure};
use countersign_client::shown;
use countersign_shared::digest::Digest;
use countersign_shared::id::{RequestId, RunSecret, TicketSecret};
use countersign_shared::machine::State;
use countersign_shared::wire::pb;
use tonic::transport::Channel;

use crate::wire::AgentServiceClient;

pub use answer::{Redeemed, Standing, Submitted, Taken};
pub use countersign_client::peer::PeerError;
pub use countersign_client::refusal::Refusal;
pub use countersign_client::shown::{AnswerError, Consistency, Inclusion, ShownHead};
pub use execute::{Begun, Describe, FromRun, News, RunEnded, ToRun};

/// How long a call may take that does not wait for people.
const CALL: Duration = Duration::from_secs(30);

/// The largest answer: a document with its masks and openings.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The daemon was not reached, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon listens at `{}`", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The socket may not be opened by this user.
    #[error("this user may not ask at `{}`", socket.display())]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else than the daemon's user listens, or could.
    #[error("the socket is not to be trusted")]
    Untrustworthy(#[source] PeerError),
    /// The connection broke, or no answer came.
    #[error("the connection to the daemon was lost: {message}")]
    Lost {
        /// What was seen of it.
        message: String,
    },
    /// The daemon said no.
    #[error(transparent)]
    Refused(Refusal),
    /// The answer cannot be read.
    #[error("the daemon's answer cannot be read")]
    Answer(#[from] AnswerError),
    /// An error without a reason that this program knows.
    #[error("the daemon answered with {code}: {message}")]
    Unexpected {
        /// The gRPC code, in words.
        code: String,
        /// The daemon's message.
        message: String,
    },
}

impl ClientError {
    /// Tells whether the daemon may answer the same question when asked again on a new connection.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused(refusal) => matches!(refusal.code.as_str(), "draining" | "busy"),
            Self::NotAllowed { .. }
            | Self::Untrustworthy(_)
            | Self::Answer(_)
            | Self::Unexpected { .. } => false,
        }
    }

    /// Tells whether the call may have had its effect although it failed.
    ///
    /// A refusal had none, `busy` and `draining` included, nor had a call that reached nobody.
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Answer(_) => true,
            Self::Unreachable { .. }
            | Self::NotAllowed { .. }
            | Self::Untrustworthy(_)
            | Self::Refused(_)
            | Self::Unexpected { .. } => false,
        }
    }

    /// Tells whether the one use is another process's.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == "already-redeemed")
    }
}

impl From<ConnectError> for ClientError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable { socket, source } => Self::Unreachable { socket, source },
            ConnectError::NotAllowed { socket, source } => Self::NotAllowed { socket, source },
            ConnectError::Untrustworthy(error) => Self::Untrustworthy(error),
        }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Lost { message } => Self::Lost { message },
            Failure::Unexpected { code, message } => Self::Unexpected { code, message },
        }
    }
}

/// An asking as it is submitted.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The action: canonical JSON.
    pub action: Vec<u8>,
    /// 16 random bytes that make repeating harmless.
    pub submission: [u8; 16],
    /// Ties the askings of one tool call together, at most 256 bytes; empty when there is none.
    pub ask_key: String,
    /// Whether the request ends with its last waiter.
    pub attached: bool,
    /// Who takes the one use at once where nobody has to be asked.
    pub at_once: AtOnce,
}

/// Who takes the one use with the approval, when a policy gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtOnce {
    /// Nobody.
    Never,
    /// This process.
    Own,
    /// The daemon, which runs it as the profile in the action says.
    Daemon,
}

/// Names a request and proves the right to it (R16).
#[derive(Debug, Clone)]
pub struct Claim {
    /// The full id.
    pub id: RequestId,
    /// The ticket secret.
    pub secret: TicketSecret,
}

/// One connection to the daemon.
#[derive(Debug)]
pub struct Client {
    calls: AgentServiceClient<Channel>,
}

impl Client {
    /// Connects, after a look at who listens.
    ///
    /// # Errors
    /// When nobody listens, or somebody who must not.
    pub async fn connect(place: &Place) -> Result<Self, ClientError> {
        let channel = channel::connect(place, &place.agent_socket()).await?;
        Ok(Self {
            calls: AgentServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER),
        })
    }

    /// Asks for an action. `pid` is what a use that is taken at once is taken with, as in
    /// [`redeem`](Self::redeem).
    pub async fn submit(
        &mut self,
        asking: &Asking,
        pid: u32,
        known_size: u64,
    ) -> Result<Submitted, ClientError> {
        let request = pb::SubmitRequest {
            action: asking.action.clone(),
            submission: asking.submission.to_vec(),
            ask_key: asking.ask_key.clone(),
            attached: asking.attached,
            known_size,
            use_at_once: (asking.at_once == AtOnce::Own).then_some(pb::UseAtOnce { pid }),
        };
        if asking.at_once == AtOnce::Daemon {
            // Apart, because only `exec` does it and every asking would hold it.
            return Box::pin(self.ask_to_run(request)).await;
        }
        Ok(soon(self.calls.submit(request)).await?.try_into()?)
    }

    /// Follows a request.
    pub async fn wait(&mut self, claim: &Claim, known_size: u64) -> Result<Follow, ClientError> {
        let request = pb::WaitRequest {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
            known_size,
        };
        soon(self.calls.wait(request)).await.map(Follow)
    }

    /// Waits until a reviewer asks for the end of the run; false when the request is over.
    pub async fn await_kill(&mut self, claim: &Claim) -> Result<bool, ClientError> {
        let request = pb::AwaitKillRequest {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
        };
        match self.calls.await_kill(request).await {
            Ok(answer) => Ok(answer.into_inner().asked),
            Err(status) => Err(refusal::classify(&status).into()),
        }
    }

    /// Takes the request back.
    pub async fn withdraw(&mut self, claim: &Claim) -> Result<State, ClientError> {
        let request = pb::WithdrawRequest {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
        };
        Ok(shown::state(
            soon(self.calls.withdraw(request)).await?.state,
        )?)
    }

    /// Leaves the request to itself.
    pub async fn detach(&mut self, claim: &Claim) -> Result<(), ClientError> {
        let request = pb::DetachRequest {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
        };
        soon(self.calls.detach(request)).await?;
        Ok(())
    }

    /// Takes the one use. With a `pid`, which can only be this process's own, the daemon looks
    /// whether it lives; 0 leaves it to the report and the longest run.
    pub async fn redeem(
        &mut self,
        claim: &Claim,
        digest: &Digest,
        pid: u32,
        known_size: u64,
    ) -> Result<Redeemed, ClientError> {
        let request = pb::RedeemRequest {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
            digest: digest.to_string(),
            pid,
            known_size,
        };
        Ok(soon(self.calls.redeem(request)).await?.try_into()?)
    }

    /// Returns the proof that two heads are of one history.
    pub async fn prove_consistency(&mut self, gap: Gap) -> Result<Consistency, ClientError> {
        let Gap { from, to } = gap;
        let request = pb::ProveConsistencyRequest { from, to };
        Ok(soon(self.calls.prove_consistency(request))
            .await?
            .try_into()?)
    }

    /// Tells what became of the run; `run` is the secret that came with the one use.
    pub async fn report(
        &mut self,
        claim: &Claim,
        run: Option<&RunSecret>,
        report: &[u8],
    ) -> Result<State, ClientError> {
        let request = pb::ReportRequest {
            id: claim.id.to_string(),
            ticket: claim.secret.reveal(),
            report: report.to_vec(),
            run: run.map_or_else(String::new, RunSecret::reveal),
        };
        Ok(shown::state(soon(self.calls.report(request)).await?.state)?)
    }
}

/// The answers to one wait.
#[derive(Debug)]
pub struct Follow(tonic::Streaming<pb::WaitResponse>);

impl Follow {
    /// Waits for the next standing; `None` when there will be none on this connection.
    pub async fn next(&mut self) -> Result<Option<Standing>, ClientError> {
        match self.0.message().await {
            Ok(Some(message)) => Ok(Some(message.try_into()?)),
            Ok(None) => Ok(None),
            Err(status) => Err(refusal::classify(&status).into()),
        }
    }
}

/// Waits for a call that does not wait for people.
async fn soon<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(refusal::classify(&status).into()),
        Err(_) => Err(ClientError::Lost {
            message: format!("no answer within {} s", CALL.as_secs()),
        }),
    }
}
