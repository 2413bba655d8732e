//! One connection to the reviewers' socket.
//!
//! Generated types end here and in the modules that take an answer apart at once. A [`Client`] does
//! not come back by itself when the connection is lost.

use std::time::Duration;

use countersign_client::channel::connect;
use countersign_client::heads::Gap;
use countersign_client::peer::ConnectError;
use countersign_client::place::Place;
use countersign_client::refusal::{Failure, classify};
use countersign_client::shown::{AnswerError, Consistency, Inclusion};
use countersign_shared::digest::Digest;
use countersign_shared::explanation::Explanation;
use countersign_shared::id::RequestId;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;
use tonic::transport::Channel;

/// The generated service stub.
mod wire {
    #![expect(
        clippy::allow_attributes_without_reason,
        unreachable_pub,
        reason = "generated code"
    )]
    include!(concat!(env!("OUT_DIR"), "/countersign.v1.rs"));
}

use wire::review_service_client::ReviewServiceClient;

/// How long a call may take.
const CALL: Duration = Duration::from_secs(30);

/// The largest answer: a document of the largest size, with its frame.
const LARGEST_ANSWER: usize = (16 << 20) + (1 << 20);

/// The daemon was not reached, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It did not do what was asked.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// Its answer cannot be read.
    #[error("the daemon's answer cannot be read")]
    Answer(#[from] AnswerError),
}

/// A signed statement, ready to be handed in.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The statement's exact bytes.
    pub statement: Vec<u8>,
    /// The armoured SSH signature over them.
    pub sshsig: String,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct Client {
    calls: ReviewServiceClient<Channel>,
}

