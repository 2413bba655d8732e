//! What a run of the daemon's own writes, followed in a task of its own until somebody leaves it.

use countersign_shared::id::RequestId;
use countersign_shared::wire::pb::output_response::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Clerk, Gone};
use crate::cause::chain;
use crate::client::Client;
use crate::console::event::News;
use crate::entries::lines::Lines;

/// The task; it ends with this.
#[derive(Debug)]
pub(super) struct Follower(JoinHandle<()>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Clerk {
    /// Begins to follow a run; whatever was followed before no longer is.
    pub(super) fn follow(&mut self, client: &Client, id: RequestId) {
        let task = tell(client.clone(), self.news.clone(), id);
        self.follower = Some(Follower(tokio::spawn(async move {
            // A console that is gone has nobody to tell.
            drop(task.await);
        })));
    }

    /// Leaves the run that is followed.
    pub(super) fn unfollow(&mut self) {
        self.follower = None;
    }
}

/// Tells the console what the run writes, until there is nothing more.
async fn tell(mut client: Client, news: mpsc::Sender<News>, id: RequestId) -> Result<(), Gone> {
    let over = |why: String| News::OutputOver { id, why };
    let mut pieces = match client.output(&id.to_string()).await {
        Ok(pieces) => pieces,
        Err(error) => return Ok(news.send(over(chain(&error))).await?),
    };
    let (mut stdout, mut stderr) = (Lines::new(false), Lines::new(true));
    let why = loop {
        let message = match pieces.message().await {
            Ok(Some(answer)) => answer.message,
            Ok(None) => break "nothing more is written".to_owned(),
            Err(status) => break chain(&status),
        };
        let lines = match message {
            Some(Message::Stdout(bytes)) => stdout.take(&bytes),
            Some(Message::Stderr(bytes)) => stderr.take(&bytes),
            Some(Message::Missed(pieces)) => {
                news.send(News::OutputMissed { id, pieces }).await?;
                continue;
            }
            None => continue,
        };
        if !lines.is_empty() {
            news.send(News::Output { id, lines }).await?;
        }
    };
    let lines: Vec<_> = stdout.end().into_iter().chain(stderr.end()).collect();
    if !lines.is_empty() {
        news.send(News::Output { id, lines }).await?;
    }
    Ok(news.send(over(why)).await?)
}
