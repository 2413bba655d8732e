//! When a key decides, and when it does not.
//!
//! A pure machine: everything that could matter is an [`Input`] with the time it happened, and the
//! only way to a decision is [`Act::Decide`]. It does not draw, sign or send. The caller passes
//! *every* key, paste, resize, focus change, frame and change of the open request through
//! [`Safety::apply`], and asks [`Safety::obstacle`] for the word to show.
//!
//! The way to a decision, each step of which can only be left out by not deciding:
//!
//! 1. the request is open, the connection live, the standing and the deadline allow it;
//! 2. a frame of exactly this request and digest is on the screen, and (to approve) every gated
//!    part was drawn once ([`seen`]);
//! 3. that was at least [`ARMING`] ago, and so were the last focus, resize, resume and reconnect;
//! 4. the deciding key was pressed, not repeated, pasted or released, after [`QUIET`] without any
//!    key, outside the [`DEAD`] time of a burst, and nothing followed it within [`BURST`];
//! 5. the tier's sheet was drawn, armed in the same way, and holds what it asks for ([`sheet`]).
//!
//! To close the review that broken glass owes, the standing and the deadline of step 1 do not matter,
//! since the action may be long over; that the review is owed by somebody else does.
//!
//! To end a run, the standing of step 1 is that it runs, and its deadline does not matter.
//!
//! To deny or to end a run, step 2 asks for the frame only: a "no" must not cost more reading than a "yes", and
//! what cannot be displayed at all can still be denied.
//!
//! Opening a sheet is held to the same rules as deciding, so that what only *leads* to a decision
//! cannot be pasted either. A key that is not live is swallowed and says why; it is never queued.

mod facts;
mod input;
mod judge;
mod machine;
pub mod seen;
pub mod sheet;
mod timing;

pub use input::{Act, Debt, Decision, Frame, Input, Key, Press, Signing, Subject, Wire};
pub use judge::Obstacle;
pub use machine::Safety;
pub use seen::{Piece, Seen};
pub use sheet::{Confirm, Field, Passphrase, Sheet, SheetKind};
pub use timing::{ARMING, BURST, DEAD, Millis, QUIET, STALE};

/// The key that approves, and the one that denies. Upper case decides.
pub const APPROVE: char = 'A';
/// The key that opens the deny sheet.
pub const DENY: char = 'D';

/// The key that opens the sheet of a review that broken glass owes.
pub const CLOSE: char = 'C';

/// The key that opens the sheet of the end of a run.
pub const KILL: char = 'K';

/// Yes or no, "I have reviewed it", or "end it".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The action may run, once.
    Approve,
    /// The action may not run.
    Deny,
    /// What somebody approved by breaking the glass has been reviewed.
    Close,
    /// The run of the action shall end.
    Kill,
}

#[cfg(test)]
mod tests;
