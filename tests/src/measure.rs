//! Percentiles, and the line that puts a figure beside its floor.

use std::time::{Duration, Instant};

/// Durations that were measured.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Returns how many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sample that `percent` of all do not exceed; nothing of nothing.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = sorted.len().saturating_mul(percent).div_ceil(100);
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

/// Reads the clock that durations are measured with.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the measurements"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Prints a figure.
#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Prints samples beside those of their floor.
pub fn beside(name: &str, samples: &Samples, floor_name: &str, floor: &Samples) {
    for (name, samples) in [(name, samples), (floor_name, floor)] {
        say(&format!(
            "{name:44} p50 {:>9.3} ms   p99 {:>9.3} ms   n {}",
            millis(samples.percentile(50)),
            millis(samples.percentile(99)),
            samples.len()
        ));
    }
    let ratio = |percent| {
        samples.percentile(percent).as_secs_f64()
            / floor.percentile(percent).as_secs_f64().max(f64::EPSILON)
    };
    say(&format!(
        "{:44} p50 {:>9.2} x    p99 {:>9.2} x",
        "ratio",
        ratio(50),
        ratio(99)
    ));
}

/// Says whether a bar was held; returns whether it was.
pub fn bar(what: &str, found: f64, allowed: f64, unit: &str) -> bool {
    let held = found <= allowed;
    let word = if held { "held" } else { "MISSED" };
    say(&format!(
        "bar {word}: {what} {found:.3} {unit}, allowed {allowed} {unit}"
    ));
    held
}

/// Returns a duration in milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.percentile(50), Duration::ZERO);
        for millis in (1..=200).rev() {
            samples.push(Duration::from_millis(millis));
        }
        assert_eq!(samples.percentile(50), Duration::from_millis(100));
        assert_eq!(samples.percentile(99), Duration::from_millis(198));
        assert_eq!(samples.percentile(100), Duration::from_millis(200));
    }
}
