//! Whether agents, reviewers and daemon are really apart, as system mode promises.
//!
//! [`violations`] is a pure function over [`Facts`]; [`Facts::gather`] reads them. The daemon does
//! not start with a violation. What this cannot see: an agent that may become another user by other
//! means (sudo, a setuid program, a container engine's socket).

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use countersign_shared::home::Layout;

use crate::config::Groups;
use crate::home::HomeError;
use crate::home::shown;
use crate::home::way::way;
use crate::identity::{AccountError, Accounts};

/// A fact could not be read, so nothing can be promised.
#[derive(Debug, thiserror::Error)]
pub enum SeparationError {
    /// The account database did not answer.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// A group of the configuration does not exist.
    #[error("the group `{0}` does not exist, so create it or name another in `groups`")]
    NoGroup(String),
    /// A reviewer's account does not exist.
    #[error("the account `{0}` of a reviewer does not exist")]
    NoAccount(String),
    /// They are not apart.
    #[error("agents are not apart from what governs them: {}", listed(.0))]
    Violated(Vec<Violation>),
    /// The way to a file could not be followed.
    #[error(transparent)]
    Way(#[from] HomeError),
    /// A file could not be looked at.
    #[error("cannot look at `{}`", shown(path))]
    Path {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Somebody who is two things at once, or may change what governs them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Root passes every check there is.
    #[error("agent account `{}` has uid 0", .0.escape_debug())]
    AgentIsRoot(String),
    /// An agent that is the daemon may rewrite everything.
    #[error("agent account `{}` is the account of the daemon", .0.escape_debug())]
    AgentIsDaemon(String),
    /// An agent in the reviewers' group reaches the reviewers' socket.
    #[error("agent account `{}` is in the group of the reviewers", .0.escape_debug())]
    AgentIsInReviewers(String),
    /// An agent with a reviewer's account may use that reviewer's keys.
    #[error("agent account `{}` is the account of a reviewer", .0.escape_debug())]
    AgentIsReviewer(String),
    /// An agent may change what decides about it.
    #[error("agent account `{}` can write `{}`", agent.escape_debug(), shown(path))]
    AgentCanWrite {
        /// The account.
        agent: String,
        /// What it can write.
        path: PathBuf,
    },
    /// An access list may let anyone in, whatever the mode says.
    #[error("`{}` has an access control list, so remove it with `setfacl -b`", shown(.0))]
    AccessList(PathBuf),
}

/// One account of the agents' group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// All groups.
    pub groups: BTreeSet<u32>,
}

/// A file or directory that decides, or lies above one that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// Where.
    pub path: PathBuf,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
    /// Whether it is a symbolic link, whose own mode says nothing.
    pub is_link: bool,
    /// Whether entries of it may be renamed only by their owners.
    pub is_sticky: bool,
    /// Whether an access control list adds to the mode.
    pub has_access_list: bool,
}

/// All that [`violations`] needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The accounts in the agents' group.
    pub agents: Vec<Agent>,
    /// The number of the reviewers' group.
    pub reviewers_group: u32,
    /// The users of the accounts in the reviewers' group and in the roster.
    pub reviewers: BTreeSet<u32>,
    /// The daemon's user.
    pub daemon: u32,
    /// What no agent may write.
    pub guarded: Vec<Guarded>,
}

fn listed(violations: &[Violation]) -> String {
    let all: Vec<String> = violations.iter().map(Violation::to_string).collect();
    all.join("; ")
}

/// Refuses an installation in which agents, reviewers and daemon are not apart.
///
/// # Errors
/// All violations, or the first fact that could not be read.
pub fn check<'a>(
    layout: &Layout,
    groups: &Groups,
    daemon: u32,
    reviewers: impl IntoIterator<Item = &'a str>,
) -> Result<(), SeparationError> {
    let found = violations(&Facts::gather(layout, groups, daemon, reviewers)?);
    if found.is_empty() {
        Ok(())
    } else {
        Err(SeparationError::Violated(found))
    }
}

