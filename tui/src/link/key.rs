//! The reviewer's key: chosen once, unlocked on a thread of its own.

use super::{Clerk, Gone, Hand};
use crate::cause::chain;
use crate::client::Client;
use crate::console::event::News;
use crate::console::safety::{Passphrase, Signing};
use crate::keys::Strength;
use crate::signing::{Pen, SigningError};

impl Clerk {
    /// Learns who the reviewer is, and chooses the key, once.
    pub(super) async fn take_key(&mut self, client: &mut Client) -> Result<(), Gone> {
        let pen = match Pen::fetch(client).await {
            Ok(pen) => pen,
            Err(error) => {
                self.notice(&error).await?;
                return Ok(self.news.send(News::Signing(Signing::Missing)).await?);
            }
        };
        if self.signer.is_none() {
            match std::mem::replace(&mut self.hand, Hand::Find(None)) {
                Hand::Ready(signer) => self.signer = Some(*signer),
                Hand::Find(named) => {
                    match pen.choose(named.as_deref(), &self.place) {
                        Ok(signer) => self.signer = Some(signer),
                        Err(error) => self.notice(&SigningError::Key(error)).await?,
                    }
                    self.hand = Hand::Find(named);
                }
            }
        }
        self.pen = Some(pen);
        let signing = self.signing();
        Ok(self.news.send(News::Signing(signing)).await?)
    }

    pub(super) fn signing(&self) -> Signing {
        match &self.signer {
            None => Signing::Missing,
            Some(signer) if signer.is_locked() => Signing::Locked,
            Some(signer) => match signer.strength() {
                Strength::Passphrase => Signing::Ready,
                Strength::Fixed(assurance) => Signing::Fixed(assurance),
            },
        }
    }

    /// Unlocks the key on a thread of its own: it takes a third of a second.
    pub(super) async fn unlock(&mut self, passphrase: Passphrase) -> Result<(), Gone> {
        let Some(mut signer) = self.signer.take() else {
            let why = "there is no key to unlock".to_owned();
            return Ok(self.news.send(News::NotUnlocked { why }).await?);
        };
        let unlocked = tokio::task::spawn_blocking(move || {
            let done = signer.unlock(&zeroize::Zeroizing::new(passphrase.reveal().to_owned()));
            (signer, done)
        })
        .await;
        let news = match unlocked {
            Ok((signer, done)) => {
                self.signer = Some(signer);
                match done {
                    Ok(()) => News::Unlocked,
                    Err(error) => News::NotUnlocked { why: chain(&error) },
                }
            }
            Err(_) => News::NotUnlocked {
                why: "the key could not be unlocked".to_owned(),
            },
        };
        Ok(self.news.send(news).await?)
    }
}
