//! What the real clients wrote, recorded from them, and what they are answered.
//!
//! `testdata/hooks` holds the recordings. Each call that is about to be made becomes an action, which
//! is then carried out here, so that the next call finds the files that the client's run left.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use countersign_shared::action::Contents;
use countersign_shared::json;
use countersign_shared::limits::Limits;

use super::*;
use crate::hook::action::{Surroundings, describe};

/// Where the recorded clients worked.
const RECORDED_IN: &str = "/home/dev";

fn recording(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/hooks")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn payload(line: &str) -> Map<String, Value> {
    let Value::Object(members) = json::read(line.as_bytes(), &Limits::default()).unwrap() else {
        panic!("not an object: {line}");
    };
    members
}

/// A home for the recordings, with a shell of which nothing changes.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("bash"), "\u{7f}ELF").unwrap();
        fs::set_permissions(bin.join("bash"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn root(&self) -> String {
        let root = self.dir.path().canonicalize().unwrap();
        root.to_str().unwrap().to_owned()
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            shell: None,
            search_path: Some(self.dir.path().join("bin").into()),
            host: "build-7".to_owned(),
            pins: None,
        }
    }

    /// Reads a recorded event as if it had been recorded here.
    fn read(&self, client: Dialect, line: &str, event: Option<&str>) -> Event {
        let line = line.replace(RECORDED_IN, &self.root());
        let read = client.read(payload(&line), event).unwrap();
        let (Event::Gate(call) | Event::Over(call, _)) = &read;
        fs::create_dir_all(&call.cwd).unwrap();
        read
    }

    /// Describes a call and carries out what it changes.
    fn carry_out(&self, call: &ToolCall) -> String {
        let action = describe(call, &self.around(), &Limits::default()).unwrap();
        let action: Value = serde_json::from_slice(&action).unwrap();
        let changes = action.get("changes").and_then(Value::as_array);
        for change in changes.into_iter().flatten() {
            let after = Contents::read(&change["after"]).unwrap();
            fs::write(change["path"].as_str().unwrap(), after.as_bytes()).unwrap();
        }
        serde_json::to_string_pretty(&action)
            .unwrap()
            .replace(&self.root(), RECORDED_IN)
    }
}

/// Returns what comes of all events of a recording, for people to read.
fn story(client: Dialect, name: &str, events: &[Option<&str>]) -> String {
    let scene = Scene::new();
    let mut story = String::new();
    for (index, line) in recording(name).iter().enumerate() {
        let event = events.get(index).copied().flatten();
        match scene.read(client, line, event) {
            Event::Gate(call) => {
                let id = call.id.clone().unwrap_or_else(|| "a call".to_owned());
                let action = scene.carry_out(&call);
                writeln!(story, "{id} asks for\n{action}").unwrap();
            }
            Event::Over(call, end) => {
                let id = call.id.clone().unwrap_or_else(|| "a call".to_owned());
                writeln!(story, "{id} is over: {end:?}").unwrap();
            }
        }
    }
    story
}

#[test]
fn recorded_events_of_claude_become_these_actions() {
    for name in [
        "claude-2.1.330-hooks-mcp",
        "claude-2.1.330-hooks-write-edit-bash-read",
    ] {
        insta::assert_snapshot!(name, story(Dialect::Claude, &format!("{name}.jsonl"), &[]));
    }
}

#[test]
fn recorded_events_of_codex_become_these_actions() {
    for name in [
        "codex-0.169-hooks-apply_patch",
        "codex-0.169-hooks-exec",
        "codex-0.169-hooks-mcp",
    ] {
        insta::assert_snapshot!(name, story(Dialect::Codex, &format!("{name}.jsonl"), &[]));
    }
}

#[test]
fn recorded_events_of_gemini_become_these_actions() {
    let name = "gemini-0.61-beforetool";
    insta::assert_snapshot!(name, story(Dialect::Gemini, &format!("{name}.jsonl"), &[]));
}

#[test]
fn recorded_events_of_copilot_become_these_actions() {
    let scene = Scene::new();
    let lines = recording("copilot-1.0.102-hooks.jsonl");
    let Event::Gate(call) = scene.read(Dialect::Copilot, &lines[0], Some("preToolUse")) else {
        panic!("not a gate");
    };
    insta::assert_snapshot!("copilot-1.0.102-hooks", scene.carry_out(&call));
    let over = scene.read(Dialect::Copilot, &lines[2], Some("postToolUse"));
    let end = End::Ran {
        outcome: "succeeded",
        exit: None,
        duration_ms: None,
    };
    assert_eq!(over, Event::Over(call, end));
}

