//! What `/proc` says about a process. Every answer is a fact or an [`Unknown`], never a default.
//!
//! These functions go by process number; whoever calls them holds a pidfd and confirms afterwards
//! that the number still named the same process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::sync::OnceLock;

use data_encoding::BASE64;
use serde_json::{Value, json};

/// The longest `/proc` file that is read, in bytes.
const LIMIT: usize = 64 << 10;

/// What a `/proc` file usually fits in: it is read at one go then.
const USUAL: usize = 4 << 10;

/// The longest line of ancestors; a longer one is unknown, not cut.
const GENERATIONS: usize = 64;

/// How often the walk starts over when a parent dies under it.
const ATTEMPTS: usize = 3;

/// A fact, or why there is none.
pub type Fact<T> = Result<T, Unknown>;

/// Why a fact is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(String);

impl Unknown {
    pub(super) fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<&io::Error> for Unknown {
    fn from(error: &io::Error) -> Self {
        let kind = error.kind();
        Self(if kind == io::ErrorKind::NotFound {
            "the process is gone".to_owned()
        } else if kind == io::ErrorKind::PermissionDenied {
            "the daemon may not read it".to_owned()
        } else {
            kind.to_string()
        })
    }
}

/// One process above the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Its number.
    pub pid: u32,
    /// Its real, effective, saved and file system users.
    pub uids: BTreeSet<u32>,
    /// Its program.
    pub program: Fact<Vec<u8>>,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Ancestor {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "pid": self.pid,
            "uids": self.uids,
            "program": marked(&self.program, |path| text(path)),
            "started": self.started,
        })
    }
}

/// Writes a fact so that it says what it is.
pub(super) fn marked<T>(fact: &Fact<T>, write: impl FnOnce(&T) -> Value) -> Value {
    match fact {
        Ok(value) => json!({ "computed": write(value) }),
        Err(Unknown(reason)) => json!({ "unknown": reason }),
    }
}

/// Writes bytes as text, or as base64 when they are none.
pub(super) fn text(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        // The canonical form refuses NUL.
        Ok(text) if !text.contains('\0') => json!(text),
        _ => json!({ "base64": BASE64.encode(bytes) }),
    }
}

fn read(pid: u32, name: &str) -> Fact<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL);
    let most = u64::try_from(LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    File::open(format!("/proc/{pid}/{name}"))
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| Unknown::from(&error))?;
    if bytes.len() > LIMIT {
        return Err(Unknown(format!("it is longer than {LIMIT} bytes")));
    }
    Ok(bytes)
}

fn link(pid: u32, name: &str) -> Fact<Vec<u8>> {
    fs::read_link(format!("/proc/{pid}/{name}"))
        .map(|path| path.into_os_string().into_vec())
        .map_err(|error| Unknown::from(&error))
}

/// The path of the program.
pub(super) fn program(pid: u32) -> Fact<Vec<u8>> {
    link(pid, "exe")
}

/// The working directory.
pub(super) fn directory(pid: u32) -> Fact<Vec<u8>> {
    link(pid, "cwd")
}

/// The lines of its cgroups.
pub(super) fn cgroup(pid: u32) -> Fact<Vec<u8>> {
    read(pid, "cgroup")
}

/// The argument vector, as the process left it.
pub(super) fn arguments(pid: u32) -> Fact<Vec<Vec<u8>>> {
    let bytes = read(pid, "cmdline")?;
    let Some(bytes) = bytes.strip_suffix(b"\0") else {
        return if bytes.is_empty() {
            Err(Unknown::new("the process has none"))
        } else {
            Err(Unknown::new("the process has overwritten it"))
        };
    };
    Ok(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}

/// Who logged in, through any change of user since; `None` when nobody did.
pub(super) fn login_uid(pid: u32) -> Fact<Option<u32>> {
    let bytes = read(pid, "loginuid")?;
    let uid = number::<u32>(&bytes).ok_or_else(|| Unknown::new("it is not a number"))?;
    Ok(Some(uid).filter(|uid| *uid != u32::MAX))
}

/// When the process started, in clock ticks since boot.
pub(super) fn started(pid: u32) -> Fact<u64> {
    stat(pid).map(|stat| stat.started)
}

#[derive(PartialEq, Eq)]
struct Stat {
    parent: u32,
    started: u64,
}

fn stat(pid: u32) -> Fact<Stat> {
    let bytes = read(pid, "stat")?;
    parse_stat(&bytes).ok_or_else(|| Unknown::new("its status cannot be read"))
}

/// Reads fields 4 and 22 (`proc_pid_stat(5)`). The name before them is the process's own choice and
/// may hold anything, `)` included, so the last `)` ends it.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let end = bytes.iter().rposition(|byte| *byte == b')')?;
    let mut fields = bytes
        .get(end.checked_add(1)?..)?
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    Some(Stat {
        parent: number(fields.nth(1)?)?,
        started: number(fields.nth(17)?)?,
    })
}

/// Under which users and groups a process runs (`proc_pid_status(5)`).
pub(super) struct Status(Vec<u8>);

impl Status {
    pub(super) fn of(pid: u32) -> Fact<Self> {
        read(pid, "status").map(Self)
    }