/// Returns everything that is not apart; nothing when all is.
pub fn violations(facts: &Facts) -> Vec<Violation> {
    let mut found = Vec::new();
    for agent in &facts.agents {
        let name = || agent.name.clone();
        if agent.uid == 0 {
            found.push(Violation::AgentIsRoot(name()));
            continue;
        }
        if agent.uid == facts.daemon {
            found.push(Violation::AgentIsDaemon(name()));
        }
        if agent.groups.contains(&facts.reviewers_group) {
            found.push(Violation::AgentIsInReviewers(name()));
        }
        if facts.reviewers.contains(&agent.uid) {
            found.push(Violation::AgentIsReviewer(name()));
        }
        for guarded in &facts.guarded {
            if guarded.may_be_written_by(agent) {
                found.push(Violation::AgentCanWrite {
                    agent: name(),
                    path: guarded.path.clone(),
                });
            }
        }
    }
    found.extend(
        facts
            .guarded
            .iter()
            .filter(|guarded| guarded.has_access_list)
            .map(|guarded| Violation::AccessList(guarded.path.clone())),
    );
    found
}

impl Guarded {
    /// An owner counts as a writer: what the mode forbids an owner may allow again.
    fn may_be_written_by(&self, agent: &Agent) -> bool {
        if self.uid == agent.uid {
            return true;
        }
        if self.is_link || self.is_sticky {
            return false;
        }
        self.mode & 0o002 != 0 || (self.mode & 0o020 != 0 && agent.groups.contains(&self.gid))
    }
}

impl Facts {
    /// Reads the facts of an installation whose roster names `reviewers` as OS accounts.
    ///
    /// # Errors
    /// The first fact that could not be read.
    pub fn gather<'a>(
        layout: &Layout,
        groups: &Groups,
        daemon: u32,
        reviewers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SeparationError> {
        let accounts = Accounts;
        let group = |name: &str| {
            accounts
                .group(name)?
                .ok_or_else(|| SeparationError::NoGroup(name.escape_debug().to_string()))
        };
        let agents_group = group(&groups.agents)?;
        let reviewers_group = group(&groups.reviewers)?;
        let mut facts = Self {
            reviewers_group: reviewers_group.gid,
            daemon,
            guarded: guarded(layout)?,
            ..Self::default()
        };
        for account in accounts.members(&agents_group)? {
            facts.agents.push(Agent {
                groups: accounts.groups_of(&account)?.into_iter().collect(),
                name: account.name,
                uid: account.uid,
            });
        }
        for account in accounts.members(&reviewers_group)? {
            facts.reviewers.insert(account.uid);
        }
        for name in reviewers {
            let account = accounts
                .by_name(name)?
                .ok_or_else(|| SeparationError::NoAccount(name.escape_debug().to_string()))?;
            facts.reviewers.insert(account.uid);
        }
        Ok(facts)
    }
}

/// Looks at everything that decides, and at every directory above it.
fn guarded(layout: &Layout) -> Result<Vec<Guarded>, SeparationError> {
    let mut paths = BTreeSet::new();
    let policy = layout.policy_dir();
    for path in [
        layout.config_file(),
        layout.reviewers_file(),
        layout.targets_file(),
        layout.kinds_file(),
        layout.profiles_file(),
        layout.state_dir().to_path_buf(),
        policy.clone(),
    ] {
        if let Some(parent) = path.parent() {
            // Links on the way lead elsewhere, which counts as well.
            let (names, _) = way(parent)?;
            paths.extend(names);
        }
        paths.insert(path);
    }
    let failed = |source| SeparationError::Path {
        path: policy.clone(),
        source,
    };
    for entry in std::fs::read_dir(&policy).map_err(failed)? {
        paths.insert(entry.map_err(failed)?.path());
    }
    let mut found = Vec::new();
    for path in paths {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => found.push(Guarded {
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: metadata.mode() & 0o7777,
                is_link: metadata.is_symlink(),
                is_sticky: metadata.is_dir() && metadata.mode() & 0o1000 != 0,
                has_access_list: has_access_list(&path)?,
                path,
            }),
            // `targets.toml` and `kinds.toml` need not be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SeparationError::Path { path, source }),
        }
    }
    Ok(found)
}

