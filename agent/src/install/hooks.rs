//! What has to stand in a client's settings.

use std::path::Path;

use jsonc_parser::cst::CstInputValue;
use serde_json::Value;

use super::InstallError;
use crate::hook::Dialect;

/// How long a client waits for the answer to a call, in seconds: a day.
const GATE_SECONDS: u32 = 86_400;

/// Our own time for it, which is over before.
const GATE_LIMIT: &str = "23h";

/// How long a client waits while the end of a call is reported, in seconds.
const OVER_SECONDS: u32 = 60;

/// The name of this program's file.
const PROGRAM: &str = "countersign-agent";

/// The hooks of one client.
#[derive(Debug, Clone)]
pub(super) struct Hooks {
    client: Dialect,
    program: String,
    home: Option<String>,
}

/// An event of a client, and what is asked of us then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// The client's name for it.
    pub(super) name: &'static str,
    /// Whether the client waits for a decision.
    pub(super) is_gate: bool,
}

const fn gate(name: &'static str) -> Event {
    Event {
        name,
        is_gate: true,
    }
}

const fn over(name: &'static str) -> Event {
    Event {
        name,
        is_gate: false,
    }
}

const CLAUDE: [Event; 4] = [
    gate("PreToolUse"),
    over("PostToolUse"),
    over("PostToolUseFailure"),
    over("PermissionDenied"),
];
const CODEX: [Event; 2] = [gate("PreToolUse"), over("PostToolUse")];
const GEMINI: [Event; 2] = [gate("BeforeTool"), over("AfterTool")];
const COPILOT: [Event; 2] = [gate("preToolUse"), over("postToolUse")];

impl Hooks {
    /// Returns the hooks that start `program`, with the daemon's home where one was named.
    pub(super) fn new(
        client: Dialect,
        program: &Path,
        home: Option<&Path>,
    ) -> Result<Self, InstallError> {
        let text = |path: &Path| {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            absolute
                .to_str()
                .map(str::to_owned)
                .ok_or(InstallError::NotText { path: absolute })
        };
        Ok(Self {
            client,
            program: text(program)?,
            home: home.map(text).transpose()?,
        })
    }

    /// Returns the client.
    pub(super) const fn client(&self) -> Dialect {
        self.client
    }

    /// Returns the directory of the program.
    pub(super) fn directory(&self) -> &str {
        self.program.rsplit_once('/').map_or("/", |(dir, _)| dir)
    }

    /// Returns the events that we want to hear of.
    pub(super) const fn events(&self) -> &'static [Event] {
        match self.client {
            Dialect::Claude => &CLAUDE,
            Dialect::Codex => &CODEX,
            Dialect::Gemini => &GEMINI,
            Dialect::Copilot => &COPILOT,
        }
    }

    /// Tells whether hooks stand in groups with a pattern of tools.
    pub(super) const fn has_groups(&self) -> bool {
        !matches!(self.client, Dialect::Copilot)
    }

    /// Returns the pattern that every tool matches.
    pub(super) const fn every_tool(&self) -> &'static str {
        match self.client {
            Dialect::Claude => "*",
            Dialect::Codex | Dialect::Gemini | Dialect::Copilot => ".*",
        }
    }

    /// Returns the words of the command behind the program.
    fn words(&self, event: Event) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(home) = &self.home {
            words.extend(["--home".to_owned(), home.clone()]);
        }
        words.extend(["hook", self.client.word()].map(str::to_owned));
        if self.client == Dialect::Copilot {
            words.extend(["--event", event.name].map(str::to_owned));
        }
        if event.is_gate {
            words.extend(["--limit", GATE_LIMIT].map(str::to_owned));
        }
        words
    }

    /// Returns the command as one text for a shell.
    pub(super) fn command(&self, event: Event) -> String {
        std::iter::once(self.program.clone())
            .chain(self.words(event))
            .map(|word| quoted(&word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Returns how long the client is to wait, in seconds.
    pub(super) const fn seconds(event: Event) -> u32 {
        if event.is_gate {
            GATE_SECONDS
        } else {
            OVER_SECONDS
        }
    }

    /// Returns the hook for an event.
    pub(super) fn hook(&self, event: Event) -> CstInputValue {
        let seconds = Self::seconds(event);
        match self.client {
            Dialect::Claude => {
                let args = self.words(event).into_iter().map(CstInputValue::from);
                let mut members = vec![
                    ("type", "command".into()),
                    ("command", self.program.clone().into()),
                    ("args", CstInputValue::Array(args.collect())),
                    ("timeout", number(seconds)),
                ];
                if event.is_gate {
                    members.push(("onFailure", "block".into()));
                    members.push(("statusMessage", "waiting for review".into()));
                }
                object(members)
            }
            Dialect::Codex => object([
                ("type", "command".into()),
                ("command", self.command(event).into()),
                ("timeout", number(seconds)),
            ]),
            Dialect::Gemini => object([
                ("type", "command".into()),
                ("name", "countersign".into()),
                ("command", self.command(event).into()),
                // This client counts in milliseconds.
                ("timeout", number(seconds.saturating_mul(1000))),
            ]),
            Dialect::Copilot => object([
                ("type", "command".into()),
                ("bash", self.command(event).into()),
                ("timeoutSec", number(seconds)),
            ]),
        }
    }

    /// Tells whether a hook that stands in settings is ours: it starts a program of this one's name
    /// as the hook of this client.
    pub(super) fn is_ours(&self, hook: &Value) -> bool {
        let text = |name| hook.get(name).and_then(Value::as_str);
        let words: Vec<String> = match (text("command"), hook.get("args").and_then(Value::as_array))
        {
            // A program and its arguments, which no shell reads.
            (Some(program), Some(args)) => {
                let args = args.iter().filter_map(Value::as_str);
                std::iter::once(program)
                    .chain(args)
                    .map(str::to_owned)
                    .collect()
            }
            (command, _) => {
                let line = command.or_else(|| text("bash")).unwrap_or_default();
                shlex::split(line).unwrap_or_default()
            }
        };
        let starts_us = words
            .first()
            .is_some_and(|first| first.rsplit('/').next() == Some(PROGRAM));
        let client = self.client.word();
        starts_us && words.windows(2).any(|pair| pair == ["hook", client])
    }
}

/// Makes an object whose members keep their order.
pub(super) fn object(
    members: impl IntoIterator<Item = (&'static str, CstInputValue)>,
) -> CstInputValue {
    let members = members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    CstInputValue::Object(members.collect())
}

fn number(value: u32) -> CstInputValue {
    CstInputValue::Number(value.to_string())
}

/// Writes a word so that a shell reads it as one.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
