//! What servers say of their tools, kept from the first time on: a definition that changes later is a
//! finding.
//!
//! The file lies with this user's other files. It is no secret and no authority: a program of the same
//! user can change it, and then nobody is told of a change. What a definition says is the server's
//! word: its annotations stand in an action as such, and nothing is permitted because of them here.

mod repeated;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_client::private::{Lasting, write_private};
use countersign_shared::digest::Digest;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

pub(crate) use repeated::Repeated;

/// The hints that the protocol knows. Only those that are said count.
const HINTS: [&str; 4] = [
    "destructiveHint",
    "idempotentHint",
    "openWorldHint",
    "readOnlyHint",
];

/// What of a definition is held against the one before.
const PARTS: [&str; 6] = [
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
];

/// The longest definition that is kept as text, in bytes. Of a longer one only the digest is kept.
const LONGEST_TEXT: usize = 64 * 1024;

/// The most tools that are kept of one server.
const MOST_TOOLS: usize = 4096;

/// Definitions cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` does not hold definitions of tools", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A server has more tools than are kept.
    #[error("the server has more than {MOST_TOOLS} tools")]
    TooMany,
    /// A definition is none.
    #[error("the definition of a tool has no name")]
    Nameless,
}

/// A definition as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    /// The digest of all that is compared.
    digest: Digest,
    /// All that is compared, for people to read; `None` when it is too long.
    text: Option<String>,
    /// The hints.
    annotations: BTreeMap<String, bool>,
}

/// What is known of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// As it was first seen, or last approved.
    pinned: Definition,
    /// As it was last seen, when that is something else.
    found: Option<Definition>,
}

/// The file of one server.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    tools: BTreeMap<String, Kept>,
}

/// What an action says about the definition of its tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// The hints, as the server says them.
    pub(crate) annotations: BTreeMap<String, bool>,
    /// How the definition changed, if it did.
    pub(crate) change: Option<Change>,
}

/// A definition that is not the pinned one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pinned: Definition,
    found: Definition,
}

impl Change {
    /// Returns the finding as it stands in an action.
    pub(crate) fn to_value(&self) -> Value {
        let side = |side: &Definition| json!({ "digest": side.digest, "text": side.text });
        json!({ "pinned": side(&self.pinned), "found": side(&self.found) })
    }
}

/// All definitions that were seen by this user.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    dir: PathBuf,
}

impl Pins {
    /// Names the place below the directory of our own files; nothing is made yet.
    pub(crate) fn open(state_dir: &Path) -> Self {
        Self {
            dir: state_dir.join("tools"),
        }
    }