fn has_access_list(path: &Path) -> Result<bool, SeparationError> {
    use rustix::io::Errno;
    let mut nothing: [u8; 0] = [];
    match rustix::fs::lgetxattr(path, c"system.posix_acl_access", &mut nothing) {
        Ok(size) => Ok(size > 0),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(SeparationError::Path {
            path: path.to_path_buf(),
            source: error.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(uid: u32, groups: &[u32]) -> Agent {
        Agent {
            name: "bot".to_owned(),
            uid,
            groups: groups.iter().copied().collect(),
        }
    }

    fn guarded(uid: u32, gid: u32, mode: u32) -> Guarded {
        Guarded {
            path: PathBuf::from("/p"),
            uid,
            gid,
            mode: mode & 0o777,
            is_link: false,
            is_sticky: mode & 0o1000 != 0,
            has_access_list: false,
        }
    }

    fn facts(agents: Vec<Agent>, guarded: Vec<Guarded>) -> Facts {
        Facts {
            agents,
            reviewers_group: 200,
            reviewers: BTreeSet::from([1002]),
            daemon: 900,
            guarded,
        }
    }

    #[test]
    fn an_agent_apart_from_everything_is_no_violation() {
        let files = vec![
            guarded(0, 0, 0o755),
            guarded(900, 900, 0o700),
            guarded(0, 0, 0o1777),
        ];
        assert_eq!(violations(&facts(vec![agent(1001, &[100])], files)), []);
    }

    #[test]
    fn each_way_of_being_two_things_is_named() {
        let bot = || "bot".to_owned();
        for (agent, wanted) in [
            (agent(0, &[]), Violation::AgentIsRoot(bot())),
            (agent(900, &[]), Violation::AgentIsDaemon(bot())),
            (agent(1001, &[200]), Violation::AgentIsInReviewers(bot())),
            (agent(1002, &[]), Violation::AgentIsReviewer(bot())),
        ] {
            assert_eq!(violations(&facts(vec![agent], vec![])), [wanted]);
        }
    }

    #[test]
    fn each_way_of_writing_what_decides_is_named() {
        let written = [Violation::AgentCanWrite {
            agent: "bot".to_owned(),
            path: PathBuf::from("/p"),
        }];
        for file in [
            guarded(0, 100, 0o775),
            guarded(0, 0, 0o777),
            guarded(1001, 0, 0o400),
        ] {
            assert_eq!(
                violations(&facts(vec![agent(1001, &[100])], vec![file])),
                written
            );
        }
        let other_group = guarded(0, 101, 0o775);
        assert_eq!(
            violations(&facts(vec![agent(1001, &[100])], vec![other_group])),
            []
        );
    }

    #[test]
    fn an_access_list_is_refused_even_without_agents() {
        let mut file = guarded(0, 0, 0o755);
        file.has_access_list = true;
        assert_eq!(
            violations(&facts(vec![], vec![file])),
            [Violation::AccessList(PathBuf::from("/p"))]
        );
    }

    #[test]
    fn facts_are_read_of_what_decides_and_all_above_it() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::at(directory.path()).unwrap();
        std::fs::create_dir(layout.policy_dir()).unwrap();
        std::fs::write(layout.policy_dir().join("a.cedar"), "").unwrap();
        let found = super::guarded(&layout).unwrap();
        for path in [
            PathBuf::from("/"),
            layout.state_dir().to_path_buf(),
            layout.policy_dir().join("a.cedar"),
        ] {
            assert!(found.iter().any(|guarded| guarded.path == path), "{path:?}");
        }
    }

    #[test]
    fn a_group_that_does_not_exist_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::at(directory.path()).unwrap();
        let groups = Groups {
            agents: "no-such-group".to_owned(),
            ..Groups::default()
        };
        let error = Facts::gather(&layout, &groups, 0, []).unwrap_err();
        assert!(matches!(error, SeparationError::NoGroup(_)), "{error}");
    }
}
