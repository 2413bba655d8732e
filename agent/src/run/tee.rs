//! What the program writes, passed on byte for byte and hashed on the way.

use countersign_shared::digest::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Passes on all of `from` and returns the digest of it.
///
/// `None` when not all of it could be passed on. Then `from` is closed, so that the program learns
/// that nobody reads, as it would without us.
pub(super) async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Option<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await.ok()?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        to.write_all(read).await.ok()?;
        to.flush().await.ok()?;
    }
    Some(Digest::from_bytes(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn every_byte_is_passed_on_and_hashed() {
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut passed = Vec::new();
        let digest = pass_on(bytes.as_slice(), &mut passed).await;
        assert_eq!(digest, Some(Digest::of(&bytes)));
        assert_eq!(passed, bytes);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_nobody_reads_has_no_digest() {
        let (reader, writer) = tokio::io::duplex(16);
        drop(reader);
        assert_eq!(pass_on(&b"lost"[..], writer).await, None);
    }
}
