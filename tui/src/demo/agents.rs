//! The demonstration's three agents, each a real `countersign-agent`, and what happens once they
//! are approved.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tokio::sync::mpsc;

use super::{DemoError, Running, Stage, system};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: api
          image: registry.example/api:1.42
          resources:
            limits:
              memory: 512Mi
";

/// Starts the agents. They end with the returned values.
pub(super) fn start(
    stage: &Stage,
    notices: &mpsc::Sender<String>,
) -> Result<Vec<Running>, DemoError> {
    Ok(vec![
        configuration_change(stage, notices.clone())?,
        data_export(stage, notices.clone())?,
        harmless_command(stage, notices.clone())?,
    ])
}

/// Asks to change a file; once approved, changes it.
fn configuration_change(
    stage: &Stage,
    notices: mpsc::Sender<String>,
) -> Result<Running, DemoError> {
    let path = stage.work().join("deployment.yaml");
    let proposal = stage.directory.join("deployment.proposed.yaml");
    let after = DEPLOYMENT
        .replace("replicas: 3", "replicas: 30")
        .replace(":1.42", ":1.43");
    fs::write(&path, DEPLOYMENT)
        .and_then(|()| fs::write(&proposal, &after))
        .map_err(system("write the demo's files"))?;
    let mut command = stage.agent()?;
    command
        .args([
            "request",
            "--kind",
            "file.write",
            "--target",
            "deployment.yaml",
        ])
        .arg("--change")
        .arg(format!("{}={}", path.display(), proposal.display()))
        .args([
            "--agent",
            "deploy-bot",
            "--reason",
            "roll out 1.43 before the sale starts",
        ]);
    carry_out(stage, command, notices, move || {
        fs::write(&path, after).map(|()| "deployment.yaml now has 30 replicas of api:1.43")
    })
}

/// Asks to export data, with a secret that nobody needs to see; once approved, "exports" it.
fn data_export(stage: &Stage, notices: mpsc::Sender<String>) -> Result<Running, DemoError> {
    let secret = stage.directory.join("export-token");
    let target = stage.work().join("customers-eu.csv");
    fs::write(&secret, "demo-token-4f9b1c77a2").map_err(system("write the demo's files"))?;
    let mut command = stage.agent()?;
    command
        .args(["request", "--kind", "data.export", "--target", "customers"])
        .args(["--target-kind", "database"])
        .args([
            "--argument",
            "query=SELECT email, country FROM customers WHERE region = 'EU'",
        ])
        .arg("--secret")
        .arg(format!("token=@{}", secret.display()))
        .args([
            "--data",
            "customers,access=export,classification=pii,records=48211,destination=partner-sftp",
        ])
        .args([
            "--agent",
            "report-bot",
            "--reason",
            "monthly report for the partner",
        ]);
    carry_out(stage, command, notices, move || {
        fs::write(&target, "email,country\nada@customer.example,DE\n")
            .map(|()| "customers-eu.csv was exported")
    })
}

/// Asks to run a command; once approved, `countersign-agent` runs it.
fn harmless_command(stage: &Stage, notices: mpsc::Sender<String>) -> Result<Running, DemoError> {
    let mut command = stage.agent()?;
    command
        .args([
            "run",
            "--agent",
            "cleanup-bot",
            "--reason",
            "tidy up after the last release",
        ])
        .args(["--", "/bin/sh", "-c", "date > released.txt && ls"])
        .stdout(Stdio::piped());
    let child = command.spawn().map_err(system("start an agent"))?;
    watch(child, move |ended| {
        let Ok(ended) = ended else { return };
        let told = match ended.code() {
            Some(0) => "demo: the command ran; released.txt is there",
            Some(120..=122) => "demo: the command did not run",
            Some(_) | None => return,
        };
        drop(notices.blocking_send(told.to_owned()));
    })
}

/// Waits for the decision on a request, and carries it out once it is approved.
fn carry_out(
    stage: &Stage,
    mut ask: Command,
    notices: mpsc::Sender<String>,
    act: impl FnOnce() -> std::io::Result<&'static str> + Send + 'static,
) -> Result<Running, DemoError> {
    let child = ask
        .args(["--wait", "1h", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(system("start an agent"))?;
    let tickets = stage.directory.join("agents").join("tickets");
    let (redeem, report) = (stage.agent()?, stage.agent()?);
    watch(child, move |ended| {
        let told = match ended {
            Ok(ended) if ended.code() == Some(0) => {
                settle(&ended.stdout, &tickets, (redeem, report), act)
            }
            Ok(ended) if ended.code() == Some(3) => {
                Some("a request was denied; nothing happened".to_owned())
            }
            Ok(_) | Err(_) => None,
        };
        if let Some(told) = told {
            drop(notices.blocking_send(format!("demo: {told}")));
        }
    })
}

/// Redeems an approved request, acts, and reports.
fn settle(
    answer: &[u8],
    tickets: &std::path::Path,
    (mut redeem, mut report): (Command, Command),
    act: impl FnOnce() -> std::io::Result<&'static str>,
) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let id = answer.get("id")?.as_str()?;
    let document: PathBuf = tickets.join(id).join("document.json");
    let redeemed = redeem
        .args(["redeem", id, "--document"])
        .arg(document)
        .output()
        .ok()?;
    if !redeemed.status.success() {
        return Some("a request could not be redeemed; nothing happened".to_owned());
    }
    let done = act();
    let outcome = if done.is_ok() { "succeeded" } else { "failed" };
    // A report that does not arrive shows as a run that nobody can speak for.
    drop(report.args(["report", id, "--outcome", outcome]).output());
    Some(done.map_or_else(|error| format!("it failed: {error}"), str::to_owned))
}

/// How a process ended.
struct Ended {
    status: std::process::ExitStatus,
    stdout: Vec<u8>,
}

impl Ended {
    fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Waits for a process on a thread of its own, and returns what ends it.
fn watch(
    child: Child,
    then: impl FnOnce(std::io::Result<Ended>) + Send + 'static,
) -> Result<Running, DemoError> {
    let pid = rustix::process::Pid::from_child(&child);
    thread::Builder::new()
        .name("demo-agent".to_owned())
        .spawn(move || {
            let ended = child.wait_with_output().map(|output| Ended {
                status: output.status,
                stdout: output.stdout,
            });
            then(ended);
        })
        .map(|thread| Running::Watched(pid, thread))
        .map_err(system("start a thread"))
}
