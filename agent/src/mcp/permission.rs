//! `permission-tool`: an MCP server with the one tool that Claude Code asks when nothing else permits
//! a call (`--permission-prompt-tool`).
//!
//! It answers as a hook of that client does before a call, for the same call writes the same action,
//! and leaves the same word for whoever tells how the call ended. Whatever fails is a "deny".

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::digest::Digest;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::answer;
use super::call::Call;
use super::gate::Stop;
use super::lines::{self, Line};
use super::message::{self, FromClient, Id, MessageError};
use super::open::Open;
use super::strict;
use crate::cli::PermissionToolOptions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hook::permission::{self, Asked, Question};
use crate::signals::Signals;
use crate::telling::warn;

/// The tool's name. `--permission-prompt-tool mcp__SERVER__approve` names it to the client.
const TOOL: &str = "approve";

/// The revisions that are spoken.
const REVISIONS: [&str; 3] = ["2026-07-28", "2025-11-25", "2025-06-18"];

/// The longest message, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// How often the client hears that its question is still open.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// How long taking back may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(12);

struct Tool {
    home: Option<PathBuf>,
    /// Our name for the conversation: the client does not tell its own.
    conversation: String,
    limit: Duration,
    open: Open,
    client: Mutex<tokio::io::Stdout>,
}

/// Serves the tool until the client closes its side.
///
/// # Errors
/// When it cannot begin.
pub(crate) async fn perform(
    home: Option<&Path>,
    options: PermissionToolOptions,
) -> Result<u8, Failure> {
    let mut signals =
        Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
    let tool = Arc::new(Tool {
        home: home.map(Path::to_path_buf),
        conversation: Digest::of(&crate::request::token()?).to_hex(),
        limit: options.limit,
        open: Open::default(),
        client: Mutex::new(tokio::io::stdout()),
    });
    let mut questions = JoinSet::new();
    let signal = tokio::select! {
        biased;
        signal = signals.next() => Some(signal),
        () = hear(&tool, &mut questions) => None,
    };
    tool.open.stop_held(Stop::ClientGone);
    let finish = async { while questions.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, finish).await.is_err() {
        warn("not everything could be taken back; it ends by itself");
    }
    Ok(match signal {
        Some(_) => Exit::Interrupted.number(),
        None => Exit::Ok.number(),
    })
}

async fn hear(tool: &Arc<Tool>, questions: &mut JoinSet<()>) {
    let mut from = BufReader::new(tokio::io::stdin());
    loop {
        match lines::next(&mut from, LONGEST).await {
            Ok(Line::Whole(line)) => tool.on_line(&line, questions).await,
            Ok(Line::TooLong { found }) => {
                let why = format!("the message has {found} bytes, the limit is {LONGEST}");
                let said = answer::error(None, answer::INVALID_REQUEST, &why);
                tool.say(&said).await;
            }
            Ok(Line::End { .. }) => return,
            Err(error) => {
                warn(&format!("the client cannot be read: {error}"));
                return;
            }
        }
        while questions.try_join_next().is_some() {}
    }
}

impl Tool {
    async fn on_line(self: &Arc<Self>, line: &[u8], questions: &mut JoinSet<()>) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let members = match strict::line(line) {
            Ok(members) => members,
            Err(error) => return self.not_understood(line, &error.into()).await,
        };
        match message::from_client(&members) {
            Ok(FromClient::Call(id, call)) => match question(&members, &call) {
                Ok(question) => {
                    let Some(stops) = self.open.hold(&id) else {
                        let why = "a question with this id is open";
                        let said = answer::error(Some(&id), answer::INVALID_REQUEST, why);
                        self.say(&said).await;
                        return;
                    };
                    let tool = Arc::clone(self);
                    questions.spawn(async move {
                        Box::pin(tool.ask(id, &call, question, stops)).await;
                    });
                }
                Err(why) => {
                    let said = answer::error(Some(&id), answer::INVALID_PARAMS, &why);
                    self.say(&said).await;
                }
            },
            Ok(FromClient::Cancelled(Some(id))) => {
                self.open.stop(&id, Stop::Cancelled);
            }
            Ok(FromClient::Request(id)) => {
                let said = reply(&members, &id);
                self.say(&said).await;
            }
            Ok(FromClient::Cancelled(None) | FromClient::Other) => {}
            Err(error) => self.not_understood(line, &error).await,
        }
    }

    async fn not_understood(&self, line: &[u8], error: &MessageError) {
        let why = crate::failure::chain(error);
        let id = message::guess_id(line);
        let said = answer::error(id.as_ref(), answer::INVALID_REQUEST, &why);
        self.say(&said).await;
    }

    /// Sees one question through.
    async fn ask(&self, id: Id, call: &Call, question: Question, stops: super::gate::Stops) {
        let input = question.input_text.clone();
        let asking = permission::ask(
            self.home.as_deref(),
            &self.conversation,
            question,
            self.limit,
            stops,
        );
        tokio::pin!(asking);
        let mut ticks = tokio::time::interval(SIGN_OF_LIFE);
        let mut count = 0_u32;
        let asked = loop {
            tokio::select! {
                asked = &mut asking => break asked,
                _ = ticks.tick() => {
                    if let Some(token) = &call.progress && count > 0 {
                        self.say(&answer::progress(token, count)).await;
                    }
                    count = count.saturating_add(1);
                }
            }
        };
        let is_wanted = self.open.remove(&id).is_none();
        let (verdict, used) = match asked {
            Ok(Asked::Allowed(used)) if is_wanted => {
                // The input as it came: what is written anew could be another one.
                let allow = format!(r#"{{"behavior":"allow","updatedInput":{input}}}"#);
                (allow, Some(used))
            }
            Ok(Asked::Allowed(used)) => {
                used.not_made("the client took the question back").await;
                return;
            }
            Ok(Asked::Denied(why)) => (deny(&why), None),
            Err(failure) => (deny(&format!("countersign: {}", failure.message)), None),
        };
        if !is_wanted {
            return;
        }
        let mut result = json!({ "content": [{ "type": "text", "text": verdict }] });
        typed(&mut result, call.is_typed);
        let said = json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result });
        if !self.say(&said).await
            && let Some(used) = used
        {
            used.not_made("the client did not take the answer").await;
        }
    }

    /// Writes a message; tells whether it was taken.
    async fn say(&self, said: &Value) -> bool {
        let mut client = self.client.lock().await;
        let line = format!("{said}\n");
        let written = async {
            client.write_all(line.as_bytes()).await?;
            client.flush().await
        };
        written.await.is_ok()
    }
}

