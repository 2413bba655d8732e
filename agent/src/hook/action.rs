//! A call of a tool as an action that people can be asked about.
//!
//! Written from the call and from the files on disk, so that writing it again tells whether anything
//! changed meanwhile. Everything the tool is given is in it: what its meaning does not take up stands
//! under `tool`.

use countersign_client::place::state_dir;
use countersign_program::program::{Program, ProgramError};
use countersign_shared::action::{ActionBuilder, ActionError, Change, Program as Described, Text};
use countersign_shared::limits::Limits;
use serde_json::{Map, Value, json};

use super::call::{Server, ToolCall};
use super::changes::{self, CellChange, ChangeError, NotebookEdit, Workspace};
use super::dialect::{self, Dialect, FieldError, Meaning};
use crate::mcp::pins::{PinError, Pins, Seen};

/// The call cannot be put before anybody.
#[derive(Debug, thiserror::Error)]
pub(super) enum DescribeError {
    /// The input of a tool that is known is not what that tool takes.
    #[error("the input of `{tool}` cannot be read")]
    Input {
        /// The tool.
        tool: String,
        /// Why not.
        source: FieldError,
    },
    /// What would change in files cannot be shown.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The shell that would run it is not found.
    #[error("the shell is not found")]
    Shell(#[source] ProgramError),
    /// What the server of the tool said of it before cannot be read.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// A name of the system is no text.
    #[error("the path of the shell is not UTF-8")]
    NotText,
    /// The action does not satisfy the schema, or is too large.
    #[error("the call cannot be asked for")]
    Action(#[source] ActionError),
}

/// What of the environment a description depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// The user's shell.
    pub(super) shell: Option<String>,
    /// Where programs are looked for.
    pub(super) search_path: Option<std::ffi::OsString>,
    /// The name of this host.
    pub(super) host: String,
    /// What MCP servers say of their tools, where a proxy in front of them has kept it.
    pub(super) pins: Option<Pins>,
}

impl Surroundings {
    /// Takes them from this process, which its client started with its own environment.
    pub(super) fn take() -> Self {
        Self {
            shell: std::env::var("SHELL").ok(),
            search_path: std::env::var_os("PATH"),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            pins: state_dir().ok().map(|own| Pins::open(&own)),
        }
    }
}

/// Writes the action of a call, from what would be done now.
///
/// # Errors
/// When it cannot be shown what would be done.
pub(super) fn describe(
    call: &ToolCall,
    around: &Surroundings,
    limits: &Limits,
) -> Result<Vec<u8>, DescribeError> {
    let (meaning, rest, description) =
        dialect::meaning(call).map_err(|source| DescribeError::Input {
            tool: call.tool.clone(),
            source,
        })?;
    let about = About {
        call,
        around,
        rest,
        workspace: Workspace {
            cwd: &call.cwd,
            limit: limits.action_bytes,
        },
    };
    let mut action = about.action(meaning)?;
    action = action
        .claim("agent", call.client.word())
        .claim("session", &call.session);
    if let Some(description) = &description {
        action = action.claim("reason", description);
    }
    for (name, text) in &call.claims {
        action = action.claim(name, text);
    }
    action.build(limits).map_err(DescribeError::Action)
}

/// One call in the making of its action.
struct About<'c> {
    call: &'c ToolCall,
    around: &'c Surroundings,
    /// What the tool is given besides what its meaning takes up.
    rest: Map<String, Value>,
    workspace: Workspace<'c>,
}

