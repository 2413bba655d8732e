//! The agents' calls over one connection, as the wire has them: nothing is retried, checked or kept.

use std::path::Path;

use countersign_client::channel::connect;
use countersign_client::place::Place;
use countersign_shared::wire::pb;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::installation::Outcome;

/// The largest answer, in bytes.
const LARGEST: usize = 17 << 20;

/// One agent's connection.
#[derive(Debug, Clone)]
pub struct Agent {
    calls: Grpc<Channel>,
}

impl Agent {
    /// Connects to the agents' socket.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub async fn connect(place: &Place) -> Outcome<Self> {
        Self::connect_to(place, &place.agent_socket()).await
    }

    /// Connects to a socket that serves the agents' calls.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub async fn connect_to(place: &Place, socket: &Path) -> Outcome<Self> {
        let channel = connect(place, socket).await?;
        Ok(Self {
            calls: Grpc::new(channel).max_decoding_message_size(LARGEST),
        })
    }

    /// Asks for an action.
    ///
    /// # Errors
    ///
    /// The daemon's status.
    pub async fn submit(
        &mut self,
        request: pb::SubmitRequest,
    ) -> Result<pb::SubmitResponse, Status> {
        self.unary("/countersign.v1.AgentService/Submit", request)
            .await
    }

    /// Takes a request back.
    ///
    /// # Errors
    ///
    /// The daemon's status.
    pub async fn withdraw(
        &mut self,
        request: pb::WithdrawRequest,
    ) -> Result<pb::WithdrawResponse, Status> {
        self.unary("/countersign.v1.AgentService/Withdraw", request)
            .await
    }

    /// Takes the one use.
    ///
    /// # Errors
    ///
    /// The daemon's status.
    pub async fn redeem(
        &mut self,
        request: pb::RedeemRequest,
    ) -> Result<pb::RedeemResponse, Status> {
        self.unary("/countersign.v1.AgentService/Redeem", request)
            .await
    }

    /// Tells about the run.
    ///
    /// # Errors
    ///
    /// The daemon's status.
    pub async fn report(
        &mut self,
        request: pb::ReportRequest,
    ) -> Result<pb::ReportResponse, Status> {
        self.unary("/countersign.v1.AgentService/Report", request)
            .await
    }

    /// Follows a request.
    ///
    /// # Errors
    ///
    /// The daemon's status.
    pub async fn wait(
        &mut self,
        request: pb::WaitRequest,
    ) -> Result<Streaming<pb::WaitResponse>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/countersign.v1.AgentService/Wait");
        let codec = ProstCodec::<pb::WaitRequest, pb::WaitResponse>::default();
        let answer = self
            .calls
            .server_streaming(Request::new(request), path, codec)
            .await?;
        Ok(answer.into_inner())
    }

    async fn unary<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        self.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        Ok(self
            .calls
            .unary(Request::new(request), path, codec)
            .await?
            .into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.calls
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))
    }
}

/// Returns the bytes of the small action number `number`: canonical, and like no other.
pub fn action(number: u64) -> Vec<u8> {
    format!(
        "{{\"arguments\":{{\"statement\":\"DELETE FROM orders_2024 WHERE batch = {number}\"}},\
         \"claims\":{{\"agent\":\"etl-3\",\"reason\":\"routine cleanup\"}},\
         \"context\":{{\"cwd\":\"/srv/etl\",\"ticket\":\"OPS-1182\"}},\
         \"kind\":\"sql.exec\",\
         \"target\":{{\"kind\":\"database\",\"name\":\"orders\"}},\"v\":1}}"
    )
    .into_bytes()
}
