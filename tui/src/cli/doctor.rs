//! Checks this installation and says what to mend, a line for each finding.

use std::path::{Path, PathBuf};

use countersign_client::peer::ConnectError;
use countersign_client::place::Place;
use serde_json::{Value, json};

mod hooks;
mod log;
mod people;
mod streams;
mod witnesses;

use super::exit::{Done, Trouble, chain};
use super::{output, runtime, wall_time};
use crate::client::Client;
use crate::signing::Pen;

/// How far two wall clocks may be apart, in milliseconds.
const CLOCKS_APART: i64 = 2_000;

/// What was looked at, and how it stands.
struct Finding {
    what: &'static str,
    is_well: bool,
    says: String,
}

/// What is checked.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Which witnesses are believed (C2SP tlog-policy); without it the home's `witness.policy`, where
    /// it can be read.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Also make a call through the hooks that are installed for agents' clients, and see that it is
    /// held. Reviewers see that request for a moment; it is withdrawn.
    #[arg(long)]
    hooks: bool,
}

pub(super) fn doctor(home: Option<&Path>, key: Option<&Path>, arguments: &Arguments) -> Done {
    let as_json = arguments.json;
    let mut findings = Vec::new();
    let mut log = Value::Null;
    let place = match Place::find(home) {
        Ok(place) => place,
        Err(error) => {
            findings.push(bad("home", chain(&error)));
            return tell(&findings, &log, as_json);
        }
    };
    findings.push(good(
        "home",
        place.layout().config_dir().display().to_string(),
    ));
    let agents = countersign_client::peer::connect(&place, &place.agent_socket());
    findings.push(match agents {
        Ok(_) => good("agents' socket", place.agent_socket().display().to_string()),
        // Agents and reviewers are kept apart: it is well that a reviewer may not ask.
        Err(error @ ConnectError::NotAllowed { .. }) => good("agents' socket", chain(&error)),
        Err(error) => bad("agents' socket", chain(&error)),
    });
    // A reviewer without a desktop uses the console; so there is nothing to mend.
    findings.push(good(
        "notifications",
        crate::notify::desktop::server().map_or_else(
            |error| format!("{}; the console rings by itself", chain(&error)),
            |server| format!("{server} answers; `countersign notify --test` shows a bubble"),
        ),
    ));
    runtime()?.block_on(async {
        log = connected(&place, key, arguments.policy.as_deref(), &mut findings).await;
    });
    check_profiles(home, &mut findings);
    if arguments.hooks {
        hooks::check(home, &mut findings);
    }
    tell(&findings, &log, as_json)
}

/// Looks at what the daemon runs itself: the files are its own, so its program reads them.
fn check_profiles(home: Option<&Path>, findings: &mut Vec<Finding>) {
    let Some(found) = super::daemons::profiles(home) else {
        // In system mode a reviewer may not read them, and should not.
        let text =
            "not looked at; `countersignd profiles` does, as the user that the daemon runs as";
        findings.push(good("profiles", text.to_owned()));
        return;
    };
    for (is_well, says) in found {
        findings.push(if is_well {
            good("profiles", says)
        } else {
            bad("profiles", says)
        });
    }
}

/// Looks at what can be seen over a connection only; returns the figures of the log.
async fn connected(
    place: &Place,
    key: Option<&Path>,
    policy: Option<&Path>,
    findings: &mut Vec<Finding>,
) -> Value {
    let mut client = match Client::connect(place).await {
        Ok(client) => {
            let socket = place.review_socket().display().to_string();
            findings.push(good("reviewers' socket", socket));
            client
        }
        Err(error) => {
            let advice = "start `countersignd`";
            findings.push(bad(
                "reviewers' socket",
                format!("{}; {advice}", chain(&error)),
            ));
            return Value::Null;
        }
    };
    check_clock(&mut client, findings).await;
    let log = log::check(place, policy, &mut client, findings).await;
    people::check(&mut client, findings).await;
    check_key(place, key, &mut client, findings).await;
    log
}

async fn check_key(
    place: &Place,
    key: Option<&Path>,
    client: &mut Client,
    findings: &mut Vec<Finding>,
) {
    match Pen::fetch(client).await {
        Ok(pen) => {
            findings.push(good("roster", format!("you are {}", pen.reviewer)));
            match pen.choose(key, place) {
                Ok(signer)
                    if signer.is_encrypted() || !matches!(signer, crate::keys::Signer::File(_)) =>
                {
                    findings.push(good(
                        "key",
                        format!("{} in {}", signer.fingerprint(), signer.place()),
                    ));
                }
                Ok(signer) => findings.push(bad(
                    "key",
                    format!(
                        "{} has no passphrase: any program you run can sign with it",
                        signer.place()
                    ),
                )),
                Err(error) => findings.push(bad("key", chain(&error))),
            }
        }
        Err(error) => findings.push(bad("roster", chain(&error))),
    }
}

async fn check_clock(client: &mut Client, findings: &mut Vec<Finding>) {
    use countersign_shared::wire::pb::watch_response::Change;

    let before = wall_time();
    let Ok(mut changes) = client.watch(0).await else {
        findings.push(bad("clock", "the daemon does not tell its time".to_owned()));
        return;
    };
    while let Ok(Some(answer)) = changes.message().await {
        if let Some(Change::SnapshotComplete(complete)) = answer.change {
            let apart = complete
                .now
                .parse::<countersign_shared::time::Timestamp>()
                .map(|now| now.as_millis().saturating_sub(before.as_millis()));
            findings.push(match apart {
                Ok(apart) if apart.abs() <= CLOCKS_APART => good(
                    "clock",
                    format!("within {} ms of the daemon's", apart.abs()),
                ),
                Ok(apart) => bad(
                    "clock",
                    format!("{} ms from the daemon's; set the clocks", apart.abs()),
                ),
                Err(_) => bad("clock", "the daemon's time cannot be read".to_owned()),
            });
            return;
        }
    }
    findings.push(bad("clock", "the daemon does not tell its time".to_owned()));
}

fn good(what: &'static str, says: String) -> Finding {
    Finding {
        what,
        is_well: true,
        says,
    }
}

fn bad(what: &'static str, says: String) -> Finding {
    Finding {
        what,
        is_well: false,
        says,
    }
}

fn tell(findings: &[Finding], log: &Value, as_json: bool) -> Done {
    if as_json {
        let checks: Vec<_> = findings
            .iter()
            .map(|finding| json!({"check": finding.what, "ok": finding.is_well, "message": finding.says}))
            .collect();
        output::json(&json!({"schema": 1, "checks": checks, "log": log}));
    } else {
        for finding in findings {
            let mark = if finding.is_well { "ok  " } else { "bad " };
            output::ours(&format!("{mark} {}: {}", finding.what, finding.says));
        }
    }
    if findings.iter().all(|finding| finding.is_well) {
        Ok(())
    } else if as_json {
        Err(Trouble::silent(1))
    } else {
        Err(Trouble::new(
            1,
            "unwell",
            "something has to be mended, see above",
        ))
    }
}