impl Client {
    /// Connects, after a look at who listens.
    pub async fn connect(place: &Place) -> Result<Self, ClientError> {
        let channel = connect(place, &place.review_socket()).await?;
        Ok(Self {
            calls: ReviewServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER),
        })
    }

    /// Follows all requests.
    pub async fn watch(
        &mut self,
        known_size: u64,
    ) -> Result<tonic::Streaming<pb::WatchResponse>, ClientError> {
        soon(self.calls.watch(pb::WatchRequest { known_size })).await
    }

    /// Lists requests, newest first.
    pub async fn list(&mut self, all: bool) -> Result<Vec<pb::Summary>, ClientError> {
        let request = pb::ListRequest {
            all,
            ..Default::default()
        };
        let answer = soon(self.calls.list(request)).await?;
        Ok(answer.requests)
    }

    /// Returns what people still owe.
    pub async fn owed(&mut self) -> Result<pb::ListOwedResponse, ClientError> {
        soon(self.calls.list_owed(pb::ListOwedRequest {})).await
    }

    /// Returns one request, by its id or a prefix.
    pub async fn get(&mut self, id: &str, known_size: u64) -> Result<pb::GetResponse, ClientError> {
        soon(self.calls.get(pb::GetRequest {
            id: id.to_owned(),
            known_size,
        }))
        .await
    }

    /// Says that a request was shown completely.
    pub async fn open(&mut self, id: RequestId, display: Digest) -> Result<(), ClientError> {
        let request = pb::OpenRequest {
            id: id.to_string(),
            display: display.to_string(),
        };
        soon(self.calls.open(request)).await.map(|_| ())
    }

    /// Hands in a decision; the answer proves the log from `known_size` on.
    pub async fn decide(
        &mut self,
        id: RequestId,
        signed: Signed,
        known_size: u64,
    ) -> Result<pb::DecideResponse, ClientError> {
        let Signed { statement, sshsig } = signed;
        soon(self.calls.decide(pb::DecideRequest {
            id: id.to_string(),
            statement,
            sshsig,
            known_size,
        }))
        .await
    }

    /// Leases a request; returns until when.
    pub async fn claim(&mut self, id: RequestId) -> Result<String, ClientError> {
        let answer = soon(self.calls.claim(pb::ClaimRequest { id: id.to_string() })).await?;
        Ok(answer.until)
    }

    /// Gives a lease back.
    pub async fn release(&mut self, id: RequestId) -> Result<(), ClientError> {
        soon(
            self.calls
                .release(pb::ReleaseRequest { id: id.to_string() }),
        )
        .await
        .map(|_| ())
    }

    /// Calls for more eyes.
    pub async fn escalate(&mut self, id: RequestId, signed: Signed) -> Result<(), ClientError> {
        let Signed { statement, sshsig } = signed;
        let request = pb::EscalateRequest {
            id: id.to_string(),
            statement,
            sshsig,
        };
        soon(self.calls.escalate(request)).await.map(|_| ())
    }

    /// Takes back an approval that was not used.
    pub async fn revoke(&mut self, id: RequestId, signed: Signed) -> Result<i32, ClientError> {
        let Signed { statement, sshsig } = signed;
        let request = pb::RevokeRequest {
            id: id.to_string(),
            statement,
            sshsig,
        };
        soon(self.calls.revoke(request))
            .await
            .map(|answer| answer.state)
    }

    /// Asks for the end of a run.
    pub async fn kill(&mut self, id: RequestId, signed: Signed) -> Result<i32, ClientError> {
        let Signed { statement, sshsig } = signed;
        let request = pb::KillRequest {
            id: id.to_string(),
            statement,
            sshsig,
        };
        soon(self.calls.kill(request))
            .await
            .map(|answer| answer.state)
    }

    /// Follows what a run of the daemon's own writes.
    pub async fn output(
        &mut self,
        id: &str,
    ) -> Result<tonic::Streaming<pb::OutputResponse>, ClientError> {
        let id = id.to_owned();
        soon(self.calls.output(pb::OutputRequest { id })).await
    }

    /// Says how a run of unknown end went.
    pub async fn settle(&mut self, id: RequestId, signed: Signed) -> Result<i32, ClientError> {
        let Signed { statement, sshsig } = signed;
        let request = pb::SettleRequest {
            id: id.to_string(),
            statement,
            sshsig,
        };
        soon(self.calls.settle(request))
            .await
            .map(|answer| answer.state)
    }

    /// Approves alone, in an emergency; the answer proves the log from `known_size` on.
    pub async fn break_glass(
        &mut self,
        id: RequestId,
        signed: Signed,
        known_size: u64,
    ) -> Result<pb::BreakGlassResponse, ClientError> {
        let Signed { statement, sshsig } = signed;
        soon(self.calls.break_glass(pb::BreakGlassRequest {
            id: id.to_string(),
            statement,
            sshsig,
            known_size,
        }))
        .await
    }

    /// Closes the review that breaking the glass owes.
    pub async fn close_debt(&mut self, id: RequestId, signed: Signed) -> Result<(), ClientError> {
        let Signed { statement, sshsig } = signed;
        let request = pb::CloseDebtRequest {
            id: id.to_string(),
            statement,
            sshsig,
        };
        soon(self.calls.close_debt(request)).await.map(|_| ())
    }

    /// Reads entries of the log from an index on; fewer than asked for may come.
    pub async fn read_log(&mut self, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, ClientError> {
        let answer = soon(self.calls.read_log(pb::ReadLogRequest { from, limit })).await?;
        Ok(answer.entries)
    }

    /// Returns the head, with a proof from a known size.
    pub async fn head(&mut self, known_size: u64) -> Result<pb::GetHeadResponse, ClientError> {
        soon(self.calls.get_head(pb::GetHeadRequest {
            known_size,
            index: None,
        }))
        .await
    }

    /// Returns the proof that two heads are of one history.
    pub async fn prove_consistency(&mut self, gap: Gap) -> Result<Consistency, ClientError> {
        let Gap { from, to } = gap;
        let request = pb::ProveConsistencyRequest { from, to };
        Ok(soon(self.calls.prove_consistency(request))
            .await?
            .try_into()?)
    }

    /// Returns an entry with its proof, and with a proof of the head from a known size.
    pub async fn prove(&mut self, index: u64, known_size: u64) -> Result<Inclusion, ClientError> {
        let answer = soon(self.calls.get_head(pb::GetHeadRequest {
            known_size,
            index: Some(index),
        }))
        .await?;
        let inclusion = answer.inclusion.ok_or(AnswerError { field: "inclusion" })?;
        let inclusion = Inclusion::try_from(inclusion)?;
        if inclusion.index == index {
            Ok(inclusion)
        } else {
            Err(AnswerError { field: "index" }.into())
        }
    }

    /// Asks why a request is where it is, by its id or a prefix; returns the full id as well.
    pub async fn explain(&mut self, id: &str) -> Result<(String, Explanation), ClientError> {
        let request = pb::ExplainRequest { id: id.to_owned() };
        let answer = soon(self.calls.explain(request)).await?;
        let explanation = serde_json::from_slice(&answer.explanation).map_err(|_| AnswerError {
            field: "explanation",
        })?;
        Ok((answer.id, explanation))
    }

    /// Counts who used which data, since a moment or the beginning of the log.
    pub async fn usage(
        &mut self,
        by: &str,
        since: Option<Timestamp>,
    ) -> Result<pb::UsageResponse, ClientError> {
        let request = pb::UsageRequest {
            by: by.to_owned(),
            since: since.map_or_else(String::new, |since| since.to_string()),
        };
        soon(self.calls.usage(request)).await
    }

    /// Returns rules whole, unchecked.
    pub async fn read_rules(
        &mut self,
        digest: Digest,
    ) -> Result<pb::ReadRulesResponse, ClientError> {
        let digest = digest.to_string();
        soon(self.calls.read_rules(pb::ReadRulesRequest { digest })).await
    }

    /// Returns which rules wait for people's word.
    pub async fn proposed_rules(
        &mut self,
        known_size: u64,
    ) -> Result<pb::ProposedRulesResponse, ClientError> {
        soon(
            self.calls
                .proposed_rules(pb::ProposedRulesRequest { known_size }),
        )
        .await
    }

    /// Hands in a person's word on rules.
    pub async fn sign_rules(
        &mut self,
        signed: Signed,
        known_size: u64,
    ) -> Result<pb::SignRulesResponse, ClientError> {
        let Signed { statement, sshsig } = signed;
        soon(self.calls.sign_rules(pb::SignRulesRequest {
            statement,
            sshsig,
            known_size,
        }))
        .await
    }

    /// Returns the rules in force.
    pub async fn rules(&mut self) -> Result<pb::GetRulesResponse, ClientError> {
        soon(self.calls.get_rules(pb::GetRulesRequest {})).await
    }
}

async fn soon<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(classify(&status).into()),
        Err(_) => {
            let message = format!("no answer within {} s", CALL.as_secs());
            Err(Failure::Lost { message }.into())
        }
    }
}
