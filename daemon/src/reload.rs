//! Reading the operator's files anew, on SIGHUP.
//!
//! They take force whole or not at all; in system mode when reviewers have signed them, but for what
//! they take away, which takes force at once. What stands against them is said in the journal, as an entry
//! of the log, and to whoever asks for the rules; the old ones stay. Keys that only a start reads
//! are refused here, so that nobody believes they took force.

use std::sync::Arc;

use anyhow::bail;
use countersign_shared::home::Mode;

use crate::config::Config;
use crate::engine::{Command, EngineError, NewRules};
use crate::home::Home;
use crate::rpc::Desk;
use crate::rules::Rules;
use crate::separation;

/// How often new rules are compared with those in force, which may change meanwhile.
const TRIES: u32 = 5;

/// The longest problem that an entry holds, in characters.
const LONGEST: usize = 2_000;

/// Reads the operator's files and puts them in force. A mistake in them changes nothing; that they
/// leave nobody to approve is none, and removes people and keys at once.
pub(crate) async fn reload(home: &Home, started: &Config, desk: &Desk) {
    let refused = match load(home, started) {
        Ok(rules) => put_in_force(desk, rules).await.err(),
        Err(error) => {
            let problem: String = format!("{error:#}").chars().take(LONGEST).collect();
            let noted = problem.clone();
            let written = desk
                .engine()
                .ask(|reply| Command::RulesRefused(noted, reply))
                .await;
            if let Err(error) = written {
                tracing::error!("no entry says that the rules were refused: {error}");
            }
            Some(problem)
        }
    };
    if let Some(problem) = &refused {
        tracing::error!("the old rules stay in force: {problem}");
    }
    desk.set_refused_rules(refused);
}

async fn put_in_force(desk: &Desk, rules: Rules) -> Result<(), String> {
    let rules = Arc::new(rules);
    // People sign meanwhile; what was compared with other rules is compared anew.
    for _ in 0..TRIES {
        let new = NewRules::of(&desk.rules(), Arc::clone(&rules))
            .map_err(|error| format!("{error:#}"))?;
        let new = Box::new(new);
        match desk.engine().ask(|reply| Command::Rules(new, reply)).await {
            Ok(force) => {
                tracing::info!(rules = %force.rules.digest, "these rules are in force");
                return Ok(());
            }
            Err(EngineError::RulesChanged) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the rules changed again and again; reload once more".to_owned())
}

fn load(home: &Home, started: &Config) -> anyhow::Result<Rules> {
    let config = Config::load(home.layout())?;
    if let Some(key) = fixed_key(started, &config) {
        bail!(
            "{}: `{key}` changes only with a new start of the daemon",
            home.layout().config_file().display()
        );
    }
    let rules = Rules::reload(home.layout(), &config)?;
    if let Err(error) = rules.profiles.check_means() {
        tracing::error!("{error}; until then nothing is run as it says");
    }
    check_separation(home, &config, &rules)?;
    Ok(rules)
}

/// Returns the first key that differs and is read at a start only.
fn fixed_key(started: &Config, now: &Config) -> Option<&'static str> {
    [
        ("mode", started.mode == now.mode),
        ("origin", started.origin == now.origin),
        ("groups", started.groups == now.groups),
        ("daemon_user", started.daemon_user == now.daemon_user),
        ("retention", started.retention == now.retention),
        ("stream", started.stream == now.stream),
        ("witnesses", started.witnesses == now.witnesses),
    ]
    .into_iter()
    .find_map(|(key, same)| (!same).then_some(key))
}

/// In system mode, refuses an installation in which agents, reviewers and daemon are not apart.
pub(crate) fn check_separation(home: &Home, config: &Config, rules: &Rules) -> anyhow::Result<()> {
    match config.mode {
        Mode::User => Ok(()),
        Mode::System => {
            let reviewers = rules
                .roster
                .iter()
                .map(countersign_shared::roster::Member::user);
            let daemon = rustix::process::geteuid().as_raw();
            Ok(separation::check(
                home.layout(),
                &config.groups,
                daemon,
                reviewers,
            )?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_start_reads_is_not_taken_by_a_reload() {
        let parse = |text: &str| Config::parse(std::path::Path::new("countersign.toml"), text);
        let base = "mode = \"system\"\norigin = \"countersign/one\"\n";
        let started = parse(base).unwrap();
        assert_eq!(fixed_key(&started, &parse(base).unwrap()), None);
        let limits = format!("{base}[limits]\npending = 5\n");
        assert_eq!(fixed_key(&started, &parse(&limits).unwrap()), None);
        for (key, text) in [
            ("mode", base.replace("system", "user")),
            ("origin", base.replace("one", "two")),
            ("groups", format!("{base}[groups]\nagents = \"bots\"\n")),
            ("daemon_user", format!("{base}daemon_user = \"other\"\n")),
            (
                "retention",
                format!("{base}[retention]\ndocuments_days = 9\n"),
            ),
            ("stream", format!("{base}[stream]\njournald = true\n")),
            (
                "witnesses",
                format!("{base}[witnesses]\npolicy = \"witness.policy\"\n"),
            ),
        ] {
            assert_eq!(fixed_key(&started, &parse(&text).unwrap()), Some(key));
        }
    }
}
