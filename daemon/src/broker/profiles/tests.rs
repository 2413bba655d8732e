use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::*;
use crate::config::{AllowedProgram, Delivery, Input, ProfileLimits, SecretSource};

fn profile() -> Profile {
    Profile {
        name: "deploy".to_owned(),
        user: None,
        groups: Vec::new(),
        agents: Vec::new(),
        agent_groups: Vec::new(),
        programs: vec![AllowedProgram {
            path: PathBuf::from("/bin/true"),
            digest: None,
        }],
        directories: vec![PathBuf::from("/")],
        environment: BTreeMap::new(),
        from_agent: BTreeSet::new(),
        secrets: BTreeMap::from([(
            "TOKEN".to_owned(),
            (
                SecretSource::File(PathBuf::from("/etc/token")),
                Delivery::Environment,
            ),
        )]),
        limits: ProfileLimits::default(),
        input: Input::Shown,
        temporary: true,
        target: ("profile".to_owned(), "deploy".to_owned()),
    }
}

fn resolve(profile: Profile, mode: Mode) -> Result<Profiles, ProfileError> {
    let (profiles, mut left_out) = Profiles::resolve(vec![profile], mode, &Groups::default(), &[])?;
    match left_out.pop() {
        Some(error) => {
            assert!(
                profiles.is_empty(),
                "a profile that cannot be used is there"
            );
            Err(error)
        }
        None => Ok(profiles),
    }
}

/// This process, as it connects.
fn us() -> Peer {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    Peer::of(theirs).unwrap()
}

#[test]
fn in_user_mode_a_profile_runs_as_the_one_user_there_is() {
    let profiles = resolve(profile(), Mode::User).unwrap();
    let resolved = profiles.of("deploy", &us()).unwrap();
    assert_eq!(resolved.identity, None);
    profiles.check_means().unwrap();
    assert!(profiles.of("other", &us()).is_none());
    for (user, groups) in [(Some("root"), Vec::new()), (None, vec!["root".to_owned()])] {
        let other = Profile {
            user: user.map(str::to_owned),
            groups,
            ..profile()
        };
        assert!(resolve(other, Mode::User).is_err());
    }
}

#[test]
fn a_profile_that_names_its_users_is_for_no_others() {
    let accounts = [("nobody", false), ("root", crate::home::us() == 0)];
    for (name, is_ours) in accounts {
        let named = Profile {
            agents: vec![name.to_owned()],
            ..profile()
        };
        let profiles = resolve(named, Mode::User).unwrap();
        assert_eq!(profiles.of("deploy", &us()).is_some(), is_ours, "{name}");
    }
    let named = Profile {
        agents: vec!["no-such-account".to_owned()],
        ..profile()
    };
    assert!(resolve(named, Mode::User).is_err());
}

#[test]
fn what_agents_and_reviewers_are_told_of_a_profile_says_nothing_of_where_secrets_are() {
    let profiles = resolve(profile(), Mode::User).unwrap();
    let described = profiles.of("deploy", &us()).unwrap().described();
    assert_eq!(described["secrets"], json!({"TOKEN": "environment"}));
    assert!(!described.to_string().contains("/etc/token"), "{described}");
    assert_eq!(described["limits"]["max_run_s"], 3600);
    assert!(described["limits"].get("memory").is_none());
}

#[test]
fn profiles_of_one_user_have_the_same_secrets() {
    let account = Accounts.by_name("nobody").unwrap().unwrap();
    let of = |name: &str, secrets: BTreeMap<_, _>| Profile {
        name: name.to_owned(),
        user: Some(account.name.clone()),
        agents: vec!["root".to_owned()],
        secrets,
        ..profile()
    };
    let resolve =
        |written| Profiles::resolve(written, Mode::System, &Groups::default(), &[]).unwrap();
    let secrets = profile().secrets;
    let (both, left_out) = resolve(vec![of("one", secrets.clone()), of("two", secrets.clone())]);
    assert!(left_out.is_empty() && both.0.len() == 2, "{left_out:?}");
    let (one, left_out) = resolve(vec![of("one", secrets), of("two", BTreeMap::new())]);
    assert_eq!(one.0.len(), 1);
    let error = left_out[0].to_string();
    assert!(
        error.contains("`profile.two`") && error.contains("`profile.one`"),
        "{error}"
    );
    // And what one of them runs cannot take all processes there are.
    let limits = &one.0["one"].written.limits;
    assert_eq!(limits.processes, Some(MOST_PROCESSES));
}

#[test]
fn a_directory_is_named_without_links() {
    let place = tempfile::tempdir().unwrap();
    let link = place.path().join("link");
    std::os::unix::fs::symlink("/", &link).unwrap();
    let linked = Profile {
        directories: vec![link],
        ..profile()
    };
    let error = resolve(linked, Mode::User).unwrap_err().to_string();
    assert!(error.contains("without links"), "{error}");
}
