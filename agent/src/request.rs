//! `request`: asks for an action that somebody else carries out, and maybe waits for the answer.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use countersign_shared::action::{ActionBuilder, ActionError, Change, Contents, Text};
use countersign_shared::json;
use countersign_shared::limits::Limits;
use countersign_shared::machine::State;
use countersign_shared::text::{Printable, Untrusted};
use serde_json::json;

use crate::cli::{ChangedFile, RequestOptions, SecretArgument, SecretSource};
use crate::client::{Asking, AtOnce, Submitted};
use crate::compare::Agreed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::session::Session;
use crate::signals::Signals;
use crate::ticketed;

/// The action cannot be put together.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file is larger than an action may be.
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    /// The name begins with the kind of target, which policies would not find under that name.
    #[error("`{target}` names kind and name in one; write `--target-kind {kind} --target {name}`")]
    KindInName {
        target: String,
        kind: &'static str,
        name: String,
    },
    /// A secret is not text.
    #[error("the secret in {place} is not UTF-8 text")]
    SecretNotText { place: String },
    /// A secret is not there.
    #[error("the variable `{name}` for a secret is not set")]
    Unset { name: String },
    /// The current directory has no name that could be shown.
    #[error("the current directory cannot be named")]
    CurrentDirectory(#[source] io::Error),
    /// The action does not satisfy the schema.
    #[error("the action is not well formed")]
    Action(#[source] ActionError),
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match &error {
            RequestError::Action(cause) => of_action(cause),
            RequestError::TooLarge { limit, .. } => {
                let found = limit.saturating_add(1);
                Self::of(Exit::Usage, "too-large", &error).measured(*limit, found)
            }
            RequestError::KindInName { .. } => Self::of(Exit::Usage, "kind-in-name", &error),
            RequestError::SecretNotText { .. } | RequestError::Unset { .. } => {
                Self::of(Exit::Usage, "no-secret", &error)
            }
            RequestError::Read { .. } | RequestError::CurrentDirectory(_) => {
                Self::of(Exit::Failure, "cannot-read", &error)
            }
        }
    }
}

/// Asks, prints the request, and waits if that was wanted.
pub(crate) async fn perform(
    home: Option<&Path>,
    options: Box<RequestOptions>,
) -> Result<Exit, Failure> {
    let limits = Limits::default();
    let action = match &options.document {
        Some(path) => from_file(path, &limits),
        None => from_options(&options, &limits),
    }?;
    let mut session = Session::open_durably(home)?;
    let asking = Asking {
        action,
        submission: token()?,
        ask_key: String::new(),
        attached: false,
        at_once: AtOnce::Never,
    };
    let (submitted, ticket) = session.submit(&asking).await?;
    let origin = session.heads().origin().to_owned();
    if let Err(error) = Agreed::check(&submitted, &asking.action, &origin) {
        // Nobody shall approve what was not asked for; the ticket stays if this does not work. A
        // request that was joined is another process's as well.
        if !submitted.joined
            && session
                .withdraw(&ticket.claim, ticketed::PATIENCE)
                .await
                .is_ok()
        {
            session.tickets().remove(ticket.claim.id)?;
        }
        return Err(Failure::of(Exit::Verification, "document-differs", &error));
    }
    if let Some(patience) = options.wait
        && !submitted.state.has_ended()
    {
        if !options.json {
            let id = submitted.id;
            output::message(&Printable::from_ours(format!("asked: {id}")));
        }
        let mut signals =
            Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
        return ticketed::await_decision(
            &mut session,
            &ticket,
            Some(patience),
            &mut signals,
            options.json,
        )
        .await;
    }
    print(&submitted, options.json);
    if submitted.state.has_ended() {
        return Ok(Exit::of_standing(submitted.state));
    }
    Ok(Exit::Ok)
}

fn print(submitted: &Submitted, as_json: bool) {
    if as_json {
        output::json(&json!({
            "schema": 1,
            "id": submitted.id,
            "digest": submitted.digest,
            "state": submitted.state.word(),
            "expires_at": submitted.expires_at,
        }));
        return;
    }
    output::result(&Printable::from_ours(format!(
        "{} {} {}",
        submitted.id,
        submitted.state.word(),
        submitted.digest
    )));
    if !submitted.reason.is_empty() {
        output::reason(&submitted.reason);
    }
    if !submitted.state.has_ended() {
        output::message(&Printable::from_ours(format!(
            "next: countersign-agent wait {}",
            submitted.id
        )));
    }
}

/// Puts the action together from the command line.
fn from_options(options: &RequestOptions, limits: &Limits) -> Result<Vec<u8>, RequestError> {
    let kind = options.kind.as_deref().unwrap_or_default();
    let target = options.target.as_deref().unwrap_or_default();
    let target_kind = match options.target_kind.as_deref() {
        Some(named) => named,
        None => usual_target_of(kind, target)?,
    };
    let mut action = ActionBuilder::new(kind, target_kind, target);
    for argument in &options.arguments {
        action = action.argument(&argument.name, argument.value.clone());
    }
    for secret in &options.secrets {
        let value = Text::secret(read_secret(secret, limits)?);
        action = action.argument(&secret.name, value.into_value());
    }
    for change in &options.changes {
        action = action.change(&read_change(change, limits)?);
    }
    for data in &options.data {
        action = action.data(&data.0);
    }
    let current = std::env::current_dir().map_err(RequestError::CurrentDirectory)?;
    let current = current.to_str().ok_or_else(|| {
        RequestError::CurrentDirectory(io::Error::from(io::ErrorKind::InvalidData))
    })?;
    action = action.cwd(current);
    for (name, text) in [("agent", &options.agent), ("reason", &options.reason)] {
        if let Some(text) = text {
            action = action.claim(name, text);
        }
    }
    action.build(limits).map_err(RequestError::Action)
}