    /// Takes up what a server says of its tools now.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub(super) fn note(&self, server: &str, tools: &[Box<RawValue>]) -> Result<(), PinError> {
        let seen: Vec<(String, Definition)> = tools
            .iter()
            .map(|raw| define(raw))
            .collect::<Result<_, _>>()?;
        self.change(server, |stored| {
            let mut changed = false;
            for (tool, definition) in seen {
                changed |= take_up(&mut stored.tools, tool, definition);
            }
            if stored.tools.len() > MOST_TOOLS {
                return Err(PinError::TooMany);
            }
            Ok(changed)
        })
    }

    /// Returns what is to be said of a tool.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn look(&self, server: &str, tool: &str) -> Result<Seen, PinError> {
        let Some(kept) = self.read(server)?.tools.remove(tool) else {
            return Ok(Seen::default());
        };
        Ok(match kept.found {
            None => Seen {
                annotations: kept.pinned.annotations,
                change: None,
            },
            Some(found) => Seen {
                annotations: found.annotations.clone(),
                change: Some(Change {
                    pinned: kept.pinned,
                    found,
                }),
            },
        })
    }

    /// Returns which arguments of a tool are repeated in headers, as its server said last; none of a
    /// tool that was not seen, or whose definition is too long to be kept.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn repeated(&self, server: &str, tool: &str) -> Result<Repeated, PinError> {
        let Some(kept) = self.read(server)?.tools.remove(tool) else {
            return Ok(Repeated::new());
        };
        let Some(text) = kept.found.unwrap_or(kept.pinned).text else {
            return Ok(Repeated::new());
        };
        let definition: Value = serde_json::from_str(&text).map_err(|source| PinError::Format {
            path: self.of(server),
            source,
        })?;
        Ok(definition
            .get("inputSchema")
            .map(repeated::of)
            .unwrap_or_default())
    }

    /// Pins the definition that people have seen beside the former one, and approved.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub(super) fn accept(&self, server: &str, tool: &str, change: &Change) -> Result<(), PinError> {
        self.change(server, |stored| {
            let Some(kept) = stored.tools.get_mut(tool) else {
                return Ok(false);
            };
            // What came after it was not seen by anybody.
            let is_this = kept.found.as_ref() == Some(&change.found);
            if is_this {
                kept.pinned = change.found.clone();
                kept.found = None;
            }
            Ok(is_this)
        })
    }

    /// Changes the file of a server, with every other process kept out.
    fn change(
        &self,
        server: &str,
        change: impl FnOnce(&mut Stored) -> Result<bool, PinError>,
    ) -> Result<(), PinError> {
        let _lock = self.lock()?;
        let mut stored = self.read(server)?;
        if !change(&mut stored)? {
            return Ok(());
        }
        let path = self.of(server);
        stored.v = 1;
        let bytes = serde_json::to_vec(&stored).map_err(|source| PinError::Format {
            path: path.clone(),
            source,
        })?;
        write_private(&path, &bytes, Lasting::PowerCut)
            .map_err(|source| PinError::Write { path, source })
    }

    fn read(&self, server: &str) -> Result<Stored, PinError> {
        let path = self.of(server);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| PinError::Format { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stored::default()),
            Err(source) => Err(PinError::Read { path, source }),
        }
    }

    fn of(&self, server: &str) -> PathBuf {
        self.dir.join(Digest::of(server.as_bytes()).to_hex())
    }

    fn lock(&self) -> Result<File, PinError> {
        let path = self.dir.join("lock");
        let failed = |source| PinError::Write {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)
            .map_err(|errno| failed(errno.into()))?;
        Ok(lock)
    }
}

/// Takes up one definition; tells whether that changed anything.
fn take_up(tools: &mut BTreeMap<String, Kept>, tool: String, now: Definition) -> bool {
    match tools.get_mut(&tool) {
        None => {
            let kept = Kept {
                pinned: now,
                found: None,
            };
            tools.insert(tool, kept);
            true
        }
        Some(kept) => {
            let found = (kept.pinned.digest != now.digest).then_some(now);
            let changed = kept.found != found;
            kept.found = found;
            changed
        }
    }
}

