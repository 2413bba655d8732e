//! What became of a run, as the bytes that are reported: canonical JSON.

use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::json::{self, JsonError};
use serde_json::json;

/// One report about a redeemed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The program runs.
    Started {
        /// Its process.
        pid: u32,
    },
    /// The program has ended.
    Finished(Finished),
    /// Nothing ran.
    NotRun {
        /// Why not, in words of ours.
        because: String,
    },
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Succeeded, failed or killed.
    pub outcome: &'static str,
    /// The exit code, when it ended by itself.
    pub exit: Option<i32>,
    /// The signal, when one ended it.
    pub signal: Option<i32>,
    /// The digest of all it wrote to stdout, when all of it passed through us.
    pub stdout: Option<Digest>,
    /// The same of stderr.
    pub stderr: Option<Digest>,
    /// How long it ran, when somebody knows.
    pub duration: Option<Duration>,
}

impl Finished {
    /// Returns the word for an end with this exit code or signal.
    pub const fn word(exit: Option<i32>) -> &'static str {
        match exit {
            Some(0) => "succeeded",
            Some(_) => "failed",
            None => "killed",
        }
    }
}

impl Report {
    /// Writes the report.
    ///
    /// # Errors
    /// Only when the writer of JSON is broken.
    pub fn bytes(&self) -> Result<Vec<u8>, JsonError> {
        json::canonical(&match self {
            Self::Started { pid } => json!({ "outcome": "started", "pid": pid }),
            Self::Finished(end) => json!({
                "outcome": end.outcome,
                "exit": end.exit,
                "signal": end.signal,
                "stdout": end.stdout,
                "stderr": end.stderr,
                "duration_ms": end.duration.map(millis),
            }),
            Self::NotRun { because } => json!({ "outcome": "not-run", "because": because }),
        })
    }
}

/// Whole milliseconds, within what every reader of JSON agrees on.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis())
        .unwrap_or(json::MAX_INTEGER)
        .min(json::MAX_INTEGER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(report: &Report) -> String {
        String::from_utf8(report.bytes().unwrap()).unwrap()
    }

    #[test]
    fn reports_are_these_bytes() {
        assert_eq!(
            text(&Report::Started { pid: 7 }),
            r#"{"outcome":"started","pid":7}"#
        );
        assert_eq!(
            text(&Report::NotRun {
                because: "the program changed".to_owned()
            }),
            r#"{"because":"the program changed","outcome":"not-run"}"#
        );
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let finished = Report::Finished(Finished {
            outcome: Finished::word(Some(3)),
            exit: Some(3),
            signal: None,
            stdout: Some(Digest::of(b"abc")),
            stderr: None,
            duration: Some(Duration::from_millis(1_500)),
        });
        let start = r#"{"duration_ms":1500,"exit":3,"outcome":"failed","signal":null,"#;
        let rest = r#""stderr":null,"stdout":"sha256:"#;
        assert_eq!(text(&finished), format!("{start}{rest}{hex}\"}}"));
        let unknown = Report::Finished(Finished {
            outcome: "succeeded",
            exit: None,
            signal: None,
            stdout: None,
            stderr: None,
            duration: None,
        });
        assert!(text(&unknown).starts_with(r#"{"duration_ms":null,"exit":null,"#));
    }

    #[test]
    fn the_word_follows_the_end() {
        assert_eq!(Finished::word(Some(0)), "succeeded");
        assert_eq!(Finished::word(Some(1)), "failed");
        assert_eq!(Finished::word(None), "killed");
    }

    #[test]
    fn a_span_without_end_is_still_an_integer() {
        assert_eq!(millis(Duration::MAX), json::MAX_INTEGER);
    }
}
