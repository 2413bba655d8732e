//! Where one message of a stream ends and the next begins: five bytes before each say how long it is
//! (gRPC over HTTP/2, "Length-Prefixed-Message").

/// How far a stream of messages has come.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// How many messages came whole.
    whole: u64,
    /// What came of the next one's head.
    head: Vec<u8>,
    /// What is missing of it.
    left: usize,
}

/// The length of what stands before a message.
const HEAD: usize = 5;

impl Framing {
    /// Takes what came; tells whether a message ended in it.
    pub(super) fn take(&mut self, mut data: &[u8]) -> bool {
        let before = self.whole;
        while !data.is_empty() {
            if self.left == 0 {
                let missing = HEAD.saturating_sub(self.head.len()).min(data.len());
                let (head, rest) = data.split_at(missing);
                self.head.extend_from_slice(head);
                data = rest;
                if let [_compressed, length @ ..] = self.head.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                    self.end_if_whole();
                }
            } else {
                let part = self.left.min(data.len());
                data = data.get(part..).unwrap_or_default();
                self.left = self.left.saturating_sub(part);
                self.end_if_whole();
            }
        }
        self.whole > before
    }

    /// Ends a message of which nothing is missing.
    fn end_if_whole(&mut self) {
        if self.left == 0 {
            self.head.clear();
            self.whole = self.whole.saturating_add(1);
        }
    }

    /// Tells whether the last message came whole and none has begun since. Before the first one it is
    /// waited for.
    pub(super) fn is_between(&self) -> bool {
        self.whole > 0 && self.head.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_between_messages_only_where_one_ended() {
        let bytes = [
            0, 0, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'x',
        ];
        let ends = [8, 13, 19];
        for size in 1..=bytes.len() {
            let mut framing = Framing::default();
            assert!(!framing.is_between());
            let mut taken = 0;
            for piece in bytes.chunks(size) {
                framing.take(piece);
                taken += piece.len();
                assert_eq!(
                    framing.is_between(),
                    ends.contains(&taken),
                    "{size}: {taken}"
                );
            }
        }
    }
}
