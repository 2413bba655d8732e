//! `countersign-agent mcp`: a client's side of the conversation, a server behind the proxy, and what
//! people see of it.
//!
//! The client is this test. The server is a program in Python that keeps what it was sent, byte for
//! byte, so that a test can say that it was sent nothing.

mod bytes;
mod calls;
mod conformance;
mod ends;
mod failures;
mod http;
mod once;
mod permission;
mod pins;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use countersign_tests::home::Asked;
use countersign_tests::programs::workspace;
use countersign_tests::wait::{PATIENCE, wait_at_most};
use countersign_tests::{Home, Ran, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The name that the server has in every test.
const SERVER: &str = "db";

/// A client's conversation with a server, over the proxy.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: PathBuf,
    errors: std::thread::JoinHandle<String>,
}

impl Talk {
    /// Starts the proxy in front of the server.
    #[track_caller]
    fn start(home: &Home) -> Self {
        Self::with(home, "plain")
    }

    /// Starts the proxy in front of a server that behaves as `variant` says.
    #[track_caller]
    fn with(home: &Home, variant: &str) -> Self {
        let mut command = home.agent_command(&["mcp", "--name", SERVER, "--", "python3"]);
        let seen = home.root().join("seen");
        command.arg(script()).arg(&seen).arg(variant);
        Self::of(&mut command, seen)
    }

    /// Starts the server itself.
    #[track_caller]
    fn direct(home: &Home) -> Self {
        let mut command = Command::new("python3");
        let seen = home.root().join("seen-directly");
        command.arg(script()).arg(&seen);
        Self::of(&mut command, seen)
    }

    #[track_caller]
    fn of(command: &mut Command, seen: PathBuf) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let output = BufReader::new(child.stdout.take().expect("an output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                if line.is_ok_and(|line| sender.send(line).is_err()) {
                    return;
                }
            }
        });
        let mut errors = child.stderr.take().expect("an error output");
        let errors = std::thread::spawn(move || {
            let mut all = Vec::new();
            drop(errors.read_to_end(&mut all));
            String::from_utf8_lossy(&all).into_owned()
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            seen,
            errors,
        }
    }

    /// Writes one line.
    #[track_caller]
    fn write(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("an open input");
        input.write_all(line).expect("to write");
        input.write_all(b"\n").expect("to write");
        input.flush().expect("to write");
    }

    #[track_caller]
    fn say(&mut self, message: &Value) {
        self.write(message.to_string().as_bytes());
    }

    /// Calls a tool.
    #[track_caller]
    fn call(&mut self, id: u64, tool: &str, arguments: &Value) {
        self.say(&call(id, tool, arguments));
    }

    /// Calls a tool and waits until the request is held.
    #[track_caller]
    fn held(&mut self, home: &Home, id: u64, tool: &str) -> Asked {
        self.call(id, tool, &json!({}));
        home.wait_for_state("pending")
    }

    /// Reads the next line.
    #[track_caller]
    fn line(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no message: {error}"),
        }
    }

    #[track_caller]
    fn hear(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Tells that nothing is to be heard for a while.
    #[track_caller]
    fn silence(&self) {
        match self.lines.recv_timeout(Duration::from_millis(400)) {
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            Ok(line) => panic!("heard {line}"),
        }
    }

    /// Reads the answer to a call that was not made, and returns what the agent is told.
    #[track_caller]
    fn refused(&self, id: u64) -> String {
        let said = self.hear();
        assert_eq!(said["id"], id, "{said}");
        assert_eq!(said["result"]["isError"], true, "{said}");
        said["result"]["content"][0]["text"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    /// Returns what the server was sent, by lines.
    fn sent(&self) -> Vec<String> {
        sent(&self.seen)
    }

    /// Waits until the server was sent a message with this in it.
    #[track_caller]
    fn wait_for_sent(&self, what: &str) {
        wait_until(&format!("the server is sent {what}"), || {
            self.sent().iter().any(|line| line.contains(what))
        });
    }

    /// Tells that the server was sent no call.
    #[track_caller]
    fn assert_not_called(&self) {
        let sent = self.sent();
        let called = |line: &String| line.contains("ools/call") || line.contains("ools\\/call");
        assert!(!sent.iter().any(called), "{sent:#?}");
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("the proxy is there");
    }

    /// Closes the client's side and waits for the end.
    #[track_caller]
    fn end(mut self) -> Ran {
        self.input = None;
        self.ended()
    }

    /// Waits for the end.
    #[track_caller]
    fn ended(&mut self) -> Ran {
        let status = wait_at_most(PATIENCE, || self.child.try_wait().expect("our own child"))
            .expect("the proxy ends");
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let errors = std::mem::replace(&mut self.errors, std::thread::spawn(String::new));
        Ran {
            code: status
                .code()
                .or(signal.map(|signal| 128 + signal))
                .expect("a code"),
            stdout: self.lines.try_iter().collect::<Vec<_>>().join("\n"),
            stderr: errors.join().expect("what it wrote"),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Both fail when it has ended already, as it should.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns a message that calls a tool.
fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
           "params": {"name": tool, "arguments": arguments}})
}

/// Returns the same with `_meta`.
fn call_with(id: u64, tool: &str, meta: &Value) -> Value {
    let mut message = call(id, tool, &json!({}));
    message["params"]["_meta"] = meta.clone();
    message
}

fn script() -> PathBuf {
    workspace().join("tests/e2e/mcp/server.py")
}

fn sent(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What a client says first, in each revision.
fn greetings() -> [(&'static str, Value); 3] {
    let hello = |version: &str| {
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
               "params": {"protocolVersion": version, "capabilities": {},
                          "clientInfo": {"name": "c", "version": "1"}}})
    };
    [
        ("2025-06-18", hello("2025-06-18")),
        ("2025-11-25", hello("2025-11-25")),
        (
            "2026-07-28",
            json!({"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {
                "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}),
        ),
    ]
}
