//! `hook`: answers an agent's client that is about to use a tool, and hears how that ended.
//!
//! The rule of the house: **a decision is exit code 0 and the client's own JSON; any failure of ours is
//! empty stdout, the reason on stderr, and exit code 2.** Every client that is known takes 2 for "no",
//! and most of them take anything else that is not a decision for "go on": a signal, another code, no
//! output, half an output. So nothing else ever leaves this command while it can do anything about it,
//! and our own time is over before the client's.
//!
//! | module | what it is |
//! |---|---|
//! | `dialect`, `call` | what each client writes and wants to read; a call, whatever the dialect |
//! | `action`, `changes` | the call as an action; what it changes in files |
//! | `gate`, `outcome` | the answer before; the report after |
//! | `headless`, `parent` | who asks, and whether it can come back |
//! | `watchdog` | the end at the limit, whatever hangs |
//! | `permission` | the same answer for a client that asks a tool instead of a hook |

mod action;
mod call;
mod changes;
mod dialect;
mod gate;
mod headless;
mod outcome;
mod parent;
pub(crate) mod permission;
mod watchdog;

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use countersign_client::place::state_dir;
use countersign_shared::json::{self, Bounds, MAX_DEPTH};
use serde_json::{Map, Value};

use crate::asked;
use crate::calls::{Calls, Shelf};
use crate::cli::HookOptions;
use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::session::Session;
use crate::signals::Signals;

use call::Event;
use dialect::DialectError;
use gate::{Decision, Gate};
use parent::Parent;

pub use dialect::Dialect;

/// The exit code of every failure: the one that every client takes for "no".
pub(crate) const FAILED: u8 = 2;

/// The most that a client may write, in bytes. An action has its own, smaller limit.
const LARGEST: usize = 16 * 1024 * 1024;

impl Dialect {
    /// Returns how long the client waits for a hook when nothing else was set up, less what it takes
    /// to answer.
    const fn usual_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Claude | Self::Codex => 590,
            Self::Gemini => 55,
            Self::Copilot => 25,
        })
    }
}

/// How much earlier than its limit a hook that still waits gives up, at most: so much that it says so
/// itself, and is not ended.
const BEFORE: Duration = Duration::from_millis(200);

fn limit(options: &HookOptions) -> Duration {
    options.limit.unwrap_or(options.client.usual_limit())
}

/// Sees to it that the process ends within the limit, whatever it does. The first thing to be done.
///
/// # Errors
/// When that cannot be seen to.
pub(crate) fn watch(options: &HookOptions) -> Result<(), Failure> {
    watchdog::start(limit(options))
}

/// Answers one event.
///
/// # Errors
/// With everything that is no answer; nothing was written to stdout then.
pub(crate) async fn perform(home: Option<&Path>, options: HookOptions) -> Result<u8, Failure> {
    let limit = limit(&options);
    let limit = limit.saturating_sub(BEFORE.min(limit / 10));
    // Whatever is under way by then, a client that gives up itself may let the call pass.
    match tokio::time::timeout(limit, one_event(home, options, limit)).await {
        Ok(done) => done,
        Err(_) => Err(gate::too_slow()),
    }
}

async fn one_event(
    home: Option<&Path>,
    options: HookOptions,
    limit: Duration,
) -> Result<u8, Failure> {
    let reserve = gate::RESERVE.min(limit / 4);
    let ends = clock::boot().saturating_add(limit.saturating_sub(reserve));
    if options.defer && options.client != Dialect::Claude {
        return Err(Failure::new(
            Exit::Usage,
            "no-defer",
            format!("`{}` cannot defer a call", options.client.word()),
        )
        .hint("leave `--defer` out; the call is denied for now, and its ticket waits"));
    }
    let mut signals =
        Signals::catch().map_err(|error| Failure::of(Exit::Failure, "signals", &error))?;
    let parent =
        Parent::watch().map_err(|error| Failure::of(Exit::Failure, "no-parent", &error))?;
    let payload = tokio::select! {
        biased;
        signal = signals.next() => return Err(asked::interrupted(signal)),
        () = parent.gone() => return Err(gate::abandoned()),
        payload = read_payload(options.client, ends) => payload?,
    };
    let event = options
        .client
        .read(payload, options.event.as_deref())
        .map_err(|error| not_understood(&error))?;
    let calls = Calls::open(&state_dir()?);
    match event {
        Event::Gate(_) if !output::is_heard() => {
            // Before anybody is asked, and before a use is taken that nobody would make.
            return Err(Failure::new(
                Exit::Failure,
                "not-heard",
                "nobody hears the answer: standard output is closed, or is the null device",
            )
            .hint("start the hook with its standard output connected to the client"));
        }
        Event::Gate(call) => {
            let mut session = Session::open(home)?;
            let gate = Gate {
                call: &call,
                ends,
                defer: options.defer,
                parent: &parent,
            };
            let decision = gate.decide(&mut session, &calls, &mut signals).await?;
            answer(options.client, decision, &mut session, &calls, &call).await?;
        }
        Event::Over(call, end) => {
            outcome::tell(&call, &end, &parent, || Session::open(home), &calls).await?;
        }
    }
    Ok(Exit::Ok.number())
}

/// Writes the verdict. One that says yes and is not heard is taken back.
async fn answer(
    client: Dialect,
    decision: Decision,
    session: &mut Session,
    calls: &Calls,
    call: &call::ToolCall,
) -> Result<(), Failure> {
    let written = client
        .render(&decision.verdict)
        .ok_or_else(|| io::Error::other("the client has no word for it"))
        .and_then(|value| {
            watchdog::last_word().map_err(|failure| io::Error::other(failure.message))?;
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{}", output::ascii(&value))?;
            stdout.flush()
        });
    let Err(error) = written else {
        return Ok(());
    };
    if let Some(asked) = decision.used {
        if let Ok(key) = call.key() {
            drop(calls.take(Shelf::Redeemed, &key, &call.session));
        }
        asked
            .report_not_run(session, "the client did not take the answer")
            .await;
    }
    Err(Failure::of(Exit::Failure, "not-answered", &error))
}

/// Reads what the client writes, to its end, while our time lasts.
async fn read_payload(client: Dialect, ends: Duration) -> Result<Map<String, Value>, Failure> {
    let reading = tokio::task::spawn_blocking(|| {
        let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    let left = ends.saturating_sub(clock::boot());
    let unreadable = |problem: String| {
        not_understood(&DialectError::Json {
            client: client.word(),
            problem,
        })
    };
    let bytes = match tokio::time::timeout(left, reading).await {
        Ok(Ok(Ok(bytes))) => bytes,
        Ok(Ok(Err(error))) => return Err(unreadable(error.to_string())),
        Ok(Err(error)) => return Err(Failure::of(Exit::Failure, "internal", &error)),
        Err(_) => return Err(unreadable("it does not end".to_owned())),
    };
    let bounds = Bounds {
        depth: MAX_DEPTH,
        ..Bounds::of_own(LARGEST)
    };
    match json::read_within(&bytes, &bounds) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(unreadable("it is not an object".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn not_understood(error: &DialectError) -> Failure {
    Failure::of(Exit::Usage, "not-understood", error)
        .hint("check that the hook is set up for this client and event; nothing was approved")
}
