//! The profiles as they hold on this machine: accounts found, and nobody who could be two things.
//!
//! In user mode all there is runs as the one user. In system mode a profile runs as an account of its
//! own: an agent's could be looked into by the agent, a reviewer's holds the reviewer's keys, the
//! daemon's holds everything, and root's needs no profile. The text is part of the rules; what its names
//! mean is found out when these take force, and what means nothing here is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use countersign_shared::home::Mode;
use countersign_shared::requirement::Member;
use rustix::thread::CapabilitySet;
use serde_json::{Value, json};

use super::job::Identity;
use crate::config::{Groups, Profile};
use crate::identity::{AccountError, Accounts, Peer};

/// A profile cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The account database did not answer.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The profile is not what it must be here.
    #[error("profiles.toml: `profile.{profile}`: {problem}")]
    Wrong {
        /// The profile.
        profile: String,
        /// What is wrong.
        problem: String,
    },
    /// The daemon may not become another user.
    #[error(
        "profiles.toml: `profile.{profile}` runs as `{user}`, and the daemon may not become another \
         user; start it with CAP_SETUID, CAP_SETGID and CAP_KILL (systemd: \
         `AmbientCapabilities=CAP_SETUID CAP_SETGID CAP_KILL`)"
    )]
    Capabilities {
        /// The profile.
        profile: String,
        /// The account.
        user: String,
    },
}

/// How many processes a profile's account may have where the profile says nothing.
const MOST_PROCESSES: u64 = 1_024;

impl ProfileError {
    /// Returns the profile that it is about.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::Accounts(_) => None,
            Self::Wrong { profile, .. } | Self::Capabilities { profile, .. } => Some(profile),
        }
    }
}

/// A profile, and what its names mean here.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// As it was written.
    pub(crate) written: Profile,
    /// Who its programs run as, when they are not the daemon's own user.
    pub(super) identity: Option<Identity>,
    /// That user's name.
    pub(super) user: String,
    /// The users who may use it.
    agents: BTreeSet<u32>,
    /// Whether everybody may who may ask: so it is where there is one user only.
    is_open: bool,
}

/// All profiles.
#[derive(Debug, Clone, Default)]
pub struct Profiles(BTreeMap<String, Arc<Resolved>>);

/// Who must not be what a profile runs as.
struct Others<'a> {
    mode: Mode,
    daemon: u32,
    members: &'a [Member],
    /// The groups of the sockets, with what their members are.
    groups: Vec<(u32, &'static str)>,
}

impl Profiles {
    /// Finds out what profiles mean on this machine. Those that cannot be used are left out; why, is
    /// told beside the others.
    ///
    /// # Errors
    /// When the account database does not answer.
    pub fn resolve(
        written: Vec<Profile>,
        mode: Mode,
        groups: &Groups,
        members: &[Member],
    ) -> Result<(Self, Vec<ProfileError>), ProfileError> {
        if written.is_empty() {
            return Ok((Self::default(), Vec::new()));
        }
        let mut others = Others {
            mode,
            daemon: crate::home::us(),
            members,
            groups: Vec::new(),
        };
        if mode == Mode::System {
            for (name, whose) in [(&groups.agents, "agents"), (&groups.reviewers, "reviewers")] {
                // That there is such a group is checked where the sockets are made.
                others
                    .groups
                    .extend(Accounts.group(name)?.map(|group| (group.gid, whose)));
            }
        }
        let (mut usable, mut left_out) = (Self::default(), Vec::new());
        for profile in written {
            let name = profile.name.clone();
            let resolved = others
                .resolve(profile)
                .and_then(|resolved| usable.check_beside(resolved));
            match resolved {
                Ok(resolved) => {
                    usable.0.insert(name, Arc::new(resolved));
                }
                Err(error) => left_out.push(error),
            }
        }
        Ok((usable, left_out))
    }

