//! A decision: loaded anew, compared with what was on the screen, signed, handed in, and seen to be
//! in the log. Nothing here is repeated by itself.

use countersign_client::heads::Heads;
use countersign_client::refusal::Failure;
use countersign_shared::statement::{ActKind, Assurance, Statement};
use countersign_shared::time::Timestamp;

use super::Clerk;
use crate::cause::chain;
use crate::client::{Client, ClientError, Signed};
use crate::console::event::News;
use crate::console::model::{self, ModelError, Standing};
use crate::console::safety::{Decision, Verdict};
use crate::review::{Review, ReviewError, caught_up};
use crate::signing::{self, Doing, Pen, SigningError, Word};

impl Clerk {
    /// Loads the request anew, makes sure it is the one on the screen, signs, hands in, and checks
    /// that the log holds it.
    pub(super) async fn decide(
        &mut self,
        client: &mut Client,
        decision: &Decision,
    ) -> Result<(Standing, String), Undecided> {
        if self.is_forked {
            let why = "the log contradicts itself; nothing is decided here any more";
            return Err(Undecided::Refused(why.to_owned()));
        }
        let loaded = Review::load(client, &mut self.heads, &decision.id.to_string()).await;
        if let Err(error) = &loaded
            && error.is_alarm()
        {
            self.is_forked = true;
            drop(self.news.send(News::Forked { what: chain(error) }).await);
        }
        let review = loaded?;
        // Only an approval says whether its reviewer stands behind the request as well.
        let is_another = decision.verdict == Verdict::Approve
            && review.answer.self_attests != decision.self_attested;
        if review.digest() != decision.digest
            || review.rendering.digest() != decision.display
            || is_another
        {
            return Err(Undecided::Refused("it changed while you looked".to_owned()));
        }
        let pen = Pen::fetch(client).await?;
        let verdict = match decision.verdict {
            Verdict::Approve => countersign_shared::statement::Verdict::Approve,
            Verdict::Deny => countersign_shared::statement::Verdict::Deny,
            Verdict::Close => {
                return self
                    .act(client, pen, &review, decision, Act::CloseDebt)
                    .await;
            }
            Verdict::Kill => {
                self.unfollow();
                return self.act(client, pen, &review, decision, Act::Kill).await;
            }
        };
        let word = Word {
            verdict,
            reason: decision.reason.clone(),
        };
        let statement = self
            .sign(decision.passphrase_typed, |assurance, heads, now| {
                signing::decision(&pen, assurance, &review, heads, word, now)
            })
            .await?;
        self.pen = Some(pen);
        let known = caught_up::<ReviewError>(client, &mut self.heads).await?;
        let answer = client.decide(decision.id, statement.clone(), known).await?;
        let standing = model::standing(answer.state)?;
        let missing = answer.missing.clone();
        let kept = signing::keep(
            &mut self.heads,
            &self.state_dir,
            (&review, &verdict),
            &statement,
            answer.recorded,
        );
        // The decision stands whatever became of its copy; only a log without it is an alarm.
        match kept {
            Ok(_) => {}
            Err(error) if error.is_alarm() => {
                self.is_forked = true;
                drop(
                    self.news
                        .send(News::Forked {
                            what: chain(&error),
                        })
                        .await,
                );
            }
            Err(error) => {
                drop(
                    self.news
                        .send(News::Notice {
                            text: chain(&error),
                        })
                        .await,
                );
            }
        }
        Ok((standing, missing))
    }

    /// Closes the review that broken glass owes, or asks for the end of a run.
    async fn act(
        &mut self,
        client: &mut Client,
        pen: Pen,
        review: &Review,
        decision: &Decision,
        act: Act,
    ) -> Result<(Standing, String), Undecided> {
        let doing = Doing {
            kind: match act {
                Act::CloseDebt => ActKind::CloseDebt,
                Act::Kill => ActKind::Kill,
            },
            outcome: None,
            reason: decision.reason.clone(),
        };
        let statement = self
            .sign(decision.passphrase_typed, |assurance, heads, now| {
                signing::act(&pen, assurance, review, heads, doing, now)
            })
            .await?;
        self.pen = Some(pen);
        let standing = match act {
            Act::CloseDebt => {
                client.close_debt(decision.id, statement).await?;
                review.answer.summary.as_ref().map_or(0, |it| it.state)
            }
            Act::Kill => client.kill(decision.id, statement).await?,
        };
        Ok((model::standing(standing)?, String::new()))
    }

    /// Signs on a thread of its own: a security key may wait for its owner's touch.
    async fn sign(
        &mut self,
        passphrase_typed: bool,
        write: impl FnOnce(Assurance, &Heads, Timestamp) -> Result<Statement, SigningError>,
    ) -> Result<Signed, Undecided> {
        let missing = || Undecided::Refused("there is no key to sign with".to_owned());
        let mut signer = self.signer.take().ok_or_else(missing)?;
        if !passphrase_typed {
            signer.keep();
        }
        let now = crate::cli::wall_time();
        let statement = match write(signer.assurance(), &self.heads, now) {
            Ok(statement) => statement,
            Err(error) => {
                self.signer = Some(signer);
                return Err(error.into());
            }
        };
        let (signer, done) = tokio::task::spawn_blocking(move || {
            let done = signing::sign(&mut signer, &statement);
            (signer, done)
        })
        .await
        .map_err(|_| missing())?;
        self.signer = Some(signer);
        Ok(done?)
    }
}

/// What is signed beside decisions.
#[derive(Debug, Clone, Copy)]
enum Act {
    CloseDebt,
    Kill,
}

/// Why a decision was not seen to be recorded.
pub(super) enum Undecided {
    /// It was not.
    Refused(String),
    /// The connection was lost on the way.
    Unknown,
}

impl From<ClientError> for Undecided {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Failure(Failure::Lost { .. } | Failure::Unexpected { .. })
            | ClientError::Answer(_) => Self::Unknown,
            ClientError::Connect(_) | ClientError::Failure(Failure::Refused(_)) => {
                Self::Refused(chain(&error))
            }
        }
    }
}

impl From<ReviewError> for Undecided {
    fn from(error: ReviewError) -> Self {
        // Nothing was sent yet, whatever went wrong.
        Self::Refused(chain(&error))
    }
}

impl From<SigningError> for Undecided {
    fn from(error: SigningError) -> Self {
        Self::Refused(chain(&error))
    }
}

impl From<ModelError> for Undecided {
    fn from(error: ModelError) -> Self {
        Self::Refused(chain(&error))
    }
}