/// Reads a definition, which came in a message that was read strictly.
fn define(raw: &RawValue) -> Result<(String, Definition), PinError> {
    let all: Map<String, Value> =
        serde_json::from_str(raw.get()).map_err(|_| PinError::Nameless)?;
    let name = all
        .get("name")
        .and_then(Value::as_str)
        .ok_or(PinError::Nameless)?
        .to_owned();
    let annotations = HINTS
        .iter()
        .filter_map(|hint| {
            let said = all.get("annotations")?.get(hint)?.as_bool()?;
            Some(((*hint).to_owned(), said))
        })
        .collect();
    // In one order, so that a server that writes the same in another one has changed nothing.
    let mut compared: BTreeMap<&str, Value> = BTreeMap::new();
    for part in PARTS {
        if let Some(value) = all.get(part) {
            let mut value = value.clone();
            value.sort_all_objects();
            compared.insert(part, value);
        }
    }
    let text = serde_json::to_string_pretty(&compared).map_err(|_| PinError::Nameless)?;
    let definition = Definition {
        digest: Digest::of(text.as_bytes()),
        text: (text.len() <= LONGEST_TEXT).then_some(text),
        annotations,
    };
    Ok((name, definition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(texts: &[&str]) -> Vec<Box<RawValue>> {
        texts
            .iter()
            .map(|text| RawValue::from_string((*text).to_owned()).unwrap())
            .collect()
    }

    const DROP: &str = r#"{"name":"drop","description":"drops a table","inputSchema":{"type":"object","x":1},
        "annotations":{"destructiveHint":true,"readOnlyHint":false,"title":"x","other":true}}"#;
    /// The same, written otherwise.
    const SAME: &str = r#"{"inputSchema":{"x":1,"type":"object"},"description":"drops a table","_meta":{"v":2},
        "annotations":{"other":true,"title":"x","readOnlyHint":false,"destructiveHint":true},"name":"drop"}"#;
    const OTHER: &str = r#"{"name":"drop","description":"reads a table","inputSchema":{"type":"object","x":1},
        "annotations":{"readOnlyHint":true}}"#;

    #[test]
    fn the_first_definition_is_pinned_and_its_hints_are_stated() {
        let home = tempfile::tempdir().unwrap();
        let pins = Pins::open(home.path());
        assert_eq!(pins.look("db", "drop").unwrap(), Seen::default());
        pins.note("db", &tools(&[DROP])).unwrap();
        pins.note("db", &tools(&[SAME])).unwrap();
        let seen = pins.look("db", "drop").unwrap();
        assert_eq!(seen.change, None);
        let said: Vec<_> = seen.annotations.iter().collect();
        let expected = [("destructiveHint", true), ("readOnlyHint", false)];
        assert!(
            said.iter()
                .zip(expected)
                .all(|(said, (name, hint))| said.0 == name && *said.1 == hint)
        );
        assert_eq!(said.len(), 2);
        assert_eq!(pins.look("other", "drop").unwrap(), Seen::default());
    }

    #[test]
    fn a_definition_that_changed_is_a_finding_until_it_is_approved_or_goes_back() {
        let home = tempfile::tempdir().unwrap();
        let pins = Pins::open(home.path());
        pins.note("db", &tools(&[DROP])).unwrap();
        pins.note("db", &tools(&[OTHER])).unwrap();
        let seen = pins.look("db", "drop").unwrap();
        let change = seen.change.unwrap();
        let shown = change.to_value();
        let text = |side: &str| shown[side]["text"].as_str().unwrap().to_owned();
        assert!(text("pinned").contains("drops a table"));
        assert!(text("found").contains("reads a table"));
        assert_eq!(seen.annotations.get("readOnlyHint"), Some(&true));
        // Back again: nothing has changed.
        pins.note("db", &tools(&[SAME])).unwrap();
        assert_eq!(pins.look("db", "drop").unwrap().change, None);
        // And once more, with an approval of what was there before.
        pins.note("db", &tools(&[r#"{"name":"drop"}"#])).unwrap();
        pins.accept("db", "drop", &change).unwrap();
        assert!(pins.look("db", "drop").unwrap().change.is_some());
        pins.note("db", &tools(&[OTHER])).unwrap();
        pins.accept("db", "drop", &change).unwrap();
        assert_eq!(pins.look("db", "drop").unwrap().change, None);
        pins.note("db", &tools(&[DROP])).unwrap();
        assert!(pins.look("db", "drop").unwrap().change.is_some());
    }

    #[test]
    fn what_is_repeated_in_headers_is_what_the_server_said_last() {
        let home = tempfile::tempdir().unwrap();
        let pins = Pins::open(home.path());
        let definition = |name: &str| {
            format!(
                r#"{{"name":"drop","inputSchema":{{"properties":{{"{name}":{{"x-mcp-header":"Database"}}}}}}}}"#
            )
        };
        let repeated = || pins.repeated("db", "drop").unwrap();
        assert_eq!(repeated(), Repeated::new());
        for name in ["database", "other"] {
            pins.note("db", &tools(&[&definition(name)])).unwrap();
            let path = vec![name.to_owned()];
            assert_eq!(repeated(), Repeated::from([("database".to_owned(), path)]));
        }
        let title = "x".repeat(LONGEST_TEXT);
        let long = definition("x").replacen('{', &format!(r#"{{"title":"{title}","#), 1);
        pins.note("db", &tools(&[&long])).unwrap();
        assert_eq!(repeated(), Repeated::new());
    }

    #[test]
    fn what_cannot_be_kept_or_read_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let pins = Pins::open(home.path());
        assert!(pins.note("db", &tools(&["{}"])).is_err());
        assert!(pins.note("db", &tools(&["1"])).is_err());
        let many: Vec<String> = (0..=MOST_TOOLS)
            .map(|number| format!("{{\"name\":\"{number}\"}}"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(
            pins.note("db", &tools(&many)),
            Err(PinError::TooMany)
        ));
        pins.note("db", &tools(&[DROP])).unwrap();
        fs::write(pins.of("db"), "{").unwrap();
        assert!(matches!(
            pins.look("db", "drop"),
            Err(PinError::Format { .. })
        ));
        assert!(pins.note("db", &tools(&[DROP])).is_err());
    }
}
