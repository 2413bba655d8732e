//! The request of a case: an action, and what surrounds it.

use std::collections::{BTreeMap, BTreeSet};

use countersign_shared::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalogue::Key;
use crate::facts::{Agent, Principal, Recent, Surroundings, normalised};

/// The program's digest where a case names none.
const SOME_DIGEST: &str = "abababababababababababababababababababababababababababababababab";

/// An action, in short.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Request {
    kind: String,
    /// `kind/name`.
    target: String,
    arguments: Map<String, Value>,
    changes: Vec<Change>,
    data: Vec<Data>,
    claims: BTreeMap<String, String>,
    ticket: Option<String>,
    environment: Map<String, Value>,
    cwd: Option<String>,
    /// For `exec.run`: the vector, of which the first is the program's path.
    command: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    path: String,
    before: Option<String>,
    after: Option<String>,
    mode: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    name: String,
    access: String,
    classification: Option<String>,
    records: Option<u64>,
    destination: Option<String>,
}

/// What surrounds an action; what is not said, a well-behaved agent would bring.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Around {
    user: Option<String>,
    uid: Option<u32>,
    groups: Option<BTreeSet<String>>,
    program: Option<String>,
    unit: Option<String>,
    container: Option<String>,
    host: Option<String>,
    identity: Option<String>,
    /// The name of a person of the roster who asks instead of an agent.
    person: Option<String>,
    workspace: Option<String>,
    /// Where paths lead; a path that is not listed leads to itself.
    resolved: Option<BTreeMap<String, String>>,
    /// Paths that nobody could resolve.
    unresolved: Option<BTreeSet<String>>,
    /// Whether the daemon could read the program.
    program_read: Option<bool>,
    time: Option<String>,
    denials: Option<u32>,
    requests: Option<u32>,
}

impl Request {
    pub(super) fn problem(&self) -> Option<String> {
        if self.kind.is_empty() {
            return Some("a request needs a `kind`, such as `sql.exec`".to_owned());
        }
        if Key::read(&self.target).is_none() {
            return Some("a request needs a `target`, written `kind/name`".to_owned());
        }
        if !self.command.is_empty() && self.kind != "exec.run" {
            return Some("only an `exec.run` has a `command`".to_owned());
        }
        let path = self.command.first();
        if path.is_some_and(|path| !path.starts_with('/')) {
            return Some("a `command` begins with the absolute path of its program".to_owned());
        }
        None
    }

    /// Writes the action as it would stand in the document.
    pub(super) fn action(&self, around: &Around) -> Value {
        let key = Key::read(&self.target).unwrap_or_else(|| Key::new("", ""));
        let mut arguments = self.arguments.clone();
        if let Some(path) = self.command.first() {
            arguments.insert("argv".to_owned(), json!(self.command));
            let program = json!({ "path": path, "sha256": SOME_DIGEST });
            arguments.insert("program".to_owned(), program);
            arguments.entry("stdin").or_insert(Value::Null);
        }
        let contents = |text: &Option<String>| text.as_ref().map(|text| json!({ "text": text }));
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|change| {
                json!({
                    "path": change.path,
                    "before": contents(&change.before),
                    "after": contents(&change.after),
                    "mode": change.mode,
                })
            })
            .collect();
        let data: Vec<Value> = self
            .data
            .iter()
            .map(|data| {
                json!({
                    "name": data.name,
                    "classification": data.classification,
                    "access": data.access,
                    "records": data.records,
                    "destination": data.destination,
                })
            })
            .collect();
        let cwd = self.cwd.clone().unwrap_or_else(|| around.workspace());
        let mut context = json!({ "cwd": cwd, "environment": self.environment });
        if let (Some(ticket), Some(members)) = (&self.ticket, context.as_object_mut()) {
            members.insert("ticket".to_owned(), json!(ticket));
        }
        json!({
            "v": 1,
            "kind": self.kind,
            "target": { "kind": key.kind, "name": key.name },
            "arguments": arguments,
            "changes": changes,
            "data": data,
            "context": context,
            "claims": self.claims,
        })
    }
}

