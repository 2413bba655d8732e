//! Whether what a profile names is there as a run needs it: programs, directories, secrets. It is looked at
//! as a run looks at it, and nothing is started; commands for secrets are not run, and no value of a
//! secret is kept.

use std::path::Path;

use countersign_program::program::Program;

use crate::config::{AllowedProgram, Profile, SecretSource};
use crate::home::read_private;
use crate::home::way::check_unchangeable;

/// The longest secret, in bytes; longer ones are refused by a run as well.
const LONGEST: usize = 16 << 10;

/// Says what a run under a profile would fail for, a line for each.
pub(crate) fn problems(profile: &Profile) -> Vec<String> {
    let programs = profile.programs.iter().filter_map(|it| program(it).err());
    let directories = profile.directories.iter().filter_map(|directory| {
        let problem = match std::fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => return None,
            Ok(_) => "is no directory".to_owned(),
            Err(error) => format!("cannot be entered: {error}"),
        };
        Some(format!("the directory `{}` {problem}", directory.display()))
    });
    let secrets = profile.secrets.iter().filter_map(|(name, (source, _))| {
        let problem = secret(source).err()?;
        Some(format!("the secret `{name}` {problem}"))
    });
    programs.chain(directories).chain(secrets).collect()
}

fn program(allowed: &AllowedProgram) -> Result<(), String> {
    let opened = Program::open(allowed.path.as_os_str(), None, Path::new("/"))
        .map_err(|error| chain(&error))?;
    check_unchangeable(&allowed.path).map_err(|error| chain(&error))?;
    match allowed.digest {
        Some(pinned) if pinned != opened.digest() => Err(format!(
            "the program `{}` has the contents {}, the profile pins {pinned}",
            allowed.path.display(),
            opened.digest()
        )),
        Some(_) | None => Ok(()),
    }
}

fn secret(source: &SecretSource) -> Result<(), String> {
    let file = |path: &Path| match read_private(path, LONGEST) {
        Ok(_value) => Ok(()),
        Err(error) => Err(format!("cannot be used: {}", chain(&error))),
    };
    match source {
        SecretSource::File(path) => file(path),
        SecretSource::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(directory) => file(&Path::new(&directory).join(name)),
            // Only the daemon's own unit is given them.
            None => Ok(()),
        },
        SecretSource::Command(argv) => {
            let program = argv.first().map_or("", String::as_str);
            check_unchangeable(Path::new(program))
                .map_err(|error| format!("has no command: {}", chain(&error)))?;
            match Program::open(program.as_ref(), None, Path::new("/")) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("has no command: {}", chain(&error))),
            }
        }
    }
}

/// Writes an error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use countersign_shared::digest::Digest;

    use super::*;
    use crate::config::{Delivery, Input, ProfileLimits};

    fn profile(root: &Path) -> Profile {
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
            directories: vec![root.to_path_buf()],
            environment: BTreeMap::default(),
            from_agent: BTreeSet::default(),
            secrets: [(
                "TOKEN".to_owned(),
                (
                    SecretSource::File(root.join("secret")),
                    Delivery::Environment,
                ),
            )]
            .into(),
            limits: ProfileLimits::default(),
            input: Input::default(),
            temporary: true,
            target: ("profile".to_owned(), "deploy".to_owned()),
        }
    }

    fn write(path: &Path, mode: u32) {
        fs::write(path, "hunter2-hunter2\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    type Damage = fn(&mut Profile);

    #[test]
    fn what_is_missing_or_open_to_others_is_told_and_no_secret_with_it() {
        let root = tempfile::tempdir().unwrap();
        let secret = root.path().join("secret");
        write(&secret, 0o600);
        assert_eq!(problems(&profile(root.path())), Vec::<String>::new());

        let damages: [(&str, Damage); 4] = [
            ("/no/such/tool", |it| {
                it.programs[0].path = PathBuf::from("/no/such/tool");
            }),
            ("pins", |it| {
                it.programs[0].digest = Some(Digest::of(b"other"));
            }),
            ("/no/such/place", |it| {
                it.directories.push(PathBuf::from("/no/such/place"));
            }),
            ("the secret `TOKEN` has no command", |it| {
                let source = SecretSource::Command(vec!["/no/such/command".to_owned()]);
                let secret = (source, Delivery::Environment);
                it.secrets.insert("TOKEN".to_owned(), secret);
            }),
        ];
        for (words, damage) in damages {
            let mut wrong = profile(root.path());
            damage(&mut wrong);
            let found = problems(&wrong);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(words), "{found:?}");
        }
        for mode in [0o644, 0o640] {
            write(&secret, mode);
            let found = problems(&profile(root.path()));
            assert!(
                found[0].starts_with("the secret `TOKEN` cannot be used"),
                "{found:?}"
            );
            assert!(!found[0].contains("hunter2"), "{found:?}");
        }
        fs::remove_file(&secret).unwrap();
        assert_eq!(problems(&profile(root.path())).len(), 1);
    }
}
