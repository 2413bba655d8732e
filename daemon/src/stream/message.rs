//! What is sent for an entry or a head: a syslog message (RFC 5424), or the fields of a journal entry
//! (systemd's native journal protocol, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
//!
//! The text is a line of [`countersign_evidence::line`]. Syslog messages carry no structured data:
//! names of it are given out by IANA, and everything stands in the text.

use std::io;

use countersign_evidence::line::{self, Form, Told};
use countersign_evidence::record::Record;
use countersign_shared::log::tree::{Hash, leaf_hash};
use countersign_shared::time::Timestamp;

/// The facility: security and authorization messages that are not for everybody (`authpriv`).
const FACILITY: u8 = 10;

/// The severity of a head: informational.
const INFORMATIONAL: u8 = 6;

/// The name of this program in messages.
const PROGRAM: &str = "countersignd";

/// The longest host name in a syslog message, in bytes.
const HOST_LIMIT: usize = 255;

/// A message before it has the form of its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is: the type of the entry, or `head`.
    kind: String,
    severity: u8,
    at: Timestamp,
    text: String,
    /// What a journal can search by: names and values.
    fields: Vec<(&'static str, String)>,
}

impl Message {
    /// Returns the message that an entry is.
    ///
    /// # Errors
    ///
    /// When it cannot be written in that form.
    pub(super) fn entry(form: Form, record: &Record<'_>) -> io::Result<Self> {
        let mut fields = vec![
            ("COUNTERSIGN_LOG", record.log.clone()),
            ("COUNTERSIGN_TYPE", record.entry_type.clone()),
            ("COUNTERSIGN_SEQ", record.seq.to_string()),
            ("COUNTERSIGN_LEAF", leaf_hash(record.bytes).to_string()),
        ];
        if let Some(id) = record.request {
            fields.push(("COUNTERSIGN_REQUEST", id.to_string()));
        }
        Ok(Self {
            kind: record.entry_type.clone(),
            severity: line::severity(record),
            at: record.time,
            text: line::entry(form, record)?,
            fields,
        })
    }

    /// Returns the message that a head is.
    pub(super) fn head(form: Form, told: &Told<'_>) -> Self {
        Self {
            kind: "head".to_owned(),
            severity: INFORMATIONAL,
            at: told.at,
            text: line::head(form, told),
            fields: vec![
                ("COUNTERSIGN_LOG", told.origin.to_owned()),
                ("COUNTERSIGN_TYPE", "head".to_owned()),
                ("COUNTERSIGN_SIZE", told.head.size.to_string()),
                ("COUNTERSIGN_ROOT", told.head.root.to_string()),
                ("COUNTERSIGN_NOTE", told.note.to_owned()),
            ],
        }
    }

    /// Returns what is sent in the place of an entry that its receiver takes no message of that size
    /// for: where it stands in the log, and its leaf.
    pub(super) fn stand_in(self, seq: u64, leaf: Hash) -> Self {
        let text = format!(
            "entry {seq} ({}, {} bytes as a message) is larger than this socket takes; its leaf is \
             {leaf}",
            self.kind,
            self.text.len()
        );
        Self { text, ..self }
    }

    /// Writes it as syslog does.
    pub(super) fn syslog(&self, host: &str) -> Vec<u8> {
        let priority = u16::from(FACILITY) * 8 + u16::from(self.severity);
        let (at, kind, text) = (self.at, ascii(&self.kind, 32), &self.text);
        let host = ascii(host, HOST_LIMIT);
        let process = std::process::id();
        format!("<{priority}>1 {at} {host} {PROGRAM} {process} {kind} - {text}").into_bytes()
    }

    /// Writes it as syslog over TCP does: its length before it (RFC 6587, section 3.4.1).
    pub(super) fn framed(&self, host: &str) -> Vec<u8> {
        let message = self.syslog(host);
        let mut framed = format!("{} ", message.len()).into_bytes();
        framed.extend_from_slice(&message);
        framed
    }

    /// Writes it as the journal takes it. Every value has its length before it, so none ends early.
    pub(super) fn journal(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(self.text.len().saturating_add(1024));
        let (priority, facility) = (self.severity.to_string(), FACILITY.to_string());
        let common = [
            ("MESSAGE", self.text.as_str()),
            ("PRIORITY", &priority),
            ("SYSLOG_FACILITY", &facility),
            ("SYSLOG_IDENTIFIER", PROGRAM),
        ];
        let fields = self.fields.iter();
        let own = fields.map(|(name, value)| (*name, value.as_str()));
        for (name, value) in common.into_iter().chain(own) {
            out.extend_from_slice(name.as_bytes());
            out.push(b'\n');
            let length = u64::try_from(value.len()).map_err(io::Error::other)?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(value.as_bytes());
            out.push(b'\n');
        }
        Ok(out)
    }
}

/// Keeps the visible ASCII of a text, as the head of a syslog message asks for; `-` for nothing.
fn ascii(text: &str, limit: usize) -> String {
    let kept: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(limit)
        .collect();
    if kept.is_empty() {
        "-".to_owned()
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::log::tree::TreeHead;

    use super::*;

    fn head() -> Message {
        Message::head(
            Form::Json,
            &Told {
                origin: "countersign/x",
                head: TreeHead::empty(),
                note: "countersign/x\n0\nroot\n\n\u{2014} sig\n",
                at: Timestamp::from_millis(0),
            },
        )
    }

    #[test]
    fn a_syslog_message_has_the_parts_of_its_rfc() {
        let message = String::from_utf8(head().syslog("two words.example")).unwrap();
        let (before, text) = message.split_once(" - ").unwrap();
        let process = std::process::id();
        let expected =
            format!("<86>1 1970-01-01T00:00:00.000Z twowords.example countersignd {process} head");
        assert_eq!(before, expected);
        assert!(text.starts_with("{\"v\":1,\"type\":\"head\""), "{text}");
        let framed = head().framed("");
        let at = framed.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&framed[..at]).unwrap().parse().unwrap();
        assert_eq!(framed.len() - at - 1, length);
        assert!(
            String::from_utf8(framed)
                .unwrap()
                .contains("000Z - countersignd")
        );
    }

    #[test]
    fn a_value_with_line_feeds_is_one_value_of_the_journal() {
        let bytes = head().journal().unwrap();
        let mut rest = &bytes[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let name = String::from_utf8(rest[..end].to_vec()).unwrap();
            let (length, more) = rest[end + 1..].split_first_chunk::<8>().unwrap();
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
            found.push((name, String::from_utf8(more[..length].to_vec()).unwrap()));
            assert_eq!(more[length], b'\n');
            rest = &more[length + 1..];
        }
        let value = |name: &str| &found.iter().find(|field| field.0 == name).unwrap().1;
        assert_eq!(value("PRIORITY"), "6");
        assert_eq!(value("COUNTERSIGN_SIZE"), "0");
        assert!(value("COUNTERSIGN_NOTE").ends_with("sig\n"));
        assert!(value("MESSAGE").starts_with('{'));
    }

    #[test]
    fn the_head_of_a_message_is_visible_ascii() {
        assert_eq!(ascii("a\u{202e}b c\n", 9), "abc");
        assert_eq!(ascii("\n", 9), "-");
        assert_eq!(ascii("abcdef", 3), "abc");
    }
}
