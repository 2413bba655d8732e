//! A stream of server-sent events (HTML Living Standard, section 9.2), taken apart into the bytes of
//! each event, so that one can be looked at before it is passed on.

/// The bytes are no stream that can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {limit} bytes")]
pub(super) struct TooLong {
    /// The limit, in bytes.
    pub(super) limit: usize,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// All its bytes, with the blank line behind it.
    pub(super) raw: Vec<u8>,
    /// Its data; empty when it has none.
    pub(super) data: Vec<u8>,
}

/// A stream in the making.
#[derive(Debug)]
pub(super) struct Events {
    limit: usize,
    raw: Vec<u8>,
    data: Vec<u8>,
    /// Where the line begins that is being read.
    line: usize,
    /// Whether the last byte was a carriage return, to which a line feed may belong.
    after_return: bool,
    /// Whether that carriage return ended an event.
    is_owed: bool,
    is_first: bool,
}

impl Events {
    /// Begins a stream of events of at most `limit` bytes each.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            raw: Vec::new(),
            data: Vec::new(),
            line: 0,
            after_return: false,
            is_owed: false,
            is_first: true,
        }
    }

    /// Takes up bytes and returns the events that they complete.
    ///
    /// # Errors
    /// When an event has too many.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut complete = Vec::new();
        for byte in bytes {
            if self.after_return {
                self.after_return = false;
                if *byte == b'\n' {
                    self.raw.push(b'\n');
                    if self.is_owed {
                        self.finish(&mut complete);
                    } else {
                        self.line = self.raw.len();
                    }
                    continue;
                }
                if self.is_owed {
                    self.finish(&mut complete);
                }
            }
            self.raw.push(*byte);
            if self.raw.len() > self.limit {
                return Err(TooLong { limit: self.limit });
            }
            match byte {
                b'\n' if self.end_line() => self.finish(&mut complete),
                b'\r' => {
                    self.is_owed = self.end_line();
                    self.after_return = true;
                }
                _ => {}
            }
        }
        Ok(complete)
    }

    /// Ends a line; tells whether it was blank.
    fn end_line(&mut self) -> bool {
        let end = self.raw.len().saturating_sub(1);
        let line = self.raw.get(self.line..end).unwrap_or_default();
        let line = if self.is_first {
            line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
        } else {
            line
        };
        self.is_first = false;
        let data = match line {
            b"data" => Some(&b""[..]),
            line => line
                .strip_prefix(b"data:")
                .map(|data| data.strip_prefix(b" ").unwrap_or(data)),
        };
        if let Some(data) = data {
            self.data.extend_from_slice(data);
            self.data.push(b'\n');
        }
        let is_blank = line.is_empty();
        self.line = self.raw.len();
        is_blank
    }

    fn finish(&mut self, complete: &mut Vec<Event>) {
        self.is_owed = false;
        self.line = 0;
        let mut data = std::mem::take(&mut self.data);
        data.pop();
        complete.push(Event {
            raw: std::mem::take(&mut self.raw),
            data,
        });
    }
}

/// Writes a message as one event.
pub(super) fn event(message: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    for line in message.split(|byte| matches!(byte, b'\n' | b'\r')) {
        raw.extend_from_slice(b"data: ");
        raw.extend_from_slice(line);
        raw.push(b'\n');
    }
    raw.push(b'\n');
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], step: usize) -> Vec<(String, String)> {
        let mut events = Events::new(100);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let mut found = Vec::new();
        for part in bytes.chunks(step) {
            for event in events.feed(part).unwrap() {
                found.push((text(event.raw), text(event.data)));
            }
        }
        found
    }

    #[test]
    fn events_are_found_whatever_ends_their_lines_and_however_they_come() {
        for end in ["\n", "\r\n"] {
            let stream = [
                "id: 1",
                "data: {\"a\":",
                "data:1}",
                "",
                ": still here",
                "",
                "data",
                "",
                "",
            ]
            .join(end);
            for step in [1, 2, 3, 100] {
                let found = all(stream.as_bytes(), step);
                let data: Vec<_> = found.iter().map(|(_, data)| data.as_str()).collect();
                assert_eq!(data, ["{\"a\":\n1}", "", ""], "{end:?} {step}");
                let raw: String = found.iter().map(|(raw, _)| raw.as_str()).collect();
                assert_eq!(raw, stream, "{end:?} {step}");
            }
        }
        // A lone carriage return ends a line too; what ends with one is complete with the next byte.
        for step in [1, 2, 100] {
            let found = all(b"data: a\r\rdata: b\r\rx", step);
            let data: Vec<_> = found.iter().map(|(_, data)| data.as_str()).collect();
            assert_eq!(data, ["a", "b"], "{step}");
        }
    }

    #[test]
    fn an_event_that_is_not_complete_is_none() {
        assert_eq!(all(b"data: a\n", 1), []);
    }

    #[test]
    fn an_event_that_is_too_long_is_an_error() {
        let mut events = Events::new(10);
        assert_eq!(events.feed(b"data: aaaa"), Ok(Vec::new()));
        assert_eq!(events.feed(b"a"), Err(TooLong { limit: 10 }));
    }

    #[test]
    fn a_message_written_as_an_event_is_read_as_itself() {
        for message in ["{}", "{\n\"a\":1}", "{\r\n}"] {
            let raw = event(message.as_bytes());
            let found = Events::new(100).feed(&raw).unwrap();
            let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(value(&found[0].data), value(message.as_bytes()));
        }
    }
}
