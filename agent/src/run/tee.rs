//! What the program writes, passed on byte for byte and hashed on the way.

use std::time::Duration;

use countersign_shared::digest::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long output is still waited for after the program has ended: a process that it left behind can
/// hold the pipes open for ever.
const AFTER_END: Duration = Duration::from_secs(2);

/// The most that can wait in a pipe (`/proc/sys/fs/pipe-max-size` of a kernel as it comes), in bytes: what
/// the program wrote before its end is among as many.
const PIPE: usize = 1 << 20;

/// Passes on all of `from` and returns the digest of it.
///
/// Once `ended` says that the program has ended, what it wrote is still passed on, however slowly it is
/// taken, and what comes within [`AFTER_END`] of others.
///
/// `None` when not all of it could be passed on. Then `from` is closed, so that the program learns
/// that nobody reads, as it would without us.
pub(super) async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut ended: watch::Receiver<Option<Instant>>,
) -> Option<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut after_end = 0_usize;
    loop {
        let count = tokio::select! {
            biased;
            count = from.read(&mut buffer) => count.ok()?,
            () = over(&mut ended) => return None,
        };
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        let last = ended.borrow().map(|end| end + AFTER_END);
        if last.is_some() {
            after_end = after_end.saturating_add(count);
        }
        if after_end > PIPE && last.is_some_and(|last| Instant::now() > last) {
            return None;
        }
        hasher.update(read);
        to.write_all(read).await.ok()?;
        to.flush().await.ok()?;
    }
    Some(Digest::from_bytes(hasher.finalize().into()))
}

/// Waits until nothing more is waited for.
async fn over(ended: &mut watch::Receiver<Option<Instant>>) {
    let end = match ended.wait_for(Option::is_some).await {
        Ok(end) => *end,
        Err(_) => None,
    };
    match end {
        Some(end) => tokio::time::sleep_until(end + AFTER_END).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> (
        watch::Sender<Option<Instant>>,
        watch::Receiver<Option<Instant>>,
    ) {
        watch::channel(None)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn every_byte_is_passed_on_and_hashed() {
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut passed = Vec::new();
        let digest = pass_on(bytes.as_slice(), &mut passed, runs().1).await;
        assert_eq!(digest, Some(Digest::of(&bytes)));
        assert_eq!(passed, bytes);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_nobody_reads_has_no_digest() {
        let (reader, writer) = tokio::io::duplex(16);
        drop(reader);
        assert_eq!(pass_on(&b"lost"[..], writer, runs().1).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_written_before_the_end_is_passed_on_however_slowly_it_is_taken() {
        let bytes = vec![b'x'; 120_894];
        let (ended, end) = runs();
        let (mut slow, to) = tokio::io::duplex(16);
        ended.send_replace(Some(Instant::now()));
        let passing = tokio::spawn(pass_on(std::io::Cursor::new(bytes.clone()), to, end));
        tokio::time::sleep(AFTER_END * 5).await;
        let mut taken = Vec::new();
        slow.read_to_end(&mut taken).await.unwrap();
        assert_eq!(taken.len(), bytes.len());
        assert_eq!(passing.await.unwrap(), Some(Digest::of(&bytes)));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_left_behind_is_not_waited_for() {
        let (ended, end) = runs();
        let (_silent, from) = tokio::io::duplex(16);
        ended.send_replace(Some(Instant::now()));
        assert_eq!(pass_on(from, Vec::new(), end).await, None);
        let (ended, end) = runs();
        ended.send_replace(Some(Instant::now() - AFTER_END * 2));
        assert_eq!(
            pass_on(tokio::io::repeat(b'x'), Vec::new(), end).await,
            None
        );
    }
}
