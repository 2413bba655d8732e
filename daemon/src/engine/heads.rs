//! Heads for the system's journal: one line every so often, so that a machine that collects journals
//! holds heads of the log without taking part in anything.

use super::Engine;

/// After how many entries a head is told.
const ENTRIES: u64 = 1000;

/// After how long a head that is new is told, in milliseconds of boot time.
const AGE_MS: u64 = 60_000;

/// The last head that was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    size: u64,
    at_ms: u64,
}

impl Told {
    /// Tells whether a head of this size is to be told now.
    fn is_due(&self, size: u64, now_ms: u64) -> bool {
        size > self.size
            && (self.size == 0
                || size.saturating_sub(self.size) >= ENTRIES
                || now_ms.saturating_sub(self.at_ms) >= AGE_MS)
    }
}

impl Engine {
    /// Tells the journal the head, if it is time, or the last moment for it.
    pub(super) fn tell_head(&mut self, is_last: bool) {
        let head = self.tail.frontier().head();
        let now_ms = self.clock.now().mono_ms;
        let is_new = head.size > self.told.size;
        if !(self.told.is_due(head.size, now_ms) || (is_last && is_new)) {
            return;
        }
        self.told = Told {
            size: head.size,
            at_ms: now_ms,
        };
        tracing::info!(
            target: "countersign::head",
            origin = self.tail.origin(),
            size = head.size,
            root = %head.root,
            "head"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_told_at_first_after_many_entries_and_after_a_while() {
        let none = Told::default();
        assert!(none.is_due(2, 5));
        assert!(!none.is_due(0, 5), "there is no head yet");
        let told = Told {
            size: 10,
            at_ms: 1000,
        };
        assert!(!told.is_due(10, 1_000_000), "nothing is new");
        assert!(!told.is_due(11, 60_999));
        assert!(told.is_due(11, 61_000));
        assert!(!told.is_due(1009, 1001));
        assert!(told.is_due(1010, 1001));
    }
}
