//! `init`: makes a home with its keys, its first reviewer and the policy one begins with, once.
//!
//! Nothing that exists is changed: the first thing found is named and refused. `countersign.toml`
//! comes last, so that a home whose making was cut short does not look whole.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use countersign_policy::starter;
use countersign_shared::home::{Layout, Mode};
use countersign_shared::id::RequestId;
use countersign_shared::log::note::{KeyError, SignerKey};
use countersign_shared::roster::{Person, Roster, RosterError};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::Groups;
use crate::home::{HomeError, check_directory, shown, us};
use crate::identity::{AccountError, Accounts};

/// A home that was not made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something is there already.
    #[error("`{}` exists already, and `init` changes nothing that exists", shown(.0))]
    Exists(PathBuf),
    /// The account database did not answer.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// No such account.
    #[error("the account `{}` does not exist", .0.escape_debug())]
    NoAccount(String),
    /// In user mode there is one user, and that is us.
    #[error(
        "in user mode the reviewer's account is the daemon's own: `{}` has uid {found}, we are \
         uid {wanted}",
        account.escape_debug()
    )]
    NotUs {
        /// The account that was named.
        account: String,
        /// Its user.
        found: u32,
        /// Our user.
        wanted: u32,
    },
    /// Who asks cannot be who decides.
    #[error("the account `{}` is in the group `{group}` of the agents", account.escape_debug())]
    ReviewerIsAgent {
        /// The reviewer's account.
        account: String,
        /// The agents' group.
        group: String,
    },
    /// The first reviewer cannot be one.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The log's key could not be made.
    #[error("cannot make the key of the log")]
    Key(#[from] KeyError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// A file could not be written as TOML.
    #[error("cannot write `{name}` as TOML")]
    Toml {
        /// The file's name.
        name: &'static str,
        /// Why.
        #[source]
        source: toml::ser::Error,
    },
    /// A directory that was there, or has just been made, cannot be trusted.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file or directory could not be made.
    #[error("cannot make `{}`", shown(path))]
    Make {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What to make.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub layout: Layout,
    /// Who shares the machine with whom.
    pub mode: Mode,
    /// The first reviewer's name.
    pub reviewer: String,
    /// The first reviewer's OS account.
    pub user: String,
    /// The first reviewer's public key, as a line of OpenSSH.
    pub key: String,
    /// The account the daemon runs as; `None` is our own. Naming another needs root.
    pub daemon_user: Option<String>,
    /// Whether the policy one begins with is written. Without any, everything is held.
    pub policy: bool,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The name of the log.
    pub origin: String,
    /// The log's verifier key, as `log.vkey` holds it.
    pub vkey: String,
    /// Every file and directory, in the order of their making.
    pub paths: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ConfigFile<'a> {
    mode: Mode,
    origin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon_user: Option<&'a str>,
}

#[derive(Serialize)]
struct ReviewersFile {
    reviewer: [Person; 1],
}

/// Makes the home.
///
/// # Errors
/// What stands in the way; when that is something that exists, nothing was changed.
pub fn init(options: &Options) -> Result<Made, InitError> {
    let layout = &options.layout;
    refuse_what_exists(layout)?;
    let owner = daemon_uid(options)?;
    let person = first_reviewer(options)?;
    let daemon_account = match (options.mode, &options.daemon_user) {
        (Mode::User, _) => None,
        (Mode::System, Some(name)) => Some(name.clone()),
        (Mode::System, None) => Accounts.by_uid(us())?.map(|account| account.name),
    };

    let origin = format!("countersign/{}", random_word()?);
    let seed = Zeroizing::new(random::<32>()?);
    let mask = Zeroizing::new(random::<32>()?);
    let vkey = SignerKey::from_seed(&origin, &seed)?.verifier().to_string();
    let reviewers = toml::to_string(&ReviewersFile { reviewer: [person] })
        .map_err(|source| toml_error("reviewers.toml", source))?;
    let config = toml::to_string(&ConfigFile {
        mode: options.mode,
        origin: &origin,
        daemon_user: daemon_account.as_deref(),
    })
    .map_err(|source| toml_error("countersign.toml", source))?;

    let mut maker = Maker {
        owner: (owner != us()).then_some(owner),
        paths: Vec::new(),
    };
    let open = match options.mode {
        Mode::User => 0o700,
        // Agents and reviewers pass through to the sockets, or read the configuration.
        Mode::System if layout.is_one_directory() => 0o711,
        Mode::System => 0o755,
    };
    maker.directory(layout.config_dir(), open, owner)?;
    if !layout.is_one_directory() {
        maker.directory(layout.state_dir(), 0o700, owner)?;
    }
    maker.directory(&layout.policy_dir(), open, owner)?;
    let public = if options.mode == Mode::User {
        0o600
    } else {
        0o644
    };
    if options.policy {
        for (name, text) in [
            (starter::NAME, starter::POLICY),
            (starter::CASES_NAME, starter::CASES),
        ] {
            let file = layout.policy_dir().join(name);
            maker.file(&file, text.as_bytes(), public)?;
        }
    }
    maker.file(&layout.log_key(), &*seed, 0o600)?;
    maker.file(&layout.mask_key(), &*mask, 0o600)?;
    maker.file(&layout.log_vkey(), format!("{vkey}\n").as_bytes(), public)?;
    maker.file(&layout.reviewers_file(), reviewers.as_bytes(), public)?;
    maker.file(&layout.config_file(), config.as_bytes(), public)?;
    Ok(Made {
        origin,
        vkey,
        paths: maker.paths,
    })
}

fn toml_error(name: &'static str, source: toml::ser::Error) -> InitError {
    InitError::Toml { name, source }
}

/// Refuses when anything that `init` would make, or that a daemon made, is there.
fn refuse_what_exists(layout: &Layout) -> Result<(), InitError> {
    for path in [
        layout.config_file(),
        layout.reviewers_file(),
        layout.targets_file(),
        layout.kinds_file(),
        layout.policy_dir(),
        layout.log_key(),
        layout.log_key_next(),
        layout.log_key_ending(),
        layout.log_vkey(),
        layout.mask_key(),
        layout.database(),
        layout.head(),
    ] {
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(InitError::Exists(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(InitError::Make { path, source }),
        }
    }
    Ok(())
}

fn account(name: &str) -> Result<u32, InitError> {
    match Accounts.by_name(name)? {
        Some(account) => Ok(account.uid),
        None => Err(InitError::NoAccount(name.to_owned())),
    }
}

/// The user the daemon will run as.
fn daemon_uid(options: &Options) -> Result<u32, InitError> {
    match (options.mode, &options.daemon_user) {
        (Mode::System, Some(name)) => account(name),
        (Mode::System, None) | (Mode::User, _) => Ok(us()),
    }
}

fn first_reviewer(options: &Options) -> Result<Person, InitError> {
    let uid = account(&options.user)?;
    if options.mode == Mode::User && uid != us() {
        return Err(InitError::NotUs {
            account: options.user.clone(),
            found: uid,
            wanted: us(),
        });
    }
    if options.mode == Mode::System {
        refuse_an_agent(&options.user)?;
    }
    let person = Person {
        name: options.reviewer.clone(),
        user: options.user.clone(),
        groups: Vec::new(),
        keys: vec![options.key.trim_end().to_owned()],
    };
    // The daemon would refuse at its start what the roster refuses now.
    Roster::from_people(vec![person.clone()])?;
    Ok(person)
}

/// Refuses a reviewer who is an agent, as far as the agents' group exists already; the daemon looks
/// at everything again when it starts.
fn refuse_an_agent(user: &str) -> Result<(), InitError> {
    let Groups { agents, .. } = Groups::default();
    let (Some(group), Some(account)) = (Accounts.group(&agents)?, Accounts.by_name(user)?) else {
        return Ok(());
    };
    if Accounts.groups_of(&account)?.contains(&group.gid) {
        return Err(InitError::ReviewerIsAgent {
            account: user.to_owned(),
            group: agents,
        });
    }
    Ok(())
}

fn random<const N: usize>() -> Result<[u8; N], InitError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(InitError::Random)?;
    Ok(bytes)
}

/// 128 random bits in the spelling of ids, without a prefix.
fn random_word() -> Result<String, InitError> {
    let id = RequestId::from_bytes(random::<16>()?).to_string();
    Ok(id.strip_prefix(RequestId::PREFIX).unwrap_or(&id).to_owned())
}

/// Makes files and directories and remembers them.
struct Maker {
    /// Who gets them, when that is not us.
    owner: Option<u32>,
    paths: Vec<PathBuf>,
}

impl Maker {
    /// Makes a directory and those above it, or checks one that is there.
    fn directory(&mut self, path: &Path, mode: u32, owner: u32) -> Result<(), InitError> {
        let failed = |source| InitError::Make {
            path: path.to_path_buf(),
            source,
        };
        if let Some(parent) = path.parent() {
            // What is above is nobody's secret, and what is missing of it becomes ours.
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .map_err(failed)?;
        }
        match DirBuilder::new().mode(mode).create(path) {
            Ok(()) => {
                let directory = fs::File::open(path).map_err(failed)?;
                // The umask may have taken bits away.
                rustix::fs::fchmod(&directory, mode.into())
                    .map_err(io::Error::from)
                    .map_err(failed)?;
                fchown(&directory, self.owner, None).map_err(failed)?;
                self.paths.push(path.to_path_buf());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(source)),
        }
        Ok(check_directory(path, &[owner, us()], mode)?)
    }

    /// Makes a file that was not there, durable before the next one.
    fn file(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), InitError> {
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                InitError::Exists(path.to_path_buf())
            } else {
                InitError::Make {
                    path: path.to_path_buf(),
                    source,
                }
            }
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map_err(failed)?;
        fchown(&file, self.owner, None).map_err(failed)?;
        rustix::fs::fchmod(&file, mode.into())
            .map_err(io::Error::from)
            .map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        if let Some(parent) = path.parent() {
            fs::File::open(parent)
                .and_then(|directory| directory.sync_all())
                .map_err(failed)?;
        }
        self.paths.push(path.to_path_buf());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use countersign_policy::cases;

    use super::*;
    use crate::config::{Candidates, Config, load_roster};
    use crate::home::Home;
    use crate::rules::Rules;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti mika";

    fn options(home: &Path, mode: Mode) -> Options {
        Options {
            layout: Layout::at(home).unwrap(),
            mode,
            reviewer: "mika@example.org".to_owned(),
            user: Accounts.by_uid(us()).unwrap().unwrap().name,
            key: format!("{KEY}\n"),
            daemon_user: None,
            policy: true,
        }
    }

    #[test]
    fn a_home_that_was_made_opens_and_holds_its_first_reviewer() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [Mode::User, Mode::System] {
            let options = options(&directory.path().join(format!("{mode:?}")), mode);
            let made = init(&options).unwrap();
            let config = Config::load(&options.layout).unwrap();
            assert_eq!((config.mode, &config.origin), (mode, &made.origin));
            assert_eq!(made.origin.len(), "countersign/".len() + 26);
            let home = Home::open(options.layout.clone(), mode).unwrap();
            assert_ne!(home.log_key().unwrap(), home.mask_key().unwrap());
            let signer = SignerKey::from_seed(&made.origin, &home.log_key().unwrap()).unwrap();
            assert_eq!(signer.verifier().to_string(), made.vkey);
            let roster = load_roster(&options.layout).unwrap();
            assert!(roster.by_name("mika@example.org").is_some());
            for key in [options.layout.log_key(), options.layout.mask_key()] {
                assert_eq!(fs::metadata(key).unwrap().mode() & 0o777, 0o600);
            }
        }
    }

    #[test]
    fn the_policy_one_begins_with_loads_and_is_written_unless_it_is_not_wanted() {
        let directory = tempfile::tempdir().unwrap();
        for (mode, bits) in [(Mode::User, 0o600), (Mode::System, 0o644)] {
            let options = options(&directory.path().join(format!("{mode:?}")), mode);
            let made = init(&options).unwrap();
            let file = options.layout.policy_dir().join(starter::NAME);
            assert!(made.paths.contains(&file));
            assert_eq!(fs::read_to_string(&file).unwrap(), starter::POLICY);
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, bits);
            let config = Config::load(&options.layout).unwrap();
            let rules = Rules::load(&options.layout, &config).unwrap();
            assert!(rules.policies.len() > 10, "{mode:?}");
            assert_eq!(rules.policies.findings(), []);
            let files = Candidates::default().cases(&options.layout).unwrap();
            let [file] = files.as_slice() else {
                panic!("{files:?}");
            };
            let cases = cases::parse(&file.name, &file.text).unwrap();
            let tested = cases::run(&rules.policies, &cases);
            assert_eq!(tested.failed(), 0, "\n{tested}");
        }
        let mut without = options(&directory.path().join("without"), Mode::User);
        without.policy = false;
        init(&without).unwrap();
        let left = fs::read_dir(without.layout.policy_dir()).unwrap().count();
        assert_eq!(left, 0);
    }

    #[test]
    fn nothing_that_exists_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(&directory.path().join("h"), Mode::User);
        init(&options).unwrap();
        let before = fs::read(options.layout.log_key()).unwrap();
        let error = init(&options).unwrap_err();
        assert!(matches!(error, InitError::Exists(_)), "{error}");
        for file in [
            options.layout.config_file(),
            options.layout.reviewers_file(),
        ] {
            fs::remove_file(file).unwrap();
        }
        fs::remove_dir_all(options.layout.policy_dir()).unwrap();
        let error = init(&options).unwrap_err();
        assert!(error.to_string().contains("log.key"), "{error}");
        assert_eq!(fs::read(options.layout.log_key()).unwrap(), before);
        assert!(!options.layout.policy_dir().exists());
    }

    #[test]
    fn a_reviewer_who_cannot_be_one_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("h");
        let mut no_account = options(&home, Mode::System);
        no_account.user = "no-such-account".to_owned();
        assert!(matches!(init(&no_account), Err(InitError::NoAccount(_))));
        let mut no_key = options(&home, Mode::User);
        no_key.key = "ssh-ed25519 AAAA".to_owned();
        assert!(matches!(init(&no_key), Err(InitError::Roster(_))));
        if us() == 0 {
            let mut other = options(&home, Mode::User);
            other.user = "daemon".to_owned();
            assert!(matches!(init(&other), Err(InitError::NotUs { .. })));
        } else {
            eprintln!("a_reviewer_who_cannot_be_one_leaves_nothing_behind: part needs root");
        }
        assert!(!home.exists());
    }

    #[test]
    fn the_daemons_files_are_given_to_its_account() {
        if us() != 0 {
            eprintln!("the_daemons_files_are_given_to_its_account skipped: needs root");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(&directory.path().join("h"), Mode::System);
        options.daemon_user = Some("daemon".to_owned());
        init(&options).unwrap();
        let daemon = Accounts.by_name("daemon").unwrap().unwrap().uid;
        for path in [
            options.layout.state_dir().to_path_buf(),
            options.layout.log_key(),
            options.layout.policy_dir(),
            options.layout.policy_dir().join(starter::NAME),
        ] {
            assert_eq!(fs::metadata(path).unwrap().uid(), daemon);
        }
    }
}
