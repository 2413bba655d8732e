//! Rules that wait for people: told as the daemon tells them, and compared when somebody looks.

use std::time::{Duration, Instant};

use countersign_shared::digest::{Digest, DigestError};
use countersign_shared::text::Untrusted;
use countersign_shared::wire::pb;

use super::{Clerk, Gone};
use crate::cause::chain;
use crate::client::Client;
use crate::console::event::News;
use crate::console::page::diff;
use crate::console::state::ruling::{Change, Standing};
use crate::rules::{self, RulesError, Whole};

/// How long comparing files may take before it is done with less effort.
const DIFF_TIME: Duration = Duration::from_millis(500);

impl Clerk {
    /// Tells which rules wait for people.
    pub(super) async fn tell_rules(&mut self, said: pb::RulesStanding) -> Result<(), Gone> {
        match standing(said) {
            Ok(standing) => Ok(self.news.send(News::Rules(Box::new(standing))).await?),
            Err(error) => self.notice(&error).await,
        }
    }

    /// Compares the rules that wait with those before, and tells what the change does.
    pub(super) async fn compare_rules(&mut self, client: &mut Client) -> Result<(), Gone> {
        let news = match self.change(client).await {
            Ok(Some(change)) => News::RulesChange(Box::new(change)),
            Ok(None) => News::NoRulesChange {
                why: "no rules wait for anybody".to_owned(),
            },
            Err(error) => {
                if error.is_alarm() {
                    self.alarm(&error).await?;
                }
                let why = chain(&error);
                News::NoRulesChange { why }
            }
        };
        Ok(self.news.send(news).await?)
    }

    /// Reads what waits: an adoption comes first, since it is in force.
    async fn change(&mut self, client: &mut Client) -> Result<Option<Change>, RulesError> {
        let standing = rules::Standing::load(client, &mut self.heads).await?;
        let (waiting, is_adopted) = match (&standing.adopted, &standing.proposed) {
            (Some(adopted), _) => (adopted.clone(), true),
            (None, Some(proposed)) => (proposed.clone(), false),
            (None, None) => return Ok(None),
        };
        let after = Whole::read(client, waiting.rules).await?;
        let before = match Whole::read(client, waiting.previous).await {
            Ok(before) => Some(before),
            // Rules that somebody had to adopt over may be lost.
            Err(error) if error.is_missing() && is_adopted => None,
            Err(error) => return Err(error),
        };
        let previous = before.as_ref().map(|before| before.digest);
        let changes = after.changes_since(before.as_ref());
        let deadline = deadline();
        let page = tokio::task::spawn_blocking(move || diff::of_changes(changes, Some(deadline)))
            .await
            .map_err(|_| RulesError::Form)?;
        let gained = if is_adopted {
            Vec::new()
        } else {
            standing.answer.gained
        };
        Ok(Some(Change {
            previous,
            rules: waiting.rules,
            is_adopted,
            gained: gained.into_iter().map(Untrusted::new).collect(),
            page,
        }))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the diff library takes its deadline as an instant"
)]
fn deadline() -> Instant {
    Instant::now() + DIFF_TIME
}

fn standing(said: pb::RulesStanding) -> Result<Standing, DigestError> {
    let digest = |text: &str| -> Result<Option<Digest>, DigestError> {
        (!text.is_empty()).then(|| text.parse()).transpose()
    };
    Ok(Standing {
        proposed: digest(&said.proposed)?,
        signed_by: said.signed_by.into_iter().map(Untrusted::new).collect(),
        missing: Untrusted::new(said.missing),
        adopted: digest(&said.adopted)?,
        reason: Untrusted::new(said.adopted_reason),
    })
}
