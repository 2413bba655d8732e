//! The public conformance suite of MCP, against our own server: the proxy must change no result while
//! everything is permitted, and let no call through while everything is forbidden.
//!
//! The suite is a program for Node, fetched once at the version of the lock file and kept below
//! `target`. Without Node, or without a network the first time, these tests are left out, and say so.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use countersign_tests::Home;
use countersign_tests::programs::workspace;
use countersign_tests::wait::wait_at_most;
use serde_json::Value;

use super::http::{Front, TOKEN, serve};
use super::sent;

/// The revisions, and the least number of checks that the suite has for each.
const REVISIONS: [(&str, usize); 3] = [("2025-06-18", 50), ("2025-11-25", 80), ("2026-07-28", 150)];

/// How long the suite may take to be fetched.
const FETCH: Duration = Duration::from_secs(180);

/// How long it may take to run.
const RUN: Duration = Duration::from_secs(300);

const PERMIT: &str = "@id(\"all\") @review(\"nobody\")
permit (principal, action == Action::\"mcp.call\", resource);
";

const FORBID: &str = "@id(\"none\") @because(\"none of them\")
forbid (principal, action == Action::\"mcp.call\", resource);
";

/// What each check of each scenario came to. What the suite only noticed is left out.
type Results = BTreeMap<String, Vec<String>>;

/// Our own server, which keeps the names of the tools that it was asked to call.
struct Server {
    child: Child,
    url: String,
    called: PathBuf,
}

impl Server {
    #[track_caller]
    fn start(home: &Home) -> Self {
        let called = home.root().join("called");
        let mut command = Command::new("python3");
        command
            .arg("-B")
            .arg(files().join("server.py"))
            .arg(&called);
        let (child, port) = serve(&mut command);
        Self {
            child,
            url: format!("http://127.0.0.1:{port}/mcp"),
            called,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn files() -> PathBuf {
    workspace().join("tests/e2e/mcp/conformance")
}

/// Returns the suite's program, or says that the test is left out.
fn suite(test: &str) -> Option<&'static Path> {
    static SUITE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match SUITE.get_or_init(fetch) {
        Ok(path) => Some(path),
        Err(why) => {
            // Past the harness, which shows nothing of a test that passes.
            writeln!(std::io::stderr(), "skipped: {why}: {test}").expect("to write");
            None
        }
    }
}

fn fetch() -> Result<PathBuf, String> {
    let lock = fs::read(files().join("package-lock.json")).expect("the lock file");
    let version = countersign_shared::digest::Digest::of(&lock).to_hex();
    let target = workspace().join("target/mcp-conformance");
    let home = target.join(&version[..16]);
    let program = home.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|node| node.status.success()) {
        return Err("needs Node".to_owned());
    }
    if program.exists() {
        return Ok(program);
    }
    let draft = target.join(format!("draft-{}", std::process::id()));
    fs::create_dir_all(&draft).expect("a directory");
    for name in ["package.json", "package-lock.json"] {
        fs::copy(files().join(name), draft.join(name)).expect("a copy");
    }
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
    ])
    .current_dir(&draft);
    let fetched = ends_well(&mut npm, FETCH);
    // Another test process may have been faster.
    if fetched && (fs::rename(&draft, &home).is_ok() || program.exists()) {
        return Ok(program);
    }
    drop(fs::remove_dir_all(&draft));
    Err("the conformance suite of MCP cannot be fetched".to_owned())
}

fn ends_well(command: &mut Command, limit: Duration) -> bool {
    let quiet = || Stdio::null();
    let child = command
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    let status = wait_at_most(limit, || child.try_wait().expect("our own child"));
    if status.is_none() {
        drop(child.kill());
        drop(child.wait());
    }
    status.is_some_and(|status| status.success())
}

/// Runs the suite, and returns what its checks came to and what calls of tools were answered.
#[track_caller]
fn run(home: &Home, suite: &Path, url: &str, revision: &str, name: &str) -> (Results, Vec<Value>) {
    let output = home.root().join(format!("{name}-{revision}"));
    let calls = output.with_extension("calls");
    let mut node = Command::new("node");
    node.arg("--import")
        .arg(files().join("client.mjs"))
        .arg(suite)
        .args(["server", "--suite", "all", "--url", url])
        .args(["--spec-version", revision, "--output-dir"])
        .arg(&output)
        .env("MCP_TOKEN", TOKEN)
        .env("MCP_CALLS", &calls);
    // Its exit code says whether all checks passed, which a server that is forbidden to answer fails.
    ends_well(&mut node, RUN);
    let mut results = Results::new();
    for scenario in fs::read_dir(&output).expect("results") {
        let path = scenario.expect("results").path();
        // Directories are named after scenario and time, as in `-2026-11-22T03-46-14-285Z`.
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.get(..name.len() - 25));
        let name = name.expect("a name").to_owned();
        let checks = fs::read(path.join("checks.json")).expect("checks");
        let checks: Vec<Value> = serde_json::from_slice(&checks).expect("JSON");
        let text = |check: &Value, member: &str| check[member].as_str().map(str::to_owned);
        let told = checks.iter().filter_map(|check| {
            let status = text(check, "status").filter(|status| status != "INFO")?;
            Some(format!("{} {status}", text(check, "id")?))
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        results.insert(name, told);
    }
    let calls = sent(&calls);
    let read = |line: &String| serde_json::from_str(line).expect("JSON");
    (results, calls.iter().map(read).collect())
}

/// Tells whether an answer is one that a server could give to a call that it did not make.
fn is_error(call: &Value) -> bool {
    let said = call["said"].as_str().unwrap_or_default();
    let message = match said.lines().rfind(|line| line.starts_with("data: {")) {
        Some(data) => data.trim_start_matches("data: "),
        None => said,
    };
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    // What the message and its headers say differently is nobody's call.
    message["result"]["isError"] == true || (call["status"] == 400 && message["error"].is_object())
}

#[test]
fn the_proxy_changes_no_result_of_the_conformance_suite_while_policy_permits_every_call() {
    let Some(suite) = suite(
        "the_proxy_changes_no_result_of_the_conformance_suite_while_policy_permits_every_call",
    ) else {
        return;
    };
    let home = Home::with_policy("", PERMIT);
    let server = Server::start(&home);
    let front = Front::before(
        &home,
        &["--upstream", &server.url],
        None,
        home.root().join("x"),
    );
    for (revision, least) in REVISIONS {
        let (direct, _) = run(&home, suite, &server.url, revision, "direct");
        let url = format!("http://{}/mcp", front.at);
        let (through, _) = run(&home, suite, &url, revision, "through");
        let differ = direct
            .iter()
            .filter(|(name, told)| through.get(*name) != Some(told));
        let differ: Vec<_> = differ
            .map(|(name, told)| (told, through.get(name)))
            .collect();
        assert!(differ.is_empty(), "{revision}: {differ:#?}");
        assert_eq!(direct.len(), through.len(), "{revision}");
        let checks: Vec<_> = direct.values().flatten().collect();
        let passed = checks.iter().filter(|check| check.ends_with("SUCCESS"));
        assert!(passed.count() >= least, "{revision}: {direct:#?}");
        let failed = checks.iter().filter(|check| check.ends_with("FAILURE"));
        assert_eq!(failed.count(), 0, "{revision}: {direct:#?}");
    }
    assert!(!sent(&server.called).is_empty());
}

#[test]
fn every_call_of_the_conformance_suite_is_an_error_while_policy_forbids_them() {
    let Some(suite) =
        suite("every_call_of_the_conformance_suite_is_an_error_while_policy_forbids_them")
    else {
        return;
    };
    let home = Home::with_policy("", FORBID);
    let server = Server::start(&home);
    let front = Front::before(
        &home,
        &["--upstream", &server.url],
        None,
        home.root().join("x"),
    );
    for (revision, _) in REVISIONS {
        let url = format!("http://{}/mcp", front.at);
        let (_, calls) = run(&home, suite, &url, revision, "forbidden");
        let errors = calls.iter().filter(|call| is_error(call));
        assert!(errors.count() >= 10, "{revision}: {calls:#?}");
        for call in &calls {
            assert!(is_error(call), "{revision}: {call:#}");
        }
        assert_eq!(sent(&server.called), Vec::<String>::new(), "{revision}");
    }
}
