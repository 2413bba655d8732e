//! What a run of the daemon's own writes, for reviewers who watch. Without the secrets, as the agent gets
//! it; a slow one misses some of it and is told how much, and slows nobody else.

use countersign_shared::id::RequestId;
use countersign_shared::wire::pb;
use pb::output_response::Message;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{Desk, status};
use crate::broker::Stream;

/// How many pieces wait for the watcher's connection.
const WAITING: usize = 4;

/// The stream of what a watcher is told.
pub(super) type Told = ReceiverStream<Result<pb::OutputResponse, Status>>;

/// Follows a run until it ends.
pub(super) fn follow(desk: &Desk, id: RequestId) -> Result<Told, Status> {
    let Some(mut pieces) = desk.runs().follow(id) else {
        let message = "the daemon does not run it now; only what it runs itself can be watched";
        return Err(status::status(
            Code::FailedPrecondition,
            "not-running-here",
            message,
            [],
        ));
    };
    let (to, told) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            let message = match pieces.recv().await {
                Ok(piece) => match piece.stream {
                    Stream::Output => Message::Stdout(piece.bytes.to_vec()),
                    Stream::Errors => Message::Stderr(piece.bytes.to_vec()),
                },
                Err(RecvError::Lagged(missed)) => Message::Missed(missed),
                Err(RecvError::Closed) => return,
            };
            let message = Some(message);
            if to.send(Ok(pb::OutputResponse { message })).await.is_err() {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(told))
}
