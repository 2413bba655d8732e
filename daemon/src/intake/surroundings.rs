//! What the daemon finds out about an asking beside its action: for the facts that policy judges by.
//!
//! Everything here blocks: paths are resolved and a program is read. What cannot be found out is
//! said to be unknown, never left away. Paths are resolved as they are now; whoever executes looks
//! again (R9).

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use countersign_policy::facts::{self, Agent, Principal, Recent, Surroundings};
use countersign_shared::time::Timestamp;
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::identity::{Container, Fact, Peer};

/// The largest program that is hashed, in bytes.
const LARGEST_PROGRAM: u64 = 1 << 30;

/// How many hashes of programs are remembered.
const REMEMBERED: usize = 512;

/// Looks around an asking. `action` is the masked one.
pub(super) fn look(peer: &Peer, action: &Value, wall: Timestamp, recent: Recent) -> Surroundings {
    let workspace = text(peer.directory());
    let cwd = action.pointer("/context/cwd").and_then(Value::as_str);
    let sees = peer.sees_our_files();
    let resolved = if sees {
        resolve(action, cwd.or(workspace.as_deref()))
    } else {
        BTreeMap::new()
    };
    Surroundings {
        principal: Principal::Agent(agent(peer)),
        identity: match peer.method() {
            "process number" => "pid".to_owned(),
            _ => "pidfd".to_owned(),
        },
        workspace: workspace.filter(|_| sees),
        program: program(action, sees),
        resolved,
        wall,
        utc_offset_minutes: offset(wall),
        recent,
    }
}

fn agent(peer: &Peer) -> Agent {
    let placement = peer.placement();
    Agent {
        user: peer.user().as_ref().ok().cloned(),
        uid: peer.uid(),
        program: text(peer.program()),
        unit: Some(placement.system_unit.clone().unwrap_or_default()),
        container: Some(
            placement
                .container
                .as_ref()
                .map(Container::to_string)
                .unwrap_or_default(),
        ),
        host: host(),
        groups: peer.groups().as_ref().ok().cloned(),
    }
}

fn text(fact: &Fact<Vec<u8>>) -> Option<String> {
    let text = String::from_utf8(fact.as_ref().ok()?.clone()).ok()?;
    (!text.contains('\0')).then_some(text)
}

/// The machine's name, as its operator set it.
fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .replace('\0', "")
}

/// What the machine's time zone adds to UTC, in minutes.
fn offset(wall: Timestamp) -> i32 {
    jiff::Timestamp::from_millisecond(wall.as_millis()).map_or(0, |at| {
        jiff::tz::TimeZone::system().to_offset(at).seconds() / 60
    })
}

/// Finds out where the paths of an action lead, through every link.
fn resolve(action: &Value, cwd: Option<&str>) -> BTreeMap<String, String> {
    facts::paths_of(action)
        .into_iter()
        .filter_map(|path| facts::normalised(path, cwd))
        .filter_map(|path| {
            let leads = real(Path::new(&path))?
                .into_os_string()
                .into_string()
                .ok()?;
            Some((path, leads))
        })
        .collect()
}

/// Returns where a path leads. What is not there yet leads to where it would be made.
fn real(path: &Path) -> Option<PathBuf> {
    match std::fs::canonicalize(path) {
        Ok(path) => Some(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A link that leads nowhere would be followed when the file is made.
            if std::fs::symlink_metadata(path).is_ok() {
                return None;
            }
            Some(real(path.parent()?)?.join(path.file_name()?))
        }
        Err(_) => None,
    }
}

/// Returns the hash of the program that an `exec.run` names, or why there is none. `sees` tells whether
/// the requester sees the same files as the daemon.
fn program(action: &Value, sees: bool) -> Result<String, String> {
    // Whatever else names a large file shall not keep the daemon busy.
    if action.get("kind").and_then(Value::as_str) != Some("exec.run") {
        return Err("an action of this kind runs no program".to_owned());
    }
    // What the daemon runs itself, it looks up where it runs it.
    let is_ours = action.pointer("/arguments/profile").is_some();
    if !sees && !is_ours {
        return Err("the requester sees other files than the daemon".to_owned());
    }
    let path = action
        .pointer("/arguments/program/path")
        .and_then(Value::as_str)
        .ok_or_else(|| "the action names no program".to_owned())?;
    let path = Path::new(OsStr::from_bytes(path.as_bytes()));
    if !path.is_absolute() {
        return Err("the path of the program is not absolute".to_owned());
    }
    let failed = |error: std::io::Error| format!("the daemon cannot read it: {error}");
    let file = rustix::fs::open(
        path,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    )
    .map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.len() > LARGEST_PROGRAM {
        return Err(format!("it is larger than {LARGEST_PROGRAM} bytes"));
    }
    hash(file, &metadata).map_err(failed)
}

/// What a file was when it was hashed; a file that changed differs in one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Hashes a file, or remembers what came of it. Facts guide a judgement; what runs is hashed by
/// whoever executes it.
fn hash(mut file: File, metadata: &Metadata) -> std::io::Result<String> {
    static KNOWN: OnceLock<Mutex<HashMap<Version, String>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let version = Version::of(metadata);
    if let Some(hash) = known
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&version)
    {
        return Ok(hash.clone());
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    let hash = HEXLOWER.encode(&hasher.finalize());
    if Version::of(&file.metadata()?) == version {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(version, hash.clone());
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_where_its_links_lead_and_a_new_file_where_it_would_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(directory.path()).unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        assert_eq!(real(&root.join("link")), Some(root.join("real")));
        assert_eq!(
            real(&root.join("link/new/file")),
            Some(root.join("real/new/file"))
        );
        assert_eq!(real(&root.join("dangling")), None);
    }

    #[test]
    fn a_program_is_hashed_anew_when_it_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tool");
        let hash_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            program(&run(&json!(path)), true).unwrap()
        };
        let first = hash_of("one");
        assert_eq!(first, HEXLOWER.encode(&Sha256::digest(b"one")));
        assert_eq!(
            hash_of("second"),
            HEXLOWER.encode(&Sha256::digest(b"second"))
        );
        assert!(program(&run(&json!("tool")), true).is_err());
        assert!(program(&run(&json!(directory.path())), true).is_err());
        assert!(program(&run(&json!(null)), true).is_err());
    }

    #[test]
    fn a_program_is_read_for_what_runs_it_and_where_the_requester_sees_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tool");
        std::fs::write(&path, "one").unwrap();
        let mut action = run(&json!(path));
        assert!(program(&action, true).is_ok());
        let unseen = program(&action, false).unwrap_err();
        assert!(unseen.contains("sees other files"), "{unseen}");
        action["arguments"]["profile"] = json!("deploy");
        assert!(program(&action, false).is_ok());
        for kind in ["my.thing", "file.read", ""] {
            action["kind"] = json!(kind);
            let other = program(&action, true).unwrap_err();
            assert!(other.contains("runs no program"), "{other}");
        }
    }

    fn run(path: &Value) -> Value {
        json!({"kind": "exec.run", "arguments": {"program": {"path": path}}})
    }
}