/// Returns the kind of target that an action of this kind usually has. Where the name begins with it, as
/// policy tests and lists write both, it has to be said which is meant.
fn usual_target_of(kind: &str, target: &str) -> Result<&'static str, RequestError> {
    let usual = usual_target(kind);
    let named = target
        .strip_prefix(usual)
        .and_then(|rest| rest.strip_prefix(['/', ':']));
    match named {
        // A file may well lie in a directory that is called so.
        Some(name) if usual != "file" => Err(RequestError::KindInName {
            target: target.to_owned(),
            kind: usual,
            name: name.to_owned(),
        }),
        Some(_) | None => Ok(usual),
    }
}

/// Returns the kind of target that an action of this kind usually has.
fn usual_target(kind: &str) -> &'static str {
    match kind {
        "exec.run" => "host",
        "file.read" | "file.write" => "file",
        "sql.exec" => "database",
        "http.request" => "url",
        "mcp.call" => "tool",
        "data.export" => "dataset",
        "infra.apply" => "environment",
        "key.rotate" => "key",
        "access.grant" => "account",
        "model.deploy" => "model",
        "policy.change" => "policy",
        _ => "resource",
    }
}

/// Reads a whole action from a file, in any form of JSON, and writes it in its one form.
fn from_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, RequestError> {
    let bytes = read_file(path, limits)?;
    let canonical = json::read(&bytes, limits)
        .and_then(|value| json::canonical(&value))
        .map_err(|error| RequestError::Action(ActionError::Json(error)))?;
    countersign_shared::action::Action::read(&canonical, limits).map_err(RequestError::Action)?;
    Ok(canonical)
}

fn read_change(change: &ChangedFile, limits: &Limits) -> Result<Change, RequestError> {
    let before = match read_file(Path::new(&change.path), limits) {
        Ok(bytes) => Some(Contents::of(bytes)),
        Err(RequestError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let after = match &change.new {
        Some(path) => Some(Contents::of(read_file(path, limits)?)),
        None => None,
    };
    Ok(Change {
        path: change.path.clone(),
        before,
        after,
        mode: None,
    })
}

fn read_secret(secret: &SecretArgument, limits: &Limits) -> Result<String, RequestError> {
    let (bytes, place) = match &secret.source {
        SecretSource::File(path) => {
            let mut bytes = read_file(path, limits)?;
            // Editors end files with a line feed, which is no part of any token.
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            (bytes, format!("`{}`", path.display()))
        }
        SecretSource::Variable(name) => {
            let value =
                std::env::var_os(name).ok_or_else(|| RequestError::Unset { name: name.clone() })?;
            (value.into_encoded_bytes(), format!("the variable `{name}`"))
        }
    };
    String::from_utf8(bytes).map_err(|_| RequestError::SecretNotText { place })
}

/// Reads a file that has to fit into an action.
fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, RequestError> {
    let limit = u64::try_from(limits.action_bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|source| RequestError::Read {
            path: path.to_path_buf(),
            source,
        })?;
    if bytes.len() > limits.action_bytes {
        return Err(RequestError::TooLarge {
            path: path.to_path_buf(),
            limit,
        });
    }
    Ok(bytes)
}

/// Draws the 16 bytes that make repeating a submit harmless.
pub(crate) fn token() -> Result<[u8; 16], Failure> {
    let mut token = [0; 16];
    getrandom::fill(&mut token)
        .map_err(|error| Failure::of(Exit::Failure, "no-randomness", &error))?;
    Ok(token)
}

/// Tells about an action that the schema does not accept.
pub(crate) fn of_action(error: &ActionError) -> Failure {
    let mut failure = Failure::of(Exit::Usage, error.code(), error);
    failure.field = error.field().map(|at| at.to_string().into());
    let size = |size: Option<usize>| size.and_then(|size| u64::try_from(size).ok());
    (failure.limit, failure.found) = (size(error.limit()), size(error.found()));
    failure
}

/// Tells that a request ended, or was used, without an approval for us.
pub(crate) fn not_approved(state: State, reason: &Untrusted) -> Failure {
    let reason = Printable::exact(reason);
    let message = if reason.is_empty() {
        format!("not approved: {state}")
    } else {
        format!("not approved: {state}: {reason}", reason = reason.as_str())
    };
    let failure = Failure::new(Exit::of_standing(state), state.word(), message);
    match failure.exit {
        Exit::Expired => failure.hint("ask again"),
        Exit::Denied => failure.hint("do not ask again for the same; read the reason"),
        Exit::Conflict => failure.hint("ask again if it is still wanted"),
        Exit::Ok
        | Exit::Failure
        | Exit::Usage
        | Exit::NotAuthorised
        | Exit::Unreachable
        | Exit::Pending
        | Exit::Verification
        | Exit::Interrupted => failure,
    }
}

#[cfg(test)]
mod tests;