    /// The real, effective, saved and file system users.
    pub(super) fn uids(&self) -> Fact<BTreeSet<u32>> {
        numbers(&self.0, b"Uid:")
            .filter(|uids| !uids.is_empty())
            .ok_or_else(|| Unknown::new("its users cannot be read"))
    }

    /// The groups: real, effective, saved and file system, and the supplementary ones.
    pub(super) fn gids(&self) -> Fact<BTreeSet<u32>> {
        numbers(&self.0, b"Gid:")
            .filter(|gids| !gids.is_empty())
            .zip(numbers(&self.0, b"Groups:"))
            .map(|(mut gids, more)| {
                gids.extend(more);
                gids
            })
            .ok_or_else(|| Unknown::new("its groups cannot be read"))
    }
}

/// The real, effective, saved and file system users of a process.
pub(super) fn uids(pid: u32) -> Fact<BTreeSet<u32>> {
    Status::of(pid)?.uids()
}

/// Returns the numbers of a line.
fn numbers(status: &[u8], name: &[u8]) -> Option<BTreeSet<u32>> {
    status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name))?
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .map(number)
        .collect()
}

/// Whether a process sees the files that we see, under the same names: its root and its mounts are
/// ours.
pub(super) fn sees_our_files(pid: u32) -> Fact<bool> {
    let same = |name: &str| Ok::<_, Unknown>(link(pid, name)? == link(std::process::id(), name)?);
    Ok(same("ns/mnt")? && same("root")?)
}

/// The processes above, the nearest first, up to the first process of the namespace.
pub(super) fn ancestry(pid: u32) -> Fact<Vec<Ancestor>> {
    let mut last = Unknown::new("the processes above kept changing");
    for _ in 0..ATTEMPTS {
        match walk(pid) {
            Ok(ancestors) => return Ok(ancestors),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}

fn walk(pid: u32) -> Fact<Vec<Ancestor>> {
    let mut ancestors = Vec::new();
    let mut child = pid;
    let mut seen = stat(pid)?;
    loop {
        let parent = seen.parent;
        if parent == 0 {
            return Ok(ancestors);
        }
        if ancestors.len() == GENERATIONS {
            return Err(Unknown(format!("there are more than {GENERATIONS}")));
        }
        let (uids, program, above) = (uids(parent)?, program(parent), stat(parent)?);
        // A parent that died left its children to another one: still being the parent proves that
        // what was read in between was its own, and not that of a later bearer of the number.
        if stat(child)? != seen {
            return Err(Unknown::new("the processes above kept changing"));
        }
        ancestors.push(Ancestor {
            pid: parent,
            uids,
            program,
            started: above.started,
        });
        (child, seen) = (parent, above);
    }
}

/// The number that stands for users outside our user namespace, as it was at the first call.
pub(super) fn overflow_uid() -> u32 {
    static FOUND: OnceLock<u32> = OnceLock::new();
    *FOUND.get_or_init(|| {
        fs::read("/proc/sys/kernel/overflowuid")
            .ok()
            .and_then(|bytes| number(&bytes))
            .unwrap_or(65_534)
    })
}

/// Tells whether our user namespace leaves users out, so that several share the overflow number.
pub(super) fn users_are_mapped() -> bool {
    let Ok(map) = fs::read("/proc/self/uid_map") else {
        return true;
    };
    let fields: Option<Vec<u32>> = map
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .map(number)
        .collect();
    fields.as_deref() != Some(&[0, 0, u32::MAX])
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    str::from_utf8(bytes).ok()?.trim_ascii().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let fields = "S 41 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1\n";
        for name in ["cat", "a) S 1 (b", ") ) )", "\n"] {
            let stat = parse_stat(format!("42 ({name}) {fields}").as_bytes()).unwrap();
            assert_eq!((stat.parent, stat.started), (41, 777), "{name}");
        }
        assert!(parse_stat(b"42 (cat) S").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn our_own_facts_are_known() {
        let pid = std::process::id();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(program(pid).unwrap(), exe.as_os_str().as_encoded_bytes());
        let arguments = arguments(pid).unwrap();
        assert_eq!(arguments.len(), std::env::args_os().count());
        assert!(uids(pid).unwrap().contains(&crate::home::us()));
        let parent = std::os::unix::process::parent_id();
        assert_eq!(ancestry(pid).unwrap().first().unwrap().pid, parent);
    }

    #[test]
    fn a_process_that_is_not_there_is_unknown_everywhere() {
        // Above the highest number the kernel gives out.
        let pid = 1 << 23;
        program(pid).unwrap_err();
        directory(pid).unwrap_err();
        arguments(pid).unwrap_err();
        cgroup(pid).unwrap_err();
        login_uid(pid).unwrap_err();
        uids(pid).unwrap_err();
        started(pid).unwrap_err();
        ancestry(pid).unwrap_err();
    }

    #[test]
    fn bytes_that_are_no_text_are_written_as_base64() {
        assert_eq!(text(b"/bin/sh"), json!("/bin/sh"));
        assert_eq!(text(b"/\xff"), json!({"base64": "L/8="}));
        assert_eq!(text(b"a\0b"), json!({"base64": "YQBi"}));
        assert_eq!(
            marked(&Err::<u32, _>(Unknown::new("no")), |n| json!(n)),
            json!({"unknown": "no"})
        );
    }
}
