//! What goes into the machine and what comes out of it. Nothing here judges.

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::statement::Assurance;

use super::super::model::{Standing, Tier};
use crate::keys::Strength;

use super::{Confirm, Millis, Obstacle, Passphrase, Piece, Verdict};

/// The open request, as far as deciding depends on it.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all of them together are the request"
)]
pub struct Subject {
    /// Its full id.
    pub id: RequestId,
    /// The digest of the document that is drawn.
    pub digest: Digest,
    /// The digest of the document's display rendering.
    pub display: Digest,
    /// How careful to be.
    pub tier: Tier,
    /// Where it stands.
    pub standing: Standing,
    /// When it ends on the console's monotonic clock; `None` when that is unknown, which stops
    /// every decision.
    pub ends: Option<Millis>,
    /// False when some of it cannot be displayed.
    pub displayable: bool,
    /// True when something stands against this reviewer's approval.
    pub ineligible: bool,
    /// True when another reviewer holds a claim.
    pub claimed_by_other: bool,
    /// Who owes a review of it.
    pub debt: Debt,
    /// True when an approval must say why.
    pub reason_required: bool,
    /// How sure it must be that whoever approves it is there.
    pub needs: Assurance,
    /// True when an approval by this reviewer is self-attestation.
    pub self_attests: bool,
    /// What the sheet asks for.
    pub confirm: Confirm,
    /// The lengths of all gated parts, in bytes of their encoded text.
    pub parts: Vec<usize>,
}

impl Subject {
    /// Tells whether its use was taken and its run has not ended.
    pub const fn is_running(&self) -> bool {
        matches!(self.standing, Standing::Redeemed | Standing::Running)
    }
}

/// Whether somebody approved it by breaking the glass, and nobody else has reviewed that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debt {
    /// Nothing is owed.
    None,
    /// Another person broke the glass: this reviewer may review it.
    Anothers,
    /// This reviewer broke it, or stands behind the request.
    Own,
}

/// What one frame put on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The request whose detail is drawn, by the digest of the document that was drawn from.
    pub id: RequestId,
    /// See `id`.
    pub digest: Digest,
    /// The gated stretches that are on the screen.
    pub pieces: Vec<Piece>,
    /// The serial of the sheet that is drawn, if one is.
    pub sheet: Option<u32>,
}

/// What kind of key event it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// Pressed.
    Down,
    /// Held down. Never decides.
    Repeat,
    /// Let go. Ignored.
    Up,
}

/// A key, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character without Control or Alt.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Backspace.
    Backspace,
    /// Anything else.
    Other,
}

/// How the daemon can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Not at all.
    Down,
    /// Connected; what is on the screen may be old.
    Syncing,
    /// Connected and up to date.
    Live,
    /// About to stop.
    Draining,
}

/// Whether this console can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// No enrolled key was found.
    Missing,
    /// The key asks for its passphrase.
    Locked,
    /// The key can sign, and its passphrase can be asked for again.
    Ready,
    /// The key can sign, and has no passphrase that could be asked for: it gives this much.
    Fixed(Assurance),
}

impl Signing {
    /// Returns how much the key can give; nothing when there is none.
    pub const fn strength(self) -> Option<Strength> {
        match self {
            Self::Missing => None,
            Self::Locked | Self::Ready => Some(Strength::Passphrase),
            Self::Fixed(assurance) => Some(Strength::Fixed(assurance)),
        }
    }
}

/// Everything that can happen.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key event.
    Key(Key, Press),
    /// A bracketed paste.
    Paste(String),
    /// The terminal has the focus again.
    FocusGained,
    /// The terminal has another size.
    Resized,
    /// The console was stopped and goes on.
    Resumed,
    /// A frame reached the terminal; `None` when it shows no request's detail.
    Drawn(Option<Frame>),
    /// Time has passed.
    Tick,
    /// The detail of a request was opened.
    Opened(Box<Subject>),
    /// The detail was left.
    Closed,
    /// The daemon says how a request stands now.
    Changed {
        /// Which one.
        id: RequestId,
        /// The digest of its document.
        digest: Digest,
        /// Where it stands.
        standing: Standing,
        /// True when another reviewer holds a claim.
        claimed_by_other: bool,
        /// Who owes a review of it.
        debt: Debt,
        /// When it ends.
        ends: Option<Millis>,
    },
    /// The reviewer says that another one's claim shall not hold them up.
    Take,
    /// The connection changed.
    Wire(Wire),
    /// Two heads of the log contradict each other. There is no way back.
    Forked,
    /// The key can or cannot sign.
    Signing(Signing),
    /// The passphrase was right.
    Unlocked,
    /// The daemon answered a decision, one way or the other.
    Answered(RequestId),
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The key is not for this machine: it may look, move, or leave.
    Pass,
    /// The key was live here and changed at most the sheet.
    Taken,
    /// A deciding key was not live; nothing happened.
    Swallowed(Obstacle),
    /// A sheet was opened or closed.
    SheetChanged,
    /// The request was drawn completely for the first time.
    Shown {
        /// Which one.
        id: RequestId,
        /// The digest of its display rendering.
        display: Digest,
    },
    /// The key shall be unlocked.
    Unlock(Passphrase),
    /// Sign and send this.
    Decide(Decision),
}

/// A decision, with everything it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The full request id.
    pub id: RequestId,
    /// The digest of the document on the screen.
    pub digest: Digest,
    /// The digest of its display rendering.
    pub display: Digest,
    /// What is decided.
    pub verdict: Verdict,
    /// What the reviewer said, perhaps nothing.
    pub reason: String,
    /// True when the reviewer stands behind the request as well.
    pub self_attested: bool,
    /// True when the passphrase was typed for this decision.
    pub passphrase_typed: bool,
}
