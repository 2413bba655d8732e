//! What the machine tells about itself.

use countersign_shared::id::RequestId;

use super::machine::Safety;
use super::{BURST, Millis, Seen, Sheet, Signing, Subject, Verdict, Wire};

impl Safety {
    /// Returns the sheet that is open.
    pub const fn sheet(&self) -> Option<&Sheet> {
        self.sheet.as_ref()
    }

    /// Returns what has been drawn of the open request.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Returns the open request.
    pub const fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Returns how the daemon can be reached.
    pub const fn wire(&self) -> Wire {
        self.wire
    }

    /// Returns whether this console can sign.
    pub const fn signing(&self) -> Signing {
        self.signing
    }

    /// Tells whether two heads contradicted each other.
    pub const fn is_forked(&self) -> bool {
        self.forked
    }

    /// Tells whether the console was started to look only.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Tells whether a decision on this request is on its way.
    pub fn is_in_flight(&self, id: &RequestId) -> bool {
        self.in_flight.contains(id)
    }

    /// Returns the next time at which a [`super::Input::Tick`] changes something: the end of a held key's
    /// wait, the moment of arming, or the end of the request.
    pub fn wants_tick(&self, now: Millis) -> Option<Millis> {
        let held = self.held.map(|held| held.at.plus(BURST));
        let armed = self.armed_at(Verdict::Deny).into_iter();
        let ends = self.subject.as_ref().and_then(|subject| subject.ends);
        armed
            .chain(self.armed_at(Verdict::Approve))
            .chain(self.keyboard.quiet_at())
            .chain(ends)
            .filter(|at| *at > now)
            .chain(held)
            .min()
    }
}
