//! The programs under test: built once by the first test that needs them, found in the directory
//! that the test's own executable was built into, so that they are of the same profile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The daemon.
pub const DAEMON: &str = "countersignd";
/// The people's program.
pub const PERSON: &str = "countersign";
/// The agents' program.
pub const AGENT: &str = "countersign-agent";

/// Returns the path of a program, which is built when it was not yet.
///
/// # Panics
/// When the programs cannot be built.
pub fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(build).join(name)
}

/// Builds all programs and returns their directory.
fn build() -> PathBuf {
    let own = std::env::current_exe().expect("the test has an executable");
    // target/PROFILE/deps/TEST, or target/PROFILE/PROGRAM.
    let beside = own.parent().expect("the executable is in a directory");
    let profile_dir = if beside.ends_with("deps") {
        beside.parent().expect("`deps` is in a profile's directory")
    } else {
        beside
    }
    .to_path_buf();
    let target = profile_dir.parent().expect("the profile is in `target`");
    let name = profile_dir
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a profile's name");
    let profile = if name == "debug" { "dev" } else { name };
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--workspace",
            "--bins",
            "--locked",
            "--quiet",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the programs cannot be built: {status}");
    profile_dir
}

/// Returns the directory of the workspace.
///
/// # Panics
/// Never: this package lies in it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace is above this package")
}
