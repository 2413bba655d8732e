//! The action of a command that the daemon is to run: what was asked for, and what the profile makes of
//! it, which the daemon will compare with its own once more.

use std::os::unix::ffi::OsStrExt as _;

use countersign_shared::action::{ActionBuilder, Contents, Program, Text};
use countersign_shared::digest::Digest;
use countersign_shared::limits::Limits;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::ExecOptions;
use crate::exit::Exit;
use crate::failure::Failure;

/// What a profile makes of an asking.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    target: Target,
    program: Found,
    profile: Map<String, Value>,
    cwd: String,
    environment: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    kind: String,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    path: String,
    sha256: String,
}

impl Described {
    /// Reads the daemon's answer.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(bytes).map_err(|error| {
            Failure::of(Exit::Failure, "bad-answer", &error)
                .hint("check that agent and daemon are of the same version")
        })
    }

    /// Tells whether standard input is passed on while the program runs.
    pub(super) fn streams(&self) -> bool {
        self.profile.get("input").and_then(Value::as_str) == Some("streamed")
    }

    /// Writes the action.
    pub(super) fn action(
        &self,
        options: &ExecOptions,
        input: Option<&Contents>,
        limits: &Limits,
    ) -> Result<Vec<u8>, Failure> {
        let strange = |what: &str| {
            let message = format!("the daemon's answer has a strange `{what}`");
            Failure::new(Exit::Failure, "bad-answer", message)
        };
        let argv = options.command.iter();
        let argv = argv
            .map(|argument| Text::from_bytes(argument.as_bytes().to_vec()))
            .collect();
        let program = Program {
            path: self.program.path.clone(),
            digest: Digest::from_hex(&self.program.sha256).map_err(|_| strange("sha256"))?,
        };
        let Target { kind, name } = &self.target;
        let mut action = ActionBuilder::exec(kind, name, argv, &program, input)
            .argument("profile", Value::Object(self.profile.clone()))
            .cwd(&self.cwd);
        for (name, value) in &self.environment {
            let text = text(value).ok_or_else(|| strange("environment"))?;
            action = action.environment(name, text);
        }
        for (name, claim) in [("agent", &options.agent), ("reason", &options.reason)] {
            if let Some(text) = claim {
                action = action.claim(name, text);
            }
        }
        action
            .build(limits)
            .map_err(|error| crate::request::of_action(&error))
    }
}

/// Reads a variable's value.
fn text(value: &Value) -> Option<Text> {
    if let Some(text) = value.as_str() {
        return Some(Text::clear(text));
    }
    let encoded = value.get("base64")?.as_str()?;
    let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
    Some(Text::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::cli::{Arguments, Command};

    fn described() -> Value {
        json!({
            "target": {"kind": "profile", "name": "deploy"},
            "program": {"path": "/bin/true", "sha256": "ab".repeat(32)},
            "profile": {
                "name": "deploy", "user": "deploy", "groups": [], "secrets": {"TOKEN": "environment"},
                "limits": {"output": 5}, "input": "shown", "temporary": true,
            },
            "cwd": "/srv",
            "environment": {"PATH": "/bin", "ODD": {"base64": "/w=="}},
        })
    }

    fn options() -> Box<ExecOptions> {
        let line = [
            "countersign-agent",
            "exec",
            "--as",
            "deploy",
            "--",
            "true",
            "x",
        ];
        let Command::Exec(options) = Arguments::try_parse_from(line).unwrap().command else {
            panic!("not `exec`");
        };
        options
    }

    #[test]
    fn the_action_holds_what_the_profile_says_and_the_command_as_it_was_given() {
        let bytes = serde_json::to_vec(&described()).unwrap();
        let read = Described::read(&bytes).unwrap();
        assert!(!read.streams());
        let action = read.action(&options(), None, &Limits::default()).unwrap();
        let action: Value = serde_json::from_slice(&action).unwrap();
        assert_eq!(action["arguments"]["argv"], json!(["true", "x"]));
        assert_eq!(action["arguments"]["profile"], described()["profile"]);
        assert_eq!(action["context"]["environment"], described()["environment"]);
        assert_eq!(action["target"]["name"], "deploy");
    }

    #[test]
    fn an_answer_that_is_not_understood_is_asked_for_by_nobody() {
        for (pointer, value) in [
            ("/program/sha256", json!("xyz")),
            ("/environment/PATH", json!(5)),
            ("/environment/ODD", json!({"base64": "?"})),
            ("/profile/limits", json!("none")),
            ("/target/name", json!("")),
        ] {
            let mut answer = described();
            *answer.pointer_mut(pointer).unwrap() = value;
            let bytes = serde_json::to_vec(&answer).unwrap();
            let read = Described::read(&bytes).unwrap();
            let failure = read.action(&options(), None, &Limits::default());
            assert!(failure.is_err(), "{pointer}");
        }
        let mut answer = described();
        answer["more"] = json!(1);
        assert!(Described::read(&serde_json::to_vec(&answer).unwrap()).is_err());
    }
}
