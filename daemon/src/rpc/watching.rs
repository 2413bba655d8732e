//! What a console follows: the open requests, then each change, and heads as the log grows.

use countersign_shared::wire::pb;
use tokio::sync::{broadcast, mpsc};
use tonic::{Code, Status};

use super::{Desk, encode, status};
use crate::engine::{Change, Query, Snapshot};
use crate::identity::Peer;

/// Sends the open requests and then each change, until the console goes away.
pub(super) async fn watch(
    desk: &Desk,
    peer: &Peer,
    snapshot: Snapshot,
    mut known: u64,
    to: &mpsc::Sender<Result<pb::WatchResponse, Status>>,
) -> Result<(), Status> {
    use pb::watch_response::Change as Sent;

    let Snapshot { open, mut changes } = snapshot;
    for view in open {
        send(to, Sent::Request(encode::summary(&view))).await?;
    }
    let force = desk.engine.force();
    send(to, Sent::Rules(super::rules::standing(&force))).await?;
    let member = force.rules.member_of_uid(peer.uid());
    let complete = pb::SnapshotComplete {
        reviewer: member.map_or_else(String::new, |member| member.name.clone()),
        groups: member.map_or_else(Vec::new, |member| member.groups.iter().cloned().collect()),
        now: desk.clock.now().wall.to_string(),
        origin: desk.origin.clone(),
    };
    send(to, Sent::SnapshotComplete(complete)).await?;
    // Even one that says nothing new: a log that went back behind `known` has no other way to show it.
    let head = desk.ask(|reply| Query::Head(known, reply)).await?;
    known = head.size;
    send(to, Sent::Head(encode::head(&head))).await?;
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = to.closed() => return Ok(()),
        };
        match change {
            Ok(Change::Request(view)) => send(to, Sent::Request(encode::summary(&view))).await?,
            Ok(Change::Head) => known = send_head(desk, to, known).await?,
            Ok(Change::Rules) => {
                let standing = super::rules::standing(&desk.engine.force());
                send(to, Sent::Rules(standing)).await?;
            }
            Ok(Change::Draining) => {
                send(to, Sent::Draining(pb::Draining {})).await?;
                return Ok(());
            }
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                let message = "the console fell behind; it starts anew";
                return Err(status::status(Code::Aborted, "fell-behind", message, []));
            }
        }
    }
}

async fn send_head(
    desk: &Desk,
    to: &mpsc::Sender<Result<pb::WatchResponse, Status>>,
    known: u64,
) -> Result<u64, Status> {
    let head = desk.ask(|reply| Query::Head(known, reply)).await?;
    if head.size > known {
        send(to, pb::watch_response::Change::Head(encode::head(&head))).await?;
    }
    Ok(head.size)
}

async fn send(
    to: &mpsc::Sender<Result<pb::WatchResponse, Status>>,
    change: pb::watch_response::Change,
) -> Result<(), Status> {
    to.send(Ok(pb::WatchResponse {
        change: Some(change),
    }))
    .await
    .map_err(|_| Status::cancelled("the console went away"))
}
