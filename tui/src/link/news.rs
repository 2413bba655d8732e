//! What the daemon says without being asked, as news for the console. Every head is verified to
//! continue the kept one before it is told.

use countersign_client::shown::{self, ShownHead};
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::text::Untrusted;
use countersign_shared::wire::pb;

use super::{Clerk, Gone};
use crate::client::Client;
use crate::console::event::News;
use crate::console::model::Row;

/// Tells whether what people owe may be different after this change.
pub(super) fn may_be_owed(change: &pb::watch_response::Change) -> bool {
    use pb::watch_response::Change;

    match change {
        Change::SnapshotComplete(_) => true,
        Change::Request(summary) => {
            let is_unknown_or_was = matches!(
                summary.state(),
                pb::State::Indeterminate | pb::State::Settled
            );
            // A debt that is closed is told as well: the glass stays broken.
            summary.break_glass || !summary.owed_by.is_empty() || is_unknown_or_was
        }
        Change::Head(_) | Change::Rules(_) | Change::Draining(_) => false,
    }
}

impl Clerk {
    /// Asks what people owe. A request that cannot be read is left out and said.
    pub(super) async fn tell_owed(&mut self, client: &mut Client) -> Result<(), Gone> {
        let owed = match client.owed().await {
            Ok(owed) => owed,
            Err(error) => return self.notice(&error).await,
        };
        let (debts, unsettled) = (
            self.readable(owed.debts).await?,
            self.readable(owed.unsettled).await?,
        );
        Ok(self.news.send(News::Owed { debts, unsettled }).await?)
    }

    async fn readable(&self, summaries: Vec<pb::Summary>) -> Result<Vec<Row>, Gone> {
        let mut rows = Vec::new();
        for summary in summaries {
            match Row::try_from(summary) {
                Ok(row) => rows.push(row),
                Err(error) => self.notice(&error).await?,
            }
        }
        Ok(rows)
    }

    /// Tells how far the log goes. Where another call has got elsewhere meanwhile, the stream's heads do not
    /// continue the kept one any more, and the newest is asked for from there.
    async fn tell_head(&mut self, client: &mut Client, head: pb::Head) -> Result<(), Gone> {
        let mut head = Some(head);
        for is_last in [false, true] {
            let accepted = head.take().ok_or(shown::AnswerError { field: "head" });
            let accepted = match accepted.and_then(ShownHead::try_from) {
                Ok(head) => self.heads.accept(&head),
                Err(error) => return self.notice(&error).await,
            };
            match accepted {
                Ok(()) => {
                    let size = self.heads.last().map_or(0, Checkpoint::size);
                    return Ok(self.news.send(News::HeadAdvanced { size }).await?);
                }
                Err(error) if error.is_ours() => return self.notice(&error).await,
                Err(error) if !error.is_behind() || error.went_back_behind(self.known) => {
                    return self.alarm(&error).await;
                }
                // It comes again with the next change.
                Err(_) if is_last => {}
                Err(_) => {
                    let size = self.heads.last().map_or(0, Checkpoint::size);
                    match client.head(size).await {
                        Ok(answer) => head = answer.head,
                        Err(error) => return self.notice(&error).await,
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) async fn tell(
        &mut self,
        client: &mut Client,
        change: pb::watch_response::Change,
    ) -> Result<(), Gone> {
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
                if let Some(id) = self.open.take() {
                    self.news.send(News::Open(id)).await?;
                }
            }
            Change::Head(head) => self.tell_head(client, head).await?,
            Change::Rules(said) => self.tell_rules(said).await?,
            Change::Draining(_) => self.news.send(News::Draining).await?,
        }
        Ok(())
    }
}