impl Around {
    pub(super) fn problem(&self) -> Option<String> {
        let time = self.time.as_ref()?;
        match time.parse::<Timestamp>() {
            Ok(_) => None,
            Err(_) => Some("a `time` is written `2026-11-21T20:49:13.007Z`".to_owned()),
        }
    }

    /// Fills what is not said from `base`.
    pub(super) fn or(self, base: &Self) -> Self {
        let base = base.clone();
        Self {
            user: self.user.or(base.user),
            uid: self.uid.or(base.uid),
            groups: self.groups.or(base.groups),
            program: self.program.or(base.program),
            unit: self.unit.or(base.unit),
            container: self.container.or(base.container),
            host: self.host.or(base.host),
            identity: self.identity.or(base.identity),
            person: self.person.or(base.person),
            workspace: self.workspace.or(base.workspace),
            resolved: self.resolved.or(base.resolved),
            unresolved: self.unresolved.or(base.unresolved),
            program_read: self.program_read.or(base.program_read),
            time: self.time.or(base.time),
            denials: self.denials.or(base.denials),
            requests: self.requests.or(base.requests),
        }
    }

    fn workspace(&self) -> String {
        let given = self.workspace.clone();
        given.unwrap_or_else(|| "/home/agent/project".to_owned())
    }

    pub(super) fn surroundings(&self, action: &Value) -> Surroundings {
        let text = |value: &Option<String>, default: &str| {
            value.clone().unwrap_or_else(|| default.to_owned())
        };
        let user = text(&self.user, "agent");
        let uid = self.uid.unwrap_or(1001);
        let host = text(&self.host, "workstation");
        let groups = self.groups.clone();
        let principal = match &self.person {
            Some(name) => Principal::Person {
                name: name.clone(),
                user,
                uid,
                host,
                groups: groups.unwrap_or_default(),
            },
            None => Principal::Agent(Agent {
                user: Some(user),
                uid,
                program: Some(text(&self.program, "/usr/bin/agent")),
                unit: Some(text(&self.unit, "")),
                container: Some(text(&self.container, "")),
                host,
                groups: Some(groups.unwrap_or_else(|| BTreeSet::from(["agents".to_owned()]))),
            }),
        };
        let digest = action.pointer("/arguments/program/sha256");
        let read = self.program_read.unwrap_or(true);
        let program = digest
            .and_then(Value::as_str)
            .filter(|_| read)
            .map(str::to_owned)
            .ok_or_else(|| "the file could not be read".to_owned());
        Surroundings {
            principal,
            identity: text(&self.identity, "pidfd"),
            workspace: Some(self.workspace()),
            program,
            resolved: self.resolve(action),
            // INVARIANT: `problem` refused a time that is none.
            wall: text(&self.time, "2026-06-03T10:00:00.000Z")
                .parse()
                .unwrap_or_else(|_| Timestamp::from_millis(0)),
            utc_offset_minutes: 0,
            recent: Recent {
                denials: self.denials.unwrap_or(0),
                requests: self.requests.unwrap_or(0),
            },
        }
    }

    /// Resolves every text of the action that could be a path, as the daemon would.
    fn resolve(&self, action: &Value) -> BTreeMap<String, String> {
        let cwd = action.pointer("/context/cwd").and_then(Value::as_str);
        let leads = self.resolved.clone().unwrap_or_default();
        let lost = self.unresolved.clone().unwrap_or_default();
        crate::facts::paths_of(action)
            .into_iter()
            .filter_map(|path| normalised(path, cwd))
            .filter(|path| !lost.contains(path))
            .map(|path| {
                let to = leads.get(&path).cloned().unwrap_or_else(|| path.clone());
                (path, to)
            })
            .collect()
    }
}
