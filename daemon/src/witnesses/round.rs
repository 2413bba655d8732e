//! One head for one witness: the newest is taken, sent, and what comes back is checked and kept.
//!
//! What the witness says is believed as far as its signature goes, and its last size as far as to try
//! a proof from there.

use countersign_shared::log::cosignature::{self, Cosignature, CosignatureError};
use countersign_shared::log::note::{SIGNATURE_MARK, WitnessKey};
use countersign_shared::log::witness::{SIZE_TYPE, Submission};
use countersign_shared::text::{Printable, Untrusted};
use http::StatusCode;

use super::Place;
use super::place::{Answer, ExchangeError};
use crate::engine::{Command, Cosigned, EngineError, Handle, Query};

/// How often a head is sent anew because the witness holds another one than was thought.
const TRIES: usize = 3;

/// How much of what a witness says stands in our messages, in characters.
const SAID: usize = 200;

/// A head that was not cosigned.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The engine does not answer, or cannot keep what came back.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There was no answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The witness holds more of the log than there is.
    #[error(
        "the witness holds a head of {theirs} entries, and the log has {ours}: the log went back, or \
         somebody else signs with its key"
    )]
    Ahead {
        /// How many entries the witness's head has.
        theirs: u64,
        /// How many there are.
        ours: u64,
    },
    /// The witness has cosigned another head of the same size.
    #[error(
        "the witness holds another head of {size} entries: the log went back and went on another way, or \
         somebody else signs with its key"
    )]
    OtherHead {
        /// Its size.
        size: u64,
    },
    /// The witness moves on by itself.
    #[error(
        "the witness holds another head each time; somebody else may send it heads of this log"
    )]
    Restless,
    /// The witness says no.
    #[error("the witness refuses with status {status}: {said}")]
    Refused {
        /// The status code of HTTP.
        status: u16,
        /// What it says.
        said: String,
    },
    /// What came back is not its cosignature of the head.
    #[error("the witness's answer is not accepted")]
    Answer(#[source] CosignatureError),
    /// What came back has no line of its.
    #[error("the witness's answer holds no cosignature of the key in the policy")]
    NotCosigned,
    /// It holds more than signature lines.
    #[error("the witness's answer holds something else than signature lines, and was not accepted")]
    NotLines,
}

impl Trouble {
    /// Tells whether it means that the log is not the one that the witness saw.
    pub(super) fn is_alarm(&self) -> bool {
        match self {
            Self::Ahead { .. } | Self::OtherHead { .. } => true,
            Self::Refused { status, .. } => *status == StatusCode::UNPROCESSABLE_ENTITY.as_u16(),
            Self::Engine(_)
            | Self::Exchange(_)
            | Self::Restless
            | Self::Answer(_)
            | Self::NotCosigned
            | Self::NotLines => false,
        }
    }

    /// Writes the error with its causes on one line.
    pub(super) fn said(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// What is known of one witness.
#[derive(Debug)]
pub(super) struct Round {
    key: WitnessKey,
    place: Place,
    /// The size of the head that the witness holds, as far as it is known. At first it is not, and
    /// the witness says so.
    held: u64,
    /// The size of the last head that it cosigned since the start.
    done: u64,
}

impl Round {
    pub(super) const fn new(key: WitnessKey, place: Place) -> Self {
        Self {
            key,
            place,
            held: 0,
            done: 0,
        }
    }

    pub(super) const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Has the newest head cosigned; nothing when it is already.
    pub(super) async fn go(
        &mut self,
        engine: &Handle,
    ) -> Result<Option<(u64, Cosignature)>, Trouble> {
        for _ in 0..TRIES {
            let from = self.held;
            let head = engine.ask(|reply| Query::Head(from, reply)).await?;
            let ours = head.size;
            if ours == self.done {
                return Ok(None);
            }
            if from > ours {
                // It may have been restored from a copy; then it says so.
                self.held = 0;
                return Err(Trouble::Ahead { theirs: from, ours });
            }
            let submission = Submission {
                old: from,
                proof: head.consistency,
                note: head.note.clone(),
            };
            let answer = self.place.post(submission.to_text()).await?;
            if let Some(theirs) = conflict(&answer) {
                if theirs > ours {
                    return Err(Trouble::Ahead { theirs, ours });
                }
                if theirs == from && from == ours {
                    return Err(Trouble::OtherHead { size: ours });
                }
                self.held = theirs;
                continue;
            }
            let cosignature = self.read(&answer, &head.note)?;
            let cosigned = Cosigned {
                size: ours,
                note: head.note,
                vkey: self.key.to_string(),
                line: cosignature.to_line(),
            };
            // It holds the head whether we keep its word or not.
            self.held = ours;
            engine.ask(Command::cosigned(cosigned)).await?;
            self.done = ours;
            return Ok(Some((ours, cosignature)));
        }
        Err(Trouble::Restless)
    }

    /// Reads the witness's line below a head.
    fn read(&self, answer: &Answer, note: &str) -> Result<Cosignature, Trouble> {
        let body = String::from_utf8_lossy(&answer.body);
        if answer.status != StatusCode::OK {
            let line = body.lines().next().unwrap_or_default();
            let line: String = line.chars().take(SAID).collect();
            return Err(Trouble::Refused {
                status: answer.status.as_u16(),
                said: Printable::exact_line(&Untrusted::new(line)).to_string(),
            });
        }
        // A text with a blank line would make another note of the two.
        if !body.lines().all(|line| line.starts_with(SIGNATURE_MARK)) {
            return Err(Trouble::NotLines);
        }
        let whole = format!("{note}{body}");
        let known = std::slice::from_ref(&self.key);
        let found = cosignature::verify(&whole, known).map_err(Trouble::Answer)?;
        found.into_iter().next().ok_or(Trouble::NotCosigned)
    }
}

/// Returns the size that the witness holds, if it says that it is another than was thought.
fn conflict(answer: &Answer) -> Option<u64> {
    if answer.status != StatusCode::CONFLICT || answer.kind != SIZE_TYPE {
        return None;
    }
    let text = std::str::from_utf8(&answer.body).ok()?;
    let digits = text.strip_suffix('\n')?;
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_decimal)
}