fn deny(why: &str) -> String {
    json!({ "behavior": "deny", "message": why }).to_string()
}

/// Reads what the client asks about.
fn question(message: &strict::Members<'_>, call: &Call) -> Result<Question, String> {
    if call.tool != TOOL {
        return Err(format!("there is no tool but `{TOOL}`"));
    }
    let read = || -> Option<(String, Box<RawValue>, Option<String>)> {
        let params = strict::object(message.get("params")?).ok()?;
        let arguments = strict::object(params.get("arguments")?).ok()?;
        let tool = strict::text(arguments.get("tool_name")?)?;
        let input = *arguments.get("input")?;
        let id = match arguments.get("tool_use_id") {
            Some(raw) => Some(strict::text(raw)?),
            None => call.use_id.clone(),
        };
        Some((tool, input.to_owned(), id))
    };
    let (tool, input, use_id) =
        read().ok_or("`tool_name` has to be a text, `input` an object, `tool_use_id` a text")?;
    let input_read: Map<String, Value> =
        serde_json::from_str(input.get()).map_err(|_| "`input` has to be an object")?;
    let use_id = use_id.ok_or("`tool_use_id` has to be there")?;
    Ok(Question {
        tool,
        input: input_read,
        input_text: input.get().to_owned(),
        use_id,
    })
}

/// Answers any request but a call.
fn reply(message: &strict::Members<'_>, id: &Id) -> Value {
    let method = message.get("method").and_then(|raw| strict::text(raw));
    let params = message
        .get("params")
        .and_then(|raw| strict::object(raw).ok());
    let is_typed = params
        .as_ref()
        .and_then(|params| strict::object(params.get("_meta")?).ok())
        .is_some_and(|meta| meta.contains_key("io.modelcontextprotocol/protocolVersion"));
    let info = json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") });
    let mut result = match method.as_deref() {
        Some("initialize") => {
            let wanted = params
                .as_ref()
                .and_then(|params| strict::text(params.get("protocolVersion")?));
            let spoken = wanted.filter(|wanted| REVISIONS.contains(&wanted.as_str()));
            json!({
                "protocolVersion": spoken.as_deref().unwrap_or("2025-11-25"),
                "capabilities": { "tools": {} },
                "serverInfo": info,
            })
        }
        Some("server/discover") => json!({
            "supportedVersions": REVISIONS,
            "capabilities": { "tools": {} },
            "serverInfo": info,
        }),
        Some("ping") => json!({}),
        Some("tools/list") => {
            let mut list = json!({ "tools": [definition()] });
            if is_typed && let Some(members) = list.as_object_mut() {
                members.insert("ttlMs".to_owned(), json!(0));
                members.insert("cacheScope".to_owned(), json!("private"));
            }
            list
        }
        _ => return answer::error(Some(id), answer::NO_METHOD, "there is no such method"),
    };
    typed(&mut result, is_typed);
    json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result })
}

/// Says of what type a result is, where the revision wants that.
fn typed(result: &mut Value, is_typed: bool) {
    if is_typed && let Some(members) = result.as_object_mut() {
        members.insert("resultType".to_owned(), json!("complete"));
    }
}

fn definition() -> Value {
    json!({
        "name": TOOL,
        "description": "Asks people whether a tool may be used. For `--permission-prompt-tool`.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "tool_name": { "type": "string" },
                "input": { "type": "object" },
                "tool_use_id": { "type": "string" },
            },
            "required": ["tool_name", "input", "tool_use_id"],
        },
        "annotations": { "readOnlyHint": true, "openWorldHint": false },
    })
}

#[cfg(test)]
mod tests;
