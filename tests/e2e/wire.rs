//! A client that says what it likes: calls of either service with any bytes, and bare connections.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use countersign_client::channel::connect;
use countersign_client::place::Place;
use countersign_shared::wire::pb;
use countersign_tests::Home;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::Codec;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

/// The path of a call that asks.
pub(crate) const SUBMIT: &str = "/countersign.v1.AgentService/Submit";
/// The path of a call that redeems.
pub(crate) const REDEEM: &str = "/countersign.v1.AgentService/Redeem";
/// The path of a call that decides.
pub(crate) const DECIDE: &str = "/countersign.v1.ReviewService/Decide";

/// Silence that means that nothing more comes.
const QUIET: Duration = Duration::from_millis(300);

/// One connection to one of the sockets.
#[derive(Debug)]
pub(crate) struct Wire {
    runtime: Runtime,
    channel: Channel,
}

impl Wire {
    /// Connects to the agents' socket.
    #[track_caller]
    pub(crate) fn to_agents(home: &Home) -> Self {
        Self::open(home, "agent.sock")
    }

    /// Connects to the reviewers' socket.
    #[track_caller]
    pub(crate) fn to_reviewers(home: &Home) -> Self {
        Self::open(home, "review.sock")
    }

    #[track_caller]
    fn open(home: &Home, socket: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let place = Place::find(Some(&home.path())).expect("a place");
        let socket = place.run_dir().join(socket);
        let channel = runtime
            .block_on(connect(&place, &socket))
            .expect("a connection");
        Self { runtime, channel }
    }

    /// Makes one call.
    pub(crate) fn call<Q, R>(&self, path: &'static str, request: Q) -> Result<R, Status>
    where
        ProstCodec<Q, R>: Codec<Encode = Q, Decode = R> + Default,
        Q: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        self.runtime
            .block_on(call(self.channel.clone(), path, request))
    }

    /// Makes many calls at once and returns all answers.
    pub(crate) fn burst<Q, R>(&self, path: &'static str, requests: Vec<Q>) -> Vec<Result<R, Status>>
    where
        ProstCodec<Q, R>: Codec<Encode = Q, Decode = R> + Default,
        Q: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        self.runtime.block_on(async {
            let calls: Vec<_> = requests
                .into_iter()
                .map(|request| tokio::spawn(call(self.channel.clone(), path, request)))
                .collect();
            let mut answers = Vec::new();
            for call in calls {
                answers.push(call.await.expect("a call"));
            }
            answers
        })
    }

    /// Submits these bytes as an action.
    pub(crate) fn submit(&self, action: &[u8]) -> Result<pb::SubmitResponse, Status> {
        self.call(SUBMIT, asking(action))
    }

    /// Hands in a decision.
    pub(crate) fn decide(
        &self,
        id: &str,
        statement: &[u8],
        sshsig: &str,
    ) -> Result<pb::DecideResponse, Status> {
        let request = pb::DecideRequest {
            id: id.to_owned(),
            statement: statement.to_vec(),
            sshsig: sshsig.to_owned(),
            known_size: 0,
        };
        self.call(DECIDE, request)
    }
}

async fn call<Q, R>(channel: Channel, path: &'static str, request: Q) -> Result<R, Status>
where
    ProstCodec<Q, R>: Codec<Encode = Q, Decode = R> + Default,
    Q: Send + Sync + 'static,
    R: Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::<Q, R>::default();
    Ok(grpc
        .unary(Request::new(request), path, codec)
        .await?
        .into_inner())
}

/// Returns a Submit of these bytes, each a new one.
pub(crate) fn asking(action: &[u8]) -> pb::SubmitRequest {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    pb::SubmitRequest {
        action: action.to_vec(),
        submission: u128::from(count).to_be_bytes().to_vec(),
        ..pb::SubmitRequest::default()
    }
}

/// A refusal, as programs read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The gRPC code.
    pub(crate) code: Code,
    /// The reason of the `ErrorInfo`, empty without one.
    pub(crate) reason: String,
    /// Its metadata.
    pub(crate) metadata: HashMap<String, String>,
}

impl Refusal {
    /// Reads the refusal of a call.
    #[track_caller]
    pub(crate) fn of<T: std::fmt::Debug>(answer: Result<T, Status>) -> Self {
        let status = answer.expect_err("a refusal");
        let info = status.get_details_error_info();
        Self {
            code: status.code(),
            reason: info
                .as_ref()
                .map(|info| info.reason.clone())
                .unwrap_or_default(),
            metadata: info.map(|info| info.metadata).unwrap_or_default(),
        }
    }

    /// Returns one entry of the metadata, empty without one.
    pub(crate) fn metadata(&self, name: &str) -> &str {
        self.metadata.get(name).map_or("", String::as_str)
    }
}

/// A connection that speaks HTTP/2 byte by byte, and stops where it likes.
#[derive(Debug)]
pub(crate) struct Bare {
    stream: UnixStream,
    next: u32,
}

impl Bare {
    /// Connects to the agents' socket and begins to speak HTTP/2.
    #[track_caller]
    pub(crate) fn open(home: &Home) -> Self {
        let socket = home.path().join("run").join("agent.sock");
        let mut stream = UnixStream::connect(socket).expect("a connection");
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .expect("to write");
        stream.write_all(&frame(4, 0, 0, &[])).expect("to write");
        Self { stream, next: 1 }
    }

    /// Opens a call and sends the beginning of a message that claims more bytes than ever come.
    /// What the other side does about it is not looked at: it may close.
    pub(crate) fn begin(&mut self, message: &[u8]) {
        let mut headers = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", SUBMIT),
            (":authority", "countersign"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            headers.push(0);
            for text in [name, value] {
                headers.push(u8::try_from(text.len()).expect("a short text"));
                headers.extend(text.as_bytes());
            }
        }
        let mut bytes = frame(1, 4, self.next, &headers);
        let mut begun = vec![0, 0, 0, 0x40, 0];
        begun.extend(message);
        bytes.extend(frame(0, 0, self.next, &begun));
        self.next += 2;
        drop(self.stream.write_all(&bytes));
    }

    /// Returns the types of the frames that have come, until none comes for a while.
    pub(crate) fn frames(&mut self) -> Vec<u8> {
        self.stream
            .set_read_timeout(Some(QUIET))
            .expect("a timeout");
        let mut kinds = Vec::new();
        let mut head = [0; 9];
        while self.stream.read_exact(&mut head).is_ok() {
            let [a, b, c, kind, ..] = head;
            kinds.push(kind);
            let mut rest =
                vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("a size")];
            self.stream.read_exact(&mut rest).expect("the whole frame");
        }
        kinds
    }
}

/// Returns a frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}
