use std::pin::pin;
use std::sync::Mutex;

use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::socket::{ConnectionCap, incoming};

struct Served {
    _directory: tempfile::TempDir,
    uri: String,
    refused: Arc<Mutex<Vec<(u32, &'static str)>>>,
}

/// Serves the health service alone, behind the limits.
fn serve(limits: CallLimits, cap: ConnectionCap) -> Served {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let counted = Arc::clone(&refused);
    let refusals = Refusals::new(move |uid, kind| counted.lock().unwrap().push((uid, kind)));
    tokio::spawn(async move {
        server(limits, refusals.clone())
            .add_service(health)
            .serve_with_incoming(incoming(listener, cap, refusals))
            .await
    });
    Served {
        uri: format!("unix:{}", path.display()),
        _directory: directory,
        refused,
    }
}

impl Served {
    /// The kinds of what was refused, all of this user.
    fn refused(&self) -> Vec<&'static str> {
        let me = rustix::process::geteuid().as_raw();
        let refused = self.refused.lock().unwrap();
        refused
            .iter()
            .map(|(uid, kind)| {
                assert_eq!(*uid, me);
                *kind
            })
            .collect()
    }

    async fn channel(&self) -> Channel {
        Endpoint::try_from(self.uri.clone())
            .unwrap()
            .initial_connection_window_size(CONNECTION_WINDOW)
            .connect()
            .await
            .unwrap()
    }
}

fn everything() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

#[tokio::test]
async fn the_call_too_many_is_answered_at_once_and_there_is_room_again_after() {
    let limits = CallLimits {
        calls: 1,
        ..CallLimits::default()
    };
    let served = serve(limits, ConnectionCap::default());
    let mut client = HealthClient::new(served.channel().await);
    let mut watch = client.watch(everything()).await.unwrap().into_inner();
    watch.next().await.unwrap().unwrap();
    // On another connection as well: the limit is the user's.
    let mut other = HealthClient::new(served.channel().await);
    let status = other.check(everything()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "calls-per-user");
    assert_eq!(info.metadata["limit"], "1");
    assert_eq!(served.refused(), ["over-limit"]);
    drop(watch);
    let room = async { while other.check(everything()).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), room)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_client_with_too_many_connections_learns_why() {
    let served = serve(CallLimits::default(), ConnectionCap::new(1));
    let mut first = HealthClient::new(served.channel().await);
    first.check(everything()).await.unwrap();
    let channel = Endpoint::try_from(served.uri.clone())
        .unwrap()
        .connect_lazy();
    let status = HealthClient::new(channel)
        .check(everything())
        .await
        .unwrap_err();
    assert!(
        matches!(status.code(), Code::ResourceExhausted | Code::Unavailable),
        "{status}"
    );
    assert_eq!(served.refused().first(), Some(&"too-many-connections"));
    first.check(everything()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_its_service_refuses_is_counted_by_its_kind() {
    let served = serve(CallLimits::default(), ConnectionCap::default());
    let mut client = HealthClient::new(served.channel().await);
    client.check(everything()).await.unwrap();
    let unknown = HealthCheckRequest {
        service: "nobody.Serves".to_owned(),
    };
    let status = client.check(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(served.refused(), ["not-found"]);
}

#[tokio::test]
async fn a_burst_of_calls_on_one_connection_is_answered() {
    const BURST: usize = 10_000;
    let served = serve(CallLimits::default(), ConnectionCap::default());
    let channel = served.channel().await;
    let calls: Vec<_> = (0..BURST)
        .map(|_| {
            let mut client = HealthClient::new(channel.clone());
            tokio::spawn(async move { client.check(everything()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// The first bytes of a message, and then nothing.
struct Stalled(Option<Bytes>);

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

async fn stalled_call(channel: &mut Channel, bytes: Vec<u8>) -> Status {
    let request = http::Request::post("http://localhost/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Stalled(Some(Bytes::from(bytes)))))
        .unwrap();
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .unwrap();
    let response = channel.call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let mut body = pin!(response.into_body());
    loop {
        let frame = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await;
        if let Some(trailers) = frame.unwrap().unwrap().trailers_ref() {
            return Status::from_header_map(trailers).unwrap();
        }
    }
}

#[tokio::test]
async fn a_message_that_stalls_is_ended_and_holds_up_nobody() {
    let limits = CallLimits {
        message_time: Duration::from_millis(300),
        ..CallLimits::default()
    };
    let served = serve(limits, ConnectionCap::default());
    let mut channel = served.channel().await;
    let mut other = HealthClient::new(channel.clone());
    // A message of 255 bytes of which three come.
    let stalled = stalled_call(&mut channel, vec![0, 0, 0, 0, 255, 1, 2, 3]);
    let (status, meanwhile) = tokio::join!(stalled, other.check(everything()));
    meanwhile.unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(served.refused(), ["too-slow"]);
}

#[tokio::test]
async fn messages_on_their_way_in_hold_a_bounded_number_of_bytes() {
    let limits = CallLimits {
        bytes: 100,
        ..CallLimits::default()
    };
    let served = serve(limits, ConnectionCap::default());
    let mut channel = served.channel().await;
    let mut message = vec![0, 0, 0, 1, 0];
    message.resize(200, 1);
    let status = stalled_call(&mut channel, message).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(served.refused(), ["over-limit"]);
    HealthClient::new(channel)
        .check(everything())
        .await
        .unwrap();
}
