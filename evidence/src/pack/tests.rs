use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::fixture::{self, Ask, Fixture, MIKA};
use crate::sink::Directory;

mod contents;
mod pruned;
mod rotating;
mod tampered;

/// A pack, and a PATH on which none of our programs is.
struct Made {
    parent: TempDir,
    packed: Packed,
}

/// What the script said.
struct Verdict {
    code: i32,
    text: String,
}

impl Made {
    fn of(log: &Fixture, scope: Scope) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let mut sink = Directory::create(&parent.path().join("pack")).unwrap();
        let order = Order {
            scope,
            made_at: "2026-11-21T09:00:00.000Z".parse().unwrap(),
            software: "countersign 0.1.0".to_owned(),
        };
        let packed = write(log, log.verifier(), &order, &mut sink).unwrap();
        let made = Self { parent, packed };
        let tools = made.parent.path().join("bin");
        fs::create_dir(&tools).unwrap();
        for (name, program) in [
            ("sh", found("sh")),
            ("sha256sum", found("sha256sum")),
            ("ssh-keygen", found("ssh-keygen")),
            ("python3", python()),
        ] {
            symlink(program, tools.join(name)).unwrap();
        }
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.parent.path().join("pack").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Changes a file, as somebody would who also renews the manifest.
    fn change(&self, name: &str, change: impl FnOnce(String) -> String) {
        let text = self.text(name);
        let changed = change(text.clone());
        assert_ne!(text, changed, "nothing was changed");
        fs::write(self.path(name), changed).unwrap();
        self.renew_manifest();
    }

    fn renew_manifest(&self) {
        let root = self.path("");
        let mut lines = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                if path.is_dir() {
                    directories.push(path);
                } else if name != "manifest.sha256" {
                    let digest = Digest::of(&fs::read(path).unwrap()).to_hex();
                    lines.push(format!("{digest}  {name}\n"));
                }
            }
        }
        fs::write(self.path("manifest.sha256"), lines.concat()).unwrap();
    }

    fn verify(&self, arguments: &[&str]) -> Verdict {
        let tools = self.parent.path().join("bin");
        let output = Command::new(tools.join("sh"))
            .arg(self.path("verify.sh"))
            .args(arguments)
            .current_dir(self.parent.path())
            .env_clear()
            .env("PATH", tools)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Verdict {
            code: output.status.code().unwrap(),
            text: String::from_utf8(text).unwrap(),
        }
    }

    #[track_caller]
    fn is_good(&self) {
        let verdict = self.verify(&[]);
        assert_eq!(verdict.code, 0, "{}", verdict.text);
    }

    #[track_caller]
    fn is_refused(&self, place: &str) {
        let verdict = self.verify(&[]);
        assert_eq!(verdict.code, 9, "{}", verdict.text);
        assert!(
            verdict.text.contains(place),
            "no `{place}` in: {}",
            verdict.text
        );
    }
}

fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut all = std::env::split_paths(&path).map(|directory| directory.join(name));
    all.find(|path| path.exists())
        .unwrap_or_else(|| panic!("`{name}` is not installed"))
}

/// The interpreter itself: what is on the PATH may be a script that needs other programs.
fn python() -> PathBuf {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The people that the story ends with, one more, and fewer groups.
const WIDER: &[(&str, u8, u32, &[&str])] = &[
    (MIKA, 1, 1001, &["sre", "data-stewards"]),
    ("ana@example.org", 3, 1003, &["sre"]),
];
const NARROWER: &[(&str, u8, u32, &[&str])] = &[(MIKA, 1, 1001, &["sre"])];

fn whole() -> Scope {
    Scope::Period(Period::default())
}
