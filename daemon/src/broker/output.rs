//! One output of the program: read, masked, counted, hashed, passed on.
//!
//! It is read no faster than the agent takes it: when nobody does, the pipe fills and the program waits.
//! The digest is over what was passed on, which is what the agent's side and whoever watches have; one
//! over the secrets themselves would let them be guessed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_shared::digest::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{broadcast, mpsc};

use super::masker::{Masker, Patterns};
use super::run::Event;
use super::runs::{Piece, Stream};

/// How much is read at once, in bytes.
const PIECE: usize = 32 << 10;

/// What both outputs of a run may still write, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Takes some of it; `false` when there is not so much.
    fn take(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.is_ok()
    }
}

/// How one output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// All of it was passed on.
    Whole(Digest),
    /// There was more than the run may write.
    TooMuch,
    /// It could not be read, or nobody takes it any more.
    Broken,
}

/// Where one output goes.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stream: Stream,
    pub(super) patterns: Patterns,
    pub(super) allowance: Allowance,
    pub(super) agent: mpsc::Sender<Event>,
    pub(super) watchers: broadcast::Sender<Piece>,
}

impl Output {
    /// Passes on all that comes.
    pub(super) async fn pass_on(self, mut from: impl AsyncRead + Unpin) -> Passed {
        let mut masker = Masker::new(self.patterns.clone());
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; PIECE];
        loop {
            let Ok(count) = from.read(&mut buffer).await else {
                return Passed::Broken;
            };
            let read = buffer.get(..count).unwrap_or_default();
            if !self.allowance.take(count) {
                return Passed::TooMuch;
            }
            let passed = if read.is_empty() {
                masker.finish()
            } else {
                masker.push(read)
            };
            hasher.update(&passed);
            if !passed.is_empty() && !self.hand_on(passed).await {
                return Passed::Broken;
            }
            if read.is_empty() {
                return Passed::Whole(Digest::from_bytes(hasher.finalize().into()));
            }
        }
    }

    /// Hands a piece on; `false` when nobody takes it.
    async fn hand_on(&self, bytes: Vec<u8>) -> bool {
        if self.watchers.receiver_count() > 0 {
            let piece = Piece {
                stream: self.stream,
                bytes: bytes.as_slice().into(),
            };
            // Nobody watching is no error.
            drop(self.watchers.send(piece));
        }
        self.agent
            .send(Event::Output(self.stream, bytes))
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(allowed: u64, room: usize) -> (Output, mpsc::Receiver<Event>) {
        let (agent, taken) = mpsc::channel(room);
        let patterns = Patterns::of([("TOKEN", b"hunter2-hunter2".as_slice())]).unwrap();
        let output = Output {
            stream: Stream::Output,
            patterns,
            allowance: Allowance::new(allowed),
            agent,
            watchers: broadcast::Sender::new(4),
        };
        (output, taken)
    }

    async fn all(mut taken: mpsc::Receiver<Event>) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(event) = taken.recv().await {
            if let Event::Output(_, bytes) = event {
                all.extend(bytes);
            }
        }
        all
    }

    #[tokio::test]
    async fn what_is_passed_on_is_masked_and_hashed_and_watched() {
        let (output, taken) = output(100, 8);
        let mut watched = output.watchers.subscribe();
        let passed = output.pass_on(&b"a hunter2-hunter2 b"[..]).await;
        let expected = b"a [masked TOKEN] b";
        assert_eq!(passed, Passed::Whole(Digest::of(expected)));
        assert_eq!(all(taken).await, expected);
        assert_eq!(&*watched.recv().await.unwrap().bytes, expected);
    }

    #[tokio::test]
    async fn what_is_too_much_is_not_passed_on() {
        let (output, taken) = output(10, 8);
        assert_eq!(output.pass_on(&b"eleven byte"[..]).await, Passed::TooMuch);
        assert_eq!(all(taken).await, b"");
    }

    #[tokio::test]
    async fn what_nobody_takes_is_not_read() {
        let (output, taken) = output(1 << 30, 1);
        let (mut program, pipe) = tokio::io::duplex(16);
        let passing = tokio::spawn(output.pass_on(pipe));
        let writing = tokio::spawn(async move {
            let mut written = 0_u64;
            for _ in 0..1000 {
                tokio::io::AsyncWriteExt::write_all(&mut program, &[b'x'; 16]).await?;
                written += 16;
            }
            Ok::<u64, std::io::Error>(written)
        });
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(
            !writing.is_finished(),
            "nobody read, and everything was written"
        );
        drop(taken);
        assert_eq!(passing.await.unwrap(), Passed::Broken);
        assert!(writing.await.unwrap().is_err());
    }
}
