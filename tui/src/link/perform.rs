//! What the console asks for, done over the connection; without one, everything is answered "no".

use tokio::sync::mpsc;

use super::decide::Undecided;
use super::{Clerk, Flow, Gone};
use crate::cause::chain;
use crate::client::Client;
use crate::console::event::{News, Request};
use crate::console::model::Detail;
use crate::review::Review;

impl Clerk {
    /// Answers what was asked for while there was no connection.
    pub(super) async fn refuse_waiting(&mut self, asked: &mut mpsc::Receiver<Request>) {
        while let Ok(request) = asked.try_recv() {
            let why = "the daemon is not connected".to_owned();
            if let Some(news) = request.refused(why) {
                drop(self.news.send(news).await);
            }
        }
    }

    pub(super) async fn perform(
        &mut self,
        client: &mut Client,
        request: Request,
    ) -> Result<Flow, Gone> {
        match request {
            Request::Load(id) => {
                match Review::load(client, &mut self.heads, &id.to_string()).await {
                    Ok(review) => match Detail::try_from(review.answer) {
                        Ok(detail) => self.news.send(News::Loaded(Box::new(detail))).await?,
                        Err(error) => {
                            let why = chain(&error);
                            self.news.send(News::NotLoaded { id, why }).await?;
                        }
                    },
                    Err(error) => {
                        if error.is_alarm() {
                            self.alarm(&error).await?;
                        }
                        let why = chain(&error);
                        self.news.send(News::NotLoaded { id, why }).await?;
                    }
                }
            }
            Request::Shown { id, display } => {
                if let Err(error) = client.open(id, display).await {
                    self.notice(&error).await?;
                }
            }
            Request::Claim(id) => {
                if let Err(error) = client.claim(id).await {
                    self.notice(&error).await?;
                }
            }
            Request::Release(id) => {
                if let Err(error) = client.release(id).await {
                    self.notice(&error).await?;
                }
            }
            Request::CompareRules => self.compare_rules(client).await?,
            Request::ReadLog(wanted) => self.read_log(client, wanted).await?,
            Request::ReadEntry { seq, leaf } => self.read_entry(client, seq, leaf).await?,
            Request::ProveEntry { seq, leaf } => self.prove_entry(client, seq, leaf).await?,
            Request::CountUses(question) => self.count_uses(client, question).await?,
            Request::ReadRequests(requests) => self.read_requests(client, requests).await?,
            Request::Follow(id) => self.follow(client, id),
            Request::Unfollow => self.unfollow(),
            Request::Unlock(passphrase) => self.unlock(passphrase).await?,
            Request::Decide(decision) => {
                let id = decision.id;
                let news = match self.decide(client, &decision).await {
                    Ok((standing, missing)) => News::Decided {
                        id,
                        standing,
                        missing,
                    },
                    Err(Undecided::Refused(why)) => News::NotDecided { id, why },
                    // Nobody knows whether it was recorded: the console says so, and the next
                    // snapshot tells.
                    Err(Undecided::Unknown) => return Ok(Flow::Reconnect),
                };
                self.news.send(news).await?;
            }
        }
        Ok(Flow::GoOn)
    }
}
