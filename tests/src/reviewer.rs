//! A reviewer in this process: loads a request, checks it against the log, signs, hands in.
//!
//! It is the console's own code without the screen, so heads and proofs are checked as a console
//! checks them.

use countersign::client::{Client, Signed};
use countersign::keys::Signer;
use countersign::review::Review;
use countersign::signing::{self, Pen, Word};
use countersign_client::heads::Heads;
use countersign_client::private::Lasting;
use countersign_shared::statement::Verdict;
use countersign_shared::time::Timestamp;

use crate::installation::{Installation, Outcome};

/// A reviewer with a key, and the heads seen so far.
#[derive(Debug)]
pub struct Reviewer {
    signer: Signer,
    /// The heads seen so far.
    pub heads: Heads,
    pen: Option<Pen>,
}

impl Reviewer {
    /// Makes a reviewer of an installation.
    ///
    /// # Errors
    ///
    /// When the log's key or the kept heads cannot be read.
    pub fn new(installation: &Installation, signer: Signer) -> Outcome<Self> {
        let key = installation.place()?.log_key()?;
        let heads = Heads::open(
            &installation.home.root().join("seen"),
            key,
            Lasting::PowerCut,
        )?;
        Ok(Self {
            signer,
            heads,
            pen: None,
        })
    }

    /// Loads and checks a request, and signs a decision about it.
    ///
    /// # Errors
    ///
    /// When the daemon does not give it, or it does not stand the checks.
    pub async fn sign(
        &mut self,
        client: &mut Client,
        id: &str,
        verdict: Verdict,
    ) -> Outcome<(Review, Signed)> {
        if self.pen.is_none() {
            self.pen = Some(Pen::fetch(client).await?);
        }
        let pen = self.pen.as_ref().ok_or("nobody signs")?;
        let review = Review::load(client, &mut self.heads, id).await?;
        let word = Word {
            verdict,
            reason: String::new(),
        };
        let assurance = self.signer.assurance();
        let now = wall_time();
        let decision = signing::decision(pen, assurance, &review, &self.heads, word, now)?;
        let signed = signing::sign(&mut self.signer, &decision)?;
        Ok((review, signed))
    }
}

/// Returns the wall time.
pub fn wall_time() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Timestamp::from_millis(
        time.tv_sec
            .saturating_mul(1000)
            .saturating_add(time.tv_nsec / 1_000_000),
    )
}