#[test]
fn each_client_is_answered_in_its_own_dialect_to_the_byte() {
    let allow = Verdict::Allow("yes".to_owned());
    let deny = Verdict::Deny("no".to_owned());
    let text =
        |client: Dialect, verdict: &Verdict| client.render(verdict).map(|value| value.to_string());
    let claude = |word: &str| {
        format!(
            r#"{{"hookSpecificOutput":{{"hookEventName":"PreToolUse","permissionDecision":{word}}}}}"#
        )
    };
    for client in [Dialect::Claude, Dialect::Codex] {
        let allowed = claude(r#""allow","permissionDecisionReason":"yes""#);
        assert_eq!(text(client, &allow), Some(allowed));
        let denied = claude(r#""deny","permissionDecisionReason":"no""#);
        assert_eq!(text(client, &deny), Some(denied));
    }
    assert_eq!(
        text(Dialect::Claude, &Verdict::Defer),
        Some(claude(r#""defer""#))
    );
    for (verdict, gemini, copilot) in [
        (
            &allow,
            r#"{"decision":"allow","reason":"yes"}"#,
            r#"{"permissionDecision":"allow","permissionDecisionReason":"yes"}"#,
        ),
        (
            &deny,
            r#"{"decision":"deny","reason":"no"}"#,
            r#"{"permissionDecision":"deny","permissionDecisionReason":"no"}"#,
        ),
    ] {
        assert_eq!(text(Dialect::Gemini, verdict).as_deref(), Some(gemini));
        assert_eq!(text(Dialect::Copilot, verdict).as_deref(), Some(copilot));
    }
    for client in [Dialect::Codex, Dialect::Gemini, Dialect::Copilot] {
        assert_eq!(client.render(&Verdict::Defer), None);
    }
}

#[test]
fn an_event_that_is_not_gated_here_is_not_answered() {
    for (client, name) in [
        (Dialect::Claude, "claude-2.1.330-permissionrequest.jsonl"),
        (Dialect::Codex, "codex-0.169-permissionrequest.jsonl"),
    ] {
        let line = &recording(name)[0];
        client.read(payload(line), None).unwrap_err();
    }
    let lines = recording("copilot-1.0.102-hooks.jsonl");
    let read = |line: &str, event| Dialect::Copilot.read(payload(line), event);
    assert!(matches!(
        read(&lines[1], Some("preToolUse")),
        Err(DialectError::Event { .. })
    ));
    // This client does not say which event it is, and it is not guessed.
    assert!(matches!(
        read(&lines[0], None),
        Err(DialectError::NoEvent { .. })
    ));
    assert!(matches!(
        read(&lines[2], Some("preToolUse")),
        Err(DialectError::OtherEvent { .. })
    ));
    assert!(matches!(
        read(&lines[0], Some("postToolUse")),
        Err(DialectError::OtherEvent { .. })
    ));
}

#[test]
fn no_client_is_taken_for_another() {
    let all = [
        (Dialect::Claude, "claude-2.1.330-hooks-mcp.jsonl"),
        (Dialect::Gemini, "gemini-0.61-beforetool.jsonl"),
        (Dialect::Copilot, "copilot-1.0.102-hooks.jsonl"),
    ];
    for (of, name) in all {
        let line = &recording(name)[0];
        for (client, _) in all.into_iter().filter(|(client, _)| *client != of) {
            let error = client.read(payload(line), None);
            assert!(error.is_err(), "{client:?} reads {name}: {error:?}");
        }
    }
}

#[test]
fn every_field_that_a_decision_hangs_on_is_missed() {
    let line = &recording("claude-2.1.330-hooks-write-edit-bash-read.jsonl")[0];
    for name in [
        "session_id",
        "cwd",
        "hook_event_name",
        "tool_name",
        "tool_input",
        "tool_use_id",
    ] {
        let mut members = payload(line);
        members.remove(name).unwrap();
        Dialect::Claude.read(members.clone(), None).unwrap_err();
        members.insert(name.to_owned(), json!(7));
        Dialect::Claude.read(members, None).unwrap_err();
    }
}

#[test]
fn what_a_tool_is_given_besides_stands_in_the_action() {
    let scene = Scene::new();
    let mut members = payload(&recording("claude-2.1.330-hooks-write-edit-bash-read.jsonl")[4]);
    members.insert("cwd".to_owned(), json!(scene.root()));
    members.insert(
        "tool_input".to_owned(),
        json!({"command": "make", "run_in_background": true, "dangerouslyDisableSandbox": true}),
    );
    let Event::Gate(call) = Dialect::Claude.read(members, None).unwrap() else {
        panic!("not a gate");
    };
    let action: Value = serde_json::from_str(&scene.carry_out(&call)).unwrap();
    assert_eq!(
        action["arguments"]["tool"],
        json!({
            "client": "claude",
            "name": "Bash",
            "input": {"run_in_background": true, "dangerouslyDisableSandbox": true},
        })
    );
}

#[test]
fn a_search_is_called_reading_only_where_it_reads_nothing_but_names() {
    let scene = Scene::new();
    let mut members = payload(&recording("claude-2.1.330-hooks-write-edit-bash-read.jsonl")[0]);
    members.insert("cwd".to_owned(), json!(scene.root()));
    for (tool, input, kind) in [
        ("Glob", json!({"pattern": "**/*.rs"}), "file.read"),
        (
            "Glob",
            json!({"pattern": "a..b/*", "path": "src"}),
            "file.read",
        ),
        ("Glob", json!({"pattern": "/etc/*"}), "tool.call"),
        ("Glob", json!({"pattern": "../*"}), "tool.call"),
        ("Glob", json!({"pattern": "a/{b,../../c}"}), "tool.call"),
        ("Glob", json!({"pattern": "{/etc,a}/*"}), "tool.call"),
        ("Glob", json!({"pattern": "~/x"}), "tool.call"),
        ("Grep", json!({"pattern": "TOKEN="}), "file.search"),
        (
            "Grep",
            json!({"pattern": "x", "path": "src", "glob": "*.rs"}),
            "file.search",
        ),
        ("Grep", json!({"pattern": "x", "glob": "../*"}), "tool.call"),
    ] {
        members.insert("tool_name".to_owned(), json!(tool));
        members.insert("tool_input".to_owned(), input.clone());
        let Event::Gate(call) = Dialect::Claude.read(members.clone(), None).unwrap() else {
            panic!("not a gate");
        };
        let action: Value = serde_json::from_str(&scene.carry_out(&call)).unwrap();
        assert_eq!(action["kind"], kind, "{input}");
        let picked = action["arguments"].get("patterns");
        let given = input.get("glob").filter(|_| kind == "file.search");
        assert_eq!(picked.map(|all| &all[0]), given, "{input}");
    }
}

#[test]
fn a_servers_tool_is_named_as_the_client_names_it() {
    let server = |name: &str, tool: &str| {
        Some(Server {
            name: name.to_owned(),
            tool: tool.to_owned(),
        })
    };
    assert_eq!(
        tools::of_server("mcp__t__danger", None),
        server("t", "danger")
    );
    assert_eq!(
        tools::of_server("mcp__a__b__c", Some("a__b")),
        server("a__b", "c")
    );
    // The server that is told is not the one in the name.
    assert_eq!(tools::of_server("mcp__a__b", Some("x")), None);
    for tool in ["Bash", "mcp__", "mcp__a", "mcp____b", "mcp__a__"] {
        assert_eq!(tools::of_server(tool, None), None, "{tool}");
    }
}

/// Returns the action of a call of a tool, or the reason why there is none.
fn action_of(scene: &Scene, client: Dialect, tool: &str, input: &Value) -> Result<Value, String> {
    let call = ToolCall {
        client,
        session: "s".to_owned(),
        id: None,
        cwd: scene.root(),
        tool: tool.to_owned(),
        input: input.as_object().unwrap().clone(),
        server: None,
        transcript: None,
        claims: Vec::new(),
    };
    let action = describe(&call, &scene.around(), &Limits::default())
        .map_err(|error| crate::failure::chain(&error))?;
    Ok(serde_json::from_slice(&action).unwrap())
}

#[test]
fn two_names_of_one_path_are_never_judged_by_one_of_them() {
    let scene = Scene::new();
    let dir = "/home/x/.ssh";
    for (client, tool, input) in [
        (
            Dialect::Gemini,
            "search_file_content",
            json!({"pattern": ".", "path": ".", "dir_path": dir}),
        ),
        (
            Dialect::Gemini,
            "glob",
            json!({"pattern": "**", "path": ".", "dir_path": "/"}),
        ),
        (
            Dialect::Gemini,
            "grep_search",
            json!({"pattern": ".", "dir_path": ".", "include": "a", "include_pattern": ".env"}),
        ),
        (
            Dialect::Gemini,
            "read_file",
            json!({"file_path": "a", "absolute_path": dir}),
        ),
        (
            Dialect::Gemini,
            "list_directory",
            json!({"dir_path": ".", "path": dir}),
        ),
        (
            Dialect::Copilot,
            "grep",
            json!({"pattern": ".", "path": ".", "paths": [dir]}),
        ),
        (
            Dialect::Copilot,
            "view",
            json!({"path": "a", "file_path": dir}),
        ),
        (
            Dialect::Claude,
            "Read",
            json!({"file_path": "a", "path": dir}),
        ),
        (
            Dialect::Claude,
            "Grep",
            json!({"pattern": ".", "path": ".", "dir_path": dir}),
        ),
        (
            Dialect::Claude,
            "Glob",
            json!({"pattern": "*", "paths": [dir]}),
        ),
    ] {
        // Either it is no action at all, or one of which nothing is known, with all of its input.
        match action_of(&scene, client, tool, &input) {
            Ok(action) => {
                assert_eq!(action["kind"], "tool.call", "{tool} {input}");
                assert_eq!(action["arguments"]["input"], input, "{tool}");
            }
            Err(reason) => assert!(reason.contains("at once"), "{tool} {input}: {reason}"),
        }
    }
}

#[test]
fn what_a_tool_is_known_to_be_given_leaves_it_what_it_is() {
    let scene = Scene::new();
    for (client, tool, input, kind) in [
        (
            Dialect::Claude,
            "Read",
            json!({"file_path": "a", "offset": 1, "limit": 2}),
            "file.read",
        ),
        (
            Dialect::Claude,
            "Grep",
            json!({"pattern": "x", "-n": true, "-A": 2, "output_mode": "content", "type": "rust"}),
            "file.search",
        ),
        (
            Dialect::Gemini,
            "read_file",
            json!({"absolute_path": "/a", "limit": 2}),
            "file.read",
        ),
        (
            Dialect::Gemini,
            "search_file_content",
            json!({"pattern": "x", "dir_path": "src", "include": "*.rs"}),
            "file.search",
        ),
        (
            Dialect::Copilot,
            "view",
            json!({"path": "a", "view_range": [1, 2]}),
            "file.read",
        ),
        (
            Dialect::Gemini,
            "write_file",
            json!({"file_path": "a", "content": "x", "modified_by_user": false}),
            "file.write",
        ),
    ] {
        let action = action_of(&scene, client, tool, &input).unwrap();
        assert_eq!(action["kind"], kind, "{tool} {input}");
    }
}

#[test]
fn a_change_with_a_member_that_nobody_knows_is_denied() {
    let scene = Scene::new();
    fs::write(scene.dir.path().join("a"), "x\n").unwrap();
    let patch = "*** Begin Patch\n*** Add File: b\n+x\n*** End Patch";
    for (client, tool, input, name) in [
        (
            Dialect::Claude,
            "Write",
            json!({"file_path": "a", "content": "y", "path": "/etc/x"}),
            "path",
        ),
        (
            Dialect::Claude,
            "Edit",
            json!({"file_path": "a", "old_string": "x", "new_string": "y", "edits": []}),
            "edits",
        ),
        (
            Dialect::Claude,
            "MultiEdit",
            json!({"file_path": "a", "edits": [
                {"old_string": "x", "new_string": "y", "file_path": "/etc/x"},
            ]}),
            "edits.0.file_path",
        ),
        (
            Dialect::Claude,
            "WebFetch",
            json!({"url": "https://example.com", "prompt": "p", "uri": "http://169.254.169.254"}),
            "uri",
        ),
        (
            Dialect::Codex,
            "apply_patch",
            json!({"command": patch, "workdir": "/etc"}),
            "workdir",
        ),
        (
            Dialect::Gemini,
            "replace",
            json!({"file_path": "a", "old_string": "x", "new_string": "y", "path": "/etc/x"}),
            "path",
        ),
        (
            Dialect::Copilot,
            "create",
            json!({"path": "a", "file_text": "y", "file_path": "/etc/x"}),
            "file_path",
        ),
        // A shell is given much, and none of it is another command or directory.
        (
            Dialect::Claude,
            "Bash",
            json!({"command": "ls", "cmd": "rm -rf /"}),
            "cmd",
        ),
        (
            Dialect::Codex,
            "Bash",
            json!({"command": "ls", "workdir": ".", "cwd": "/etc"}),
            "cwd",
        ),
        (
            Dialect::Gemini,
            "run_shell_command",
            json!({"command": "ls", "directory": "/etc"}),
            "directory",
        ),
    ] {
        let reason = action_of(&scene, client, tool, &input).unwrap_err();
        assert!(reason.contains(&format!("`{name}`")), "{tool}: {reason}");
    }
}

#[test]
fn a_pattern_that_is_no_text_is_not_taken_for_none() {
    let scene = Scene::new();
    for (client, tool, input) in [
        (
            Dialect::Copilot,
            "grep",
            json!({"pattern": ".", "glob": [".env"]}),
        ),
        (Dialect::Claude, "Glob", json!({"pattern": ["/etc/*"]})),
        (Dialect::Claude, "Glob", json!({})),
    ] {
        let reason = action_of(&scene, client, tool, &input).unwrap_err();
        assert!(reason.contains("cannot be read"), "{tool}: {reason}");
    }
}
