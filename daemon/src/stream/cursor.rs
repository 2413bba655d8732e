//! How far a receiver came: a small file beside the database, written after each message that has
//! arrived.
//!
//! It names the log and the receiver, so that another receiver gets the log from its beginning. Each
//! writing has the same length and replaces the one before in place. The kernel makes it durable within
//! half a minute, and the daemon does when it ends.
//! After a power cut it may be behind, never ahead of what is durable in the database, and then
//! messages are sent again. It decides nothing: whoever changes it makes the daemon repeat
//! or leave out messages, which the heads tell to whoever holds them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use countersign_shared::log::tree::Hash;

/// What the file begins with.
const FIRST_LINE: &str = "countersign stream cursor v1";

/// The longest file that is read, in bytes.
const LIMIT: usize = 4096;

/// How far a receiver came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// The position of the entry to send next.
    pub(super) entries: u64,
    /// The leaf before it; nothing before the first entry.
    pub(super) leaf: Option<Hash>,
    /// The size of the last head that was sent, 0 for none.
    pub(super) head: u64,
}

impl At {
    /// Before everything.
    pub(super) const BEGINNING: Self = Self {
        entries: 0,
        leaf: None,
        head: 0,
    };
}

/// The open file.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    log: String,
    receiver: String,
    at: At,
}

impl Cursor {
    /// Opens the file, or makes it. One of another log or receiver, or of which nothing can be made,
    /// begins anew.
    pub(super) fn open(path: &Path, log: &str, receiver: &str) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut cursor = Self {
            file,
            log: log.to_owned(),
            receiver: receiver.to_owned(),
            at: At::BEGINNING,
        };
        if let Some(at) = cursor.read()? {
            cursor.at = at;
        } else {
            cursor.file.set_len(0)?;
            cursor.put(At::BEGINNING)?;
        }
        Ok(cursor)
    }

    /// Returns how far the receiver came.
    pub(super) const fn at(&self) -> At {
        self.at
    }

    /// Writes how far it came.
    pub(super) fn put(&mut self, at: At) -> io::Result<()> {
        self.file.write_all_at(self.text(at).as_bytes(), 0)?;
        self.at = at;
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn text(&self, at: At) -> String {
        let leaf = at
            .leaf
            .map_or_else(|| "-".repeat(64), |leaf| leaf.to_string());
        format!(
            "{FIRST_LINE}\nlog {}\nreceiver {}\nentries {:020}\nleaf {leaf}\nhead {:020}\n",
            self.log, self.receiver, at.entries, at.head
        )
    }

    /// Reads the file; nothing when it is not exactly what would be written.
    fn read(&self) -> io::Result<Option<At>> {
        let mut bytes = vec![0; LIMIT];
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            let offset = u64::try_from(length).map_err(io::Error::other)?;
            match self.file.read_at(rest, offset)? {
                0 => break,
                read => length = length.saturating_add(read),
            }
        }
        bytes.truncate(length);
        let at = std::str::from_utf8(&bytes).ok().and_then(parse);
        Ok(at.filter(|at| self.text(*at).as_bytes() == bytes))
    }
}

fn parse(text: &str) -> Option<At> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    let leaf = field("leaf")?;
    let leaf = if leaf.starts_with('-') {
        None
    } else {
        let bytes = data_encoding::HEXLOWER.decode(leaf.as_bytes()).ok()?;
        Some(Hash::from_bytes(bytes.try_into().ok()?))
    };
    Some(At {
        entries: field("entries")?.parse().ok()?,
        leaf,
        head: field("head")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: At = At {
        entries: 41,
        leaf: Some(Hash::from_bytes([7; 32])),
        head: 40,
    };

    fn open(path: &Path, log: &str, receiver: &str) -> At {
        Cursor::open(path, log, receiver).unwrap().at()
    }

    #[test]
    fn what_was_written_is_read_back_for_the_same_log_and_receiver_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stream-syslog");
        let mut cursor = Cursor::open(&path, "log/a", "/dev/log").unwrap();
        assert_eq!(cursor.at(), At::BEGINNING);
        cursor.put(FAR).unwrap();
        cursor.sync().unwrap();
        assert_eq!(open(&path, "log/a", "/dev/log"), FAR);
        assert_eq!(open(&path, "log/a", "tcp://127.0.0.1:601"), At::BEGINNING);
        // The other one has it now.
        assert_eq!(open(&path, "log/a", "/dev/log"), At::BEGINNING);
        let mut cursor = Cursor::open(&path, "log/a", "/dev/log").unwrap();
        cursor.put(FAR).unwrap();
        assert_eq!(open(&path, "log/b", "/dev/log"), At::BEGINNING);
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stream-syslog");
        let mut cursor = Cursor::open(&path, "log/a", "/dev/log").unwrap();
        cursor.put(FAR).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] = b'x';
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(open(&path, "log/a", "/dev/log"), At::BEGINNING, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(
                open(&path, "log/a", "/dev/log"),
                At::BEGINNING,
                "cut at {at}"
            );
        }
        std::fs::write(&path, vec![b'0'; LIMIT * 2]).unwrap();
        assert_eq!(open(&path, "log/a", "/dev/log"), At::BEGINNING);
        assert_eq!(open(&path, "log/a", "/dev/log"), At::BEGINNING);
    }
}
