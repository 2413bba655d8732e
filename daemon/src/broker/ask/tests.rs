use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;

use countersign_shared::home::Mode;

use super::*;
use crate::config::{AllowedProgram, Groups, Input, Profile, ProfileLimits};

/// The profile `deploy` with this program and this directory.
fn profiles(program: &Path, directory: &Path) -> Profiles {
    let written = Profile {
        name: "deploy".to_owned(),
        user: None,
        groups: Vec::new(),
        agents: Vec::new(),
        agent_groups: Vec::new(),
        programs: vec![AllowedProgram {
            path: program.to_path_buf(),
            digest: None,
        }],
        directories: vec![directory.to_path_buf()],
        environment: BTreeMap::new(),
        from_agent: std::collections::BTreeSet::new(),
        secrets: BTreeMap::new(),
        limits: ProfileLimits::default(),
        input: Input::Shown,
        temporary: false,
        target: ("profile".to_owned(), "deploy".to_owned()),
    };
    let (profiles, left_out) =
        Profiles::resolve(vec![written], Mode::User, &Groups::default(), &[]).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    profiles
}

fn us() -> Peer {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    Peer::of(theirs).unwrap()
}

fn prepared(profiles: &Profiles, program: &[u8]) -> Result<Prepared, BrokerError> {
    let wanted = Wanted {
        profile: "deploy",
        program,
        directory: None,
        environment: BTreeMap::new(),
    };
    Prepared::of(profiles, &us(), wanted)
}

/// The action that asks for a program as the profile has it.
fn action(profiles: &Profiles, program: &str) -> Value {
    let made = prepared(profiles, program.as_bytes()).unwrap().to_value();
    json!({
        "v": 1,
        "kind": "exec.run",
        "target": made["target"],
        "arguments": {
            "argv": [program],
            "program": made["program"],
            "profile": made["profile"],
            "stdin": null,
        },
        "context": {"cwd": made["cwd"], "environment": made["environment"]},
    })
}

#[test]
fn an_action_of_another_kind_is_run_by_no_profile() {
    let profiles = profiles(Path::new("/bin/true"), Path::new("/"));
    let run = action(&profiles, "/bin/true");
    Prepared::of_action(&profiles, &us(), &run).unwrap();
    for kind in countersign_shared::action::KINDS {
        let mut other = run.clone();
        other["kind"] = kind.into();
        let asked = Prepared::of_action(&profiles, &us(), &other);
        match kind {
            "exec.run" => assert!(asked.is_ok()),
            _ => assert!(matches!(asked, Err(BrokerError::NotBrokered)), "{kind}"),
        }
    }
    let mut none = run;
    none.as_object_mut().unwrap().remove("kind");
    assert!(Prepared::of_action(&profiles, &us(), &none).is_err());
}

#[test]
fn what_the_daemon_would_not_do_stands_in_no_action_that_it_runs() {
    let profiles = profiles(Path::new("/bin/true"), Path::new("/"));
    let run = action(&profiles, "/bin/true");
    let mut tool = run.clone();
    tool["arguments"]["tool"] = json!({"client": "claude", "name": "Bash", "input": {}});
    let mut change = run;
    change["changes"] = json!([]);
    for (action, expected) in [(tool, "/arguments/tool"), (change, "/changes")] {
        let differs = Prepared::of_action(&profiles, &us(), &action).unwrap_err();
        assert!(
            matches!(differs, BrokerError::Differs { field, .. } if field == expected),
            "{differs}"
        );
    }
}

#[test]
fn a_link_that_others_could_lead_elsewhere_is_no_program_of_a_profile() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let theirs = root.join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    symlink("/bin/true", theirs.join("tool")).unwrap();
    let profiles = profiles(&theirs.join("tool"), Path::new("/"));
    prepared(&profiles, b"tool").unwrap();
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = prepared(&profiles, b"tool").unwrap_err().to_string();
    assert!(
        refused.contains("does not run what others can change"),
        "{refused}"
    );
}

#[test]
fn a_directory_that_became_a_link_is_not_the_one_that_the_profile_lists() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let work = root.join("work");
    std::fs::create_dir(&work).unwrap();
    let profiles = profiles(Path::new("/bin/true"), &work);
    prepared(&profiles, b"true").unwrap();
    std::fs::remove_dir(&work).unwrap();
    symlink("/etc", &work).unwrap();
    let refused = prepared(&profiles, b"true").unwrap_err().to_string();
    assert!(refused.contains("does not run in"), "{refused}");
}
