//! How long passes between two heads for one witness: the interval while it answers, longer and
//! longer while it does not, and never quite the same, so that many daemons that lost one witness
//! do not come back to it at once.

use std::time::Duration;

/// The longest pause, unless the interval itself is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// How often a pause is doubled at most.
const DOUBLINGS: u32 = 16;

#[derive(Debug)]
pub(super) struct Pause {
    interval: Duration,
    failures: u32,
}

impl Pause {
    pub(super) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            failures: 0,
        }
    }

    /// The witness answered.
    pub(super) const fn begin_anew(&mut self) {
        self.failures = 0;
    }

    /// The witness failed once more.
    pub(super) fn lengthen(&mut self) {
        self.failures = self.failures.saturating_add(1).min(DOUBLINGS);
    }

    /// Returns how long to wait now.
    pub(super) fn next(&self) -> Duration {
        let mut chance = [0; 2];
        // Without random bytes all wait for as long as the longest of them would.
        if getrandom::fill(&mut chance).is_err() {
            chance = [u8::MAX; 2];
        }
        self.with(u16::from_be_bytes(chance))
    }

    /// Between a half and the whole of the pause, by chance; the whole while the witness answers.
    fn with(&self, chance: u16) -> Duration {
        if self.failures == 0 {
            return self.interval;
        }
        let longest = LONGEST.max(self.interval);
        let whole = self
            .interval
            .saturating_mul(1 << self.failures)
            .min(longest);
        let half = whole / 2;
        half.saturating_add(half.saturating_mul(u32::from(chance)) / u32::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_that_fails_is_asked_less_and_less_and_one_that_is_back_as_before() {
        let mut pause = Pause::new(Duration::from_secs(5));
        assert_eq!(pause.next(), Duration::from_secs(5));
        let mut before = Duration::ZERO;
        for _ in 0..40 {
            pause.lengthen();
            let (least, most) = (pause.with(0), pause.with(u16::MAX));
            assert_eq!(least, most / 2);
            assert!(most >= before && most <= LONGEST, "{most:?}");
            assert!((least..=most).contains(&pause.next()));
            before = most;
        }
        assert_eq!(before, LONGEST);
        pause.begin_anew();
        assert_eq!(pause.next(), Duration::from_secs(5));
        let mut slow = Pause::new(Duration::from_secs(3600));
        slow.lengthen();
        assert_eq!(slow.with(u16::MAX), Duration::from_secs(3600));
    }
}