impl About<'_> {
    fn action(&self, meaning: Meaning) -> Result<ActionBuilder, DescribeError> {
        match meaning {
            Meaning::Shell { command, directory } => self.shell(&command, directory.as_deref()),
            Meaning::Read { path } => self.look("file.read", "file", &path),
            // Whoever lets files be read by their names has not said that all of them may be.
            Meaning::Search { path, patterns } => {
                let action = self.look("file.search", "directory", &path)?;
                Ok(if patterns.is_empty() {
                    action
                } else {
                    action.argument("patterns", json!(patterns))
                })
            }
            Meaning::Write { path, contents } => {
                self.write(&path, &[self.workspace.write(&path, &contents)?])
            }
            Meaning::Edit { path, replacements } => {
                self.write(&path, &[self.workspace.edit(&path, &replacements)?])
            }
            Meaning::Notebook(edit) => self.notebook(&edit),
            Meaning::Patch { text } => Ok(self.patch(&self.workspace.patch(&text)?)),
            Meaning::Fetch { url } => Ok(self
                .begin("http.request", "url", &url)
                .argument("method", json!("GET"))
                .argument("url", json!(url))
                .argument("tool", self.tool())),
            Meaning::Mcp(server) => self.mcp(&server),
            Meaning::Other => {
                let name = format!("{}/{}", self.call.client.word(), self.call.tool);
                Ok(self
                    .begin("tool.call", "tool", &name)
                    .argument("client", json!(self.call.client.word()))
                    .argument("tool", json!(self.call.tool))
                    .argument("input", Value::Object(self.rest.clone())))
            }
        }
    }

    fn begin(&self, kind: &str, target_kind: &str, target: &str) -> ActionBuilder {
        ActionBuilder::new(kind, target_kind, target).cwd(&self.call.cwd)
    }

    /// The call as its client knows it, with what is said nowhere else.
    fn tool(&self) -> Value {
        json!({
            "client": self.call.client.word(),
            "name": self.call.tool,
            "input": self.rest,
        })
    }

    fn shell(
        &self,
        command: &str,
        directory: Option<&str>,
    ) -> Result<ActionBuilder, DescribeError> {
        let cwd = match directory {
            Some(directory) => changes::resolve(directory, &self.call.cwd)?.written,
            None => self.call.cwd.clone(),
        };
        // The client starts the shell, and this is how far it can be told from here which one.
        let users = matches!(self.call.client, Dialect::Claude | Dialect::Codex);
        let shell = self
            .around
            .shell
            .as_deref()
            .filter(|shell| users && is_known_shell(shell))
            .unwrap_or("bash");
        let search_path = self.around.search_path.as_deref();
        let program = Program::open(shell.as_ref(), search_path, cwd.as_ref())
            .map_err(DescribeError::Shell)?;
        let described = Described {
            path: program
                .path()
                .to_str()
                .ok_or(DescribeError::NotText)?
                .to_owned(),
            digest: program.digest(),
        };
        let flag = match self.call.client {
            Dialect::Codex => "-lc",
            Dialect::Claude | Dialect::Gemini | Dialect::Copilot => "-c",
        };
        let name = shell.rsplit('/').next().unwrap_or(shell);
        let argv = [name, flag, command].map(Text::clear).to_vec();
        let host = &self.around.host;
        let mut action = ActionBuilder::exec("host", host, argv, &described, None)
            .cwd(&cwd)
            .argument("tool", self.tool());
        let inner = Workspace {
            cwd: &cwd,
            ..self.workspace
        };
        match inner.patch_in_shell(command) {
            Ok(changes) => {
                for change in changes.iter().flatten() {
                    action = action.change(change);
                }
            }
            // It may well fit, and nobody would be shown what it changes.
            Err(error @ ChangeError::TooMuch) => return Err(error.into()),
            // A patch that does not fit is shown as the command that it is, and fails as such.
            Err(_) => {}
        }
        Ok(action)
    }

    fn look(
        &self,
        kind: &str,
        target_kind: &str,
        path: &str,
    ) -> Result<ActionBuilder, DescribeError> {
        let place = changes::resolve(path, &self.call.cwd)?;
        Ok(self
            .begin(kind, target_kind, &place.written)
            .argument("path", json!(place.written))
            .argument("tool", self.tool()))
    }

    fn write(&self, path: &str, all: &[Change]) -> Result<ActionBuilder, DescribeError> {
        let place = changes::resolve(path, &self.call.cwd)?;
        let mut action = self
            .begin("file.write", "file", &place.written)
            .argument("path", json!(place.written))
            .argument("tool", self.tool());
        for change in all {
            action = action.change(change);
        }
        Ok(action)
    }

    fn patch(&self, all: &[Change]) -> ActionBuilder {
        let (kind, target) = match all {
            [only] => ("file", only.path.as_str()),
            _ => ("directory", self.call.cwd.as_str()),
        };
        let mut action = self
            .begin("file.write", kind, target)
            .argument("tool", self.tool());
        for change in all {
            action = action.change(change);
        }
        action
    }

    fn notebook(&self, edit: &NotebookEdit) -> Result<ActionBuilder, DescribeError> {
        let CellChange { change, notebook } = self.workspace.notebook(edit)?;
        Ok(self
            .write(&edit.path, &[change])?
            .argument("notebook", notebook))
    }

    /// A call of an MCP tool has neither client nor directory in it, so that a proxy in front of the
    /// server, which carries it out, writes the same action.
    fn mcp(&self, Server { name, tool }: &Server) -> Result<ActionBuilder, DescribeError> {
        let seen = match &self.around.pins {
            Some(pins) => pins.look(name, tool)?,
            None => Seen::default(),
        };
        let arguments = Value::Object(self.call.input.clone());
        Ok(crate::mcp::action::begin(name, tool, arguments, &seen))
    }
}

/// Tells whether a shell takes a text to run behind `-c`.
fn is_known_shell(path: &str) -> bool {
    path.starts_with('/')
        && matches!(
            path.rsplit('/').next(),
            Some("bash" | "zsh" | "sh" | "dash")
        )
}
