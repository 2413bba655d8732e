//! The proxy over Streamable HTTP: a client of our own that writes each header itself, and what stands
//! behind the proxy, a server over HTTP or one that is a command.

mod calls;
mod command;
mod failures;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use countersign_tests::programs::workspace;
use countersign_tests::wait::PATIENCE;
use countersign_tests::{Home, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{script, sent};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const BEARER: &str = "Bearer 0123456789abcdef0123456789abcdef";

/// A server, and the proxy in front of it.
pub(super) struct Front {
    server: Option<Child>,
    proxy: Child,
    /// Where the proxy listens.
    pub(super) at: String,
    seen: PathBuf,
}

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the messages of a stream of events.
    #[track_caller]
    fn events(&self) -> Vec<Value> {
        assert!(self.head.contains("text/event-stream"), "{self:?}");
        let text = self.body.replace("\r\n", "\n");
        text.split("\n\n")
            .map(|event| {
                let data = event.lines().filter_map(|line| line.strip_prefix("data: "));
                data.collect::<Vec<_>>().join("\n")
            })
            .filter(|data| !data.is_empty())
            .map(|data| serde_json::from_str(&data).expect("JSON"))
            .collect()
    }
}

impl Front {
    /// Starts both, the server speaking HTTP.
    #[track_caller]
    fn start(home: &Home) -> Self {
        let seen = home.root().join("seen");
        let mut server = Command::new("python3");
        server
            .arg(workspace().join("tests/e2e/mcp/http_server.py"))
            .arg(&seen);
        let (server, port) = serve(&mut server);
        let upstream = format!("http://127.0.0.1:{port}/mcp");
        let token = write_token(home, TOKEN);
        let token = token.to_str().expect("a path");
        let options = ["--upstream", &upstream, "--upstream-token-file", token];
        Self::before(home, &options, Some(server), seen)
    }

    /// Starts the proxy in front of a server that is a command.
    #[track_caller]
    fn command(home: &Home, variant: &str) -> Self {
        let seen = home.root().join("seen");
        let (script, path) = (script(), seen.clone());
        let text = |path: &Path| path.to_str().expect("a path").to_owned();
        let options = ["--", "python3", &text(&script), &text(&path), variant];
        Self::before(home, &options, None, seen)
    }

    /// Starts the proxy with these options in front of a server that runs.
    #[track_caller]
    pub(super) fn before(
        home: &Home,
        options: &[&str],
        server: Option<Child>,
        seen: PathBuf,
    ) -> Self {
        let token = write_token(home, TOKEN);
        let mut proxy = home.agent_command(&["mcp", "--name", "db", "--http", "0"]);
        proxy.arg("--token-file").arg(&token).args(options);
        let mut proxy = proxy
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let said = first_line(proxy.stderr.take().expect("an output"));
        let at = said
            .strip_prefix("listening on http://")
            .and_then(|said| said.split_once("/mcp; "))
            .unwrap_or_else(|| panic!("{said}"));
        Self {
            server,
            proxy,
            at: at.0.to_owned(),
            seen,
        }
    }

    /// Sends a request with exactly these headers.
    #[track_caller]
    fn exactly(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.open(method, headers, body);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        parse(&text)
    }

    #[track_caller]
    fn open(&self, method: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.at).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut text = Vec::new();
        let length = body.len();
        write!(text, "{method} /mcp HTTP/1.1\r\nConnection: close\r\n").expect("memory");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").expect("memory");
        }
        write!(text, "Content-Length: {length}\r\n\r\n{body}").expect("memory");
        stream.write_all(&text).expect("to write");
        stream
    }

    /// Returns the headers of a client that knows what it needs to.
    fn headers(&self) -> Vec<(&str, &str)> {
        vec![
            ("Host", self.at.as_str()),
            ("Authorization", BEARER),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ]
    }

    #[track_caller]
    fn post(&self, message: &Value) -> Answer {
        self.exactly("POST", &self.headers(), &message.to_string())
    }

    /// Posts a call whose answer is waited for elsewhere.
    fn posted(&self, message: &Value) -> JoinHandle<Answer> {
        self.posted_with(&[], message)
    }

    /// The same with more headers.
    fn posted_with(&self, more: &[(&str, &str)], message: &Value) -> JoinHandle<Answer> {
        let headers = [&self.headers(), more].concat();
        let mut stream = self.open("POST", &headers, &message.to_string());
        std::thread::spawn(move || {
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("an answer");
            parse(&text)
        })
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.proxy.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("the proxy is there");
    }

    /// Waits for the end of the proxy, and returns its exit code.
    #[track_caller]
    fn ended(&mut self) -> Option<i32> {
        wait_until("the proxy ends", || {
            self.proxy.try_wait().expect("our own child").is_some()
        });
        self.proxy.wait().expect("our own child").code()
    }

    /// Returns what the server was sent: method, headers, body.
    fn sent(&self) -> Vec<Value> {
        sent(&self.seen)
            .iter()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// Tells that the server was sent no call.
    #[track_caller]
    fn assert_not_called(&self) {
        let sent = sent(&self.seen);
        let called = |line: &String| line.contains("ools/call") || line.contains("ools\\/call");
        assert!(!sent.iter().any(called), "{sent:#?}");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let own = [Some(&mut self.proxy), self.server.as_mut()];
        for child in own.into_iter().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Starts a server that prints its port.
#[track_caller]
pub(super) fn serve(command: &mut Command) -> (Child, String) {
    let mut server = command.stdout(Stdio::piped()).spawn().expect("a server");
    let port = first_line(server.stdout.take().expect("an output"));
    (server, port)
}

/// Writes a file with a token.
#[track_caller]
pub(super) fn write_token(home: &Home, token: &str) -> PathBuf {
    let path = home.root().join("token");
    fs::write(&path, token).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file");
    path
}

#[track_caller]
fn first_line(from: impl std::io::Read + Send + 'static) -> String {
    let mut reader = BufReader::new(from);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    // What comes later is read, so that nobody waits for us.
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    line.trim_end().to_owned()
}

#[track_caller]
fn parse(text: &str) -> Answer {
    let (head, rest) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{text:?}"));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let mut body = rest.to_owned();
    if is_chunked {
        let (mut rest, mut whole) = (rest, String::new());
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("a size");
            if size == 0 {
                break;
            }
            whole.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
        body = whole;
    }
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body,
    }
}