    /// Refuses a profile that runs as the user of another one and has other secrets: what runs as one
    /// user can read what else runs so.
    fn check_beside(&self, resolved: Resolved) -> Result<Resolved, ProfileError> {
        let secrets = |profile: &Resolved| profile.written.secrets.clone();
        let uid = |profile: &Resolved| profile.identity.as_ref().map(|identity| identity.uid);
        let other = self.0.values().find(|other| {
            uid(other).is_some()
                && uid(other) == uid(&resolved)
                && secrets(other) != secrets(&resolved)
        });
        match other {
            None => Ok(resolved),
            Some(other) => Err(ProfileError::Wrong {
                problem: format!(
                    "runs as `{}`, as `profile.{}` does, which has other secrets that it could \
                     read; make an account for each",
                    resolved.user, other.written.name
                ),
                profile: resolved.written.name,
            }),
        }
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses profiles that this process could not run.
    ///
    /// # Errors
    /// The first profile that runs as somebody the daemon cannot become.
    pub fn check_means(&self) -> Result<(), ProfileError> {
        let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
        let has =
            rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
        match self.0.values().find(|profile| profile.identity.is_some()) {
            Some(profile) if !has => Err(ProfileError::Capabilities {
                profile: profile.written.name.clone(),
                user: profile.user.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns a profile that a caller may use.
    pub(super) fn of(&self, name: &str, peer: &Peer) -> Option<&Arc<Resolved>> {
        self.0.get(name).filter(|profile| profile.lets(peer))
    }
}

impl Others<'_> {
    fn resolve(&self, mut written: Profile) -> Result<Resolved, ProfileError> {
        if self.mode == Mode::System {
            // Of one account, which has nothing else to do: one run may not take the machine's all.
            written.limits.processes.get_or_insert(MOST_PROCESSES);
        }
        let wrong = |problem: String| ProfileError::Wrong {
            profile: written.name.clone(),
            problem,
        };
        // What does not exist yet is looked at when something is to run there.
        let through_a_link = written.directories.iter().find_map(|path| {
            let real = path.canonicalize().ok().filter(|real| real != path)?;
            Some((path, real))
        });
        if let Some((path, real)) = through_a_link {
            let (path, real) = (path.display(), real.display());
            return Err(wrong(format!(
                "the directory `{path}` is `{real}`: name it without links"
            )));
        }
        let mut agents = BTreeSet::new();
        for name in &written.agents {
            let account = Accounts.by_name(name)?;
            agents.insert(
                account
                    .ok_or_else(|| wrong(format!("there is no account `{name}`")))?
                    .uid,
            );
        }
        for name in &written.agent_groups {
            if Accounts.group(name)?.is_none() {
                return Err(wrong(format!("there is no OS group `{name}`")));
            }
        }
        let is_open = written.agents.is_empty() && written.agent_groups.is_empty();
        match self.mode {
            Mode::User => {
                if written.user.is_some() || !written.groups.is_empty() {
                    let problem = "`user` and `groups` are for system mode: here all is one user";
                    return Err(wrong(problem.to_owned()));
                }
                let own = Accounts.by_uid(self.daemon)?;
                Ok(Resolved {
                    user: own.map_or_else(|| self.daemon.to_string(), |account| account.name),
                    identity: None,
                    agents,
                    is_open,
                    written,
                })
            }
            Mode::System => {
                if is_open {
                    let problem = "name who may use it: `agents`, `agent_groups`";
                    return Err(wrong(problem.to_owned()));
                }
                let (user, identity) = self.identity(&written)?.map_err(wrong)?;
                Ok(Resolved {
                    user,
                    identity: Some(identity),
                    agents,
                    is_open: false,
                    written,
                })
            }
        }
    }

    /// Finds whom a profile of system mode runs as; inside, why it must not.
    fn identity(
        &self,
        written: &Profile,
    ) -> Result<Result<(String, Identity), String>, AccountError> {
        let Some(user) = &written.user else {
            let problem = "name the account to run as: `user`";
            return Ok(Err(problem.to_owned()));
        };
        let Some(account) = Accounts.by_name(user)? else {
            return Ok(Err(format!("there is no account `{user}`")));
        };
        let uid = account.uid;
        let is = |whose: &str| Ok(Err(format!("`{user}` is {whose}; make an account for it")));
        if uid == 0 {
            return is("root");
        }
        if uid == self.daemon {
            return is("the daemon's own account");
        }
        if self.members.iter().any(|member| member.uid == uid) {
            return is("a reviewer's account");
        }
        // All of them, and not only those it is run with: whoever is in the group is an agent.
        let all = Accounts.groups_of(&account)?;
        for (gid, whose) in &self.groups {
            if all.contains(gid) {
                return is(&format!("in the group of the {whose}"));
            }
        }
        if account.gid == 0 {
            return is("in the group `root`");
        }
        let mut groups = Vec::new();
        for name in &written.groups {
            let Some(group) = Accounts.group(name)? else {
                return Ok(Err(format!("there is no OS group `{name}`")));
            };
            if self.groups.iter().any(|(gid, _)| *gid == group.gid) || group.gid == 0 {
                return Ok(Err(format!("`{name}` is not a group to run with")));
            }
            groups.push(group.gid);
        }
        let identity = Identity {
            uid,
            gid: account.gid,
            groups,
        };
        Ok(Ok((user.clone(), identity)))
    }
}

impl Resolved {
    /// Tells whether a caller may use it.
    fn lets(&self, peer: &Peer) -> bool {
        self.is_open
            || self.agents.contains(&peer.uid())
            || peer.groups().as_ref().is_ok_and(|names| {
                let mut allowed = self.written.agent_groups.iter();
                allowed.any(|group| names.contains(group))
            })
    }

    /// Returns what stands in an action under `profile`.
    pub(crate) fn described(&self) -> Value {
        let written = &self.written;
        let secrets: serde_json::Map<String, Value> = written
            .secrets
            .iter()
            .map(|(name, (_, how))| (name.clone(), json!(how.word())))
            .collect();
        json!({
            "name": written.name,
            "user": self.user,
            "groups": written.groups,
            "secrets": secrets,
            "limits": self.limits(),
            "input": written.input.word(),
            "temporary": written.temporary,
        })
    }

    /// Returns the limits by name, those that there are.
    fn limits(&self) -> Value {
        let limits = &self.written.limits;
        let all = [
            ("cpu_s", limits.cpu.map(|span| span.as_secs())),
            ("memory", limits.memory),
            ("file_size", limits.file_size),
            ("files", limits.files),
            ("processes", limits.processes),
            ("output", Some(limits.output)),
            ("max_run_s", Some(limits.max_run.as_secs())),
        ];
        all.into_iter()
            .filter_map(|(name, limit)| Some((name.to_owned(), json!(limit?))))
            .collect()
    }
}

#[cfg(test)]
mod tests;
