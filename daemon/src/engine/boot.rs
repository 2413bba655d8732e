//! Starting the engine: the database is checked against the log's key and how far the log had come,
//! the rules are compared with the ones in force, and open requests are taken up again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_shared::digest::Digest;
use countersign_shared::document::Document;
use countersign_shared::log::entry::{Body, Entry, LogEvent};
use countersign_shared::log::keys::LogKeys;
use countersign_shared::log::tree::Frontier;
use countersign_shared::machine::{Event, Mode, State};
use countersign_shared::time::Timestamp;
use tokio::sync::{broadcast, watch};

mod error;

pub use error::BootError;

use super::cosigning::Lines;
use super::erasing::Retention;
use super::force::{Adopted, Force, NewRules};
use super::history::{HOUR, History};
use super::mark::{self, Mark, MarkError};
use super::rotating::Signers;
use super::submitting::before;
use super::{
    CHANGES, Card, Chain, Clock, Engine, EngineError, Exit, Index, Live, LogTail, Reserve, Rules,
    Store, daemon_actor,
};
use crate::keyring::Keyring;
use crate::stream::Released;

/// What the engine is started with.
#[derive(Debug)]
pub struct Settings {
    /// The log's origin.
    pub origin: String,
    /// The log's keys.
    pub keys: Keyring,
    /// The clocks.
    pub clock: Clock,
    /// The rules that the operator's files make.
    pub rules: Rules,
    /// Why they are put in force without the reviewers, if the operator wants that.
    pub adopt: Option<String>,
    /// The reason for accepting a wall clock that is behind the log, if somebody accepts it.
    pub accept_clock: Option<String>,
    /// How long documents of requests that are over are kept; nothing for ever.
    pub keep_documents: Option<Duration>,
}

/// Opens everything and writes the entries of a start.
pub(super) fn open(path: &Path, mut settings: Settings, calls: Exit) -> Result<Engine, BootError> {
    let accept_clock = settings.accept_clock.take();
    let (mut engine, start) = resume(path, settings, calls)?;
    engine
        .first_entries(start, accept_clock)
        .map_err(BootError::First)?;
    engine.signers.settle()?;
    engine.retire_when_over();
    Ok(engine)
}

/// Opens everything, checked, and goes on with the mark; writes no entries.
pub(super) fn resume(
    path: &Path,
    settings: Settings,
    calls: Exit,
) -> Result<(Engine, Start), BootError> {
    let (mut engine, start, lost) = prepare(path, settings, calls)?;
    if let Some(lost) = lost {
        return Err(BootError::WentBack(lost));
    }
    engine.signers.check()?;
    let mark = if engine.note.is_empty() {
        Mark::begin(path)
    } else {
        Mark::resume(path, &engine.note)
    };
    engine.mark = Some(mark.map_err(BootError::Mark)?);
    Ok((engine, start))
}

/// Opens a log as it is, for a change of its keys.
pub(super) fn as_it_is(path: &Path, settings: Settings, calls: Exit) -> Result<Engine, BootError> {
    match prepare(path, settings, calls)? {
        (engine, _, None) => Ok(engine),
        (_, _, Some(lost)) => Err(BootError::WentBack(lost)),
    }
}

/// Goes on from a database that is older than the log had been: writes down that it does, and why.
/// Returns what was lost, in words.
pub(super) fn adopt(
    path: &Path,
    settings: Settings,
    reason: String,
    calls: Exit,
) -> Result<String, BootError> {
    let (mut engine, _, lost) = prepare(path, settings, calls)?;
    let lost = lost.ok_or(BootError::NothingLost)?;
    if engine.note.is_empty() {
        return Err(BootError::NothingLeft);
    }
    engine.signers.check()?;
    engine.adopt(&lost, reason).map_err(BootError::First)?;
    // Only now: whoever is interrupted before is asked again.
    let mut mark = Mark::begin(path).map_err(BootError::Mark)?;
    mark.advance(&engine.note);
    mark.sync();
    Ok(lost.to_string())
}

/// Opens everything and writes nothing. Tells what was lost, if the log is not the one that had been
/// reached; then there is no mark.
fn prepare(
    path: &Path,
    settings: Settings,
    calls: Exit,
) -> Result<(Engine, Start, Option<MarkError>), BootError> {
    let store = Store::open(path)?;
    let Settings {
        origin,
        keys,
        clock,
        rules: of_files,
        adopt,
        accept_clock: _,
        keep_documents,
    } = settings;
    let signers = Signers::of(&store, &origin, keys)?;
    let (frontier, note) = match store.head()? {
        Some((frontier, note)) => {
            check_head(&store, &signers.keys, &frontier, &note)?;
            (frontier, note)
        }
        None if store.is_blank()? => (Frontier::new(), String::new()),
        None => {
            let problem = "the head is missing".to_owned();
            return Err(BootError::Log { problem });
        }
    };
    let lost = match check_mark(path, &store, &signers.keys, frontier.size()) {
        Err(BootError::Mark(lost)) if lost.is_adoptable() => Some(lost),
        Err(error) => return Err(error),
        Ok(()) => None,
    };
    let told = last_time(&store, frontier.size())?;
    check_mode(&store, of_files.mode)?;
    let of_files = Arc::new(of_files);
    let start = Start::of(&store, of_files, adopt)?;
    let rules = Arc::clone(start.in_force());
    let adopted = Adopted::stored(&store)?;
    let force = Force {
        rules: Arc::clone(&rules),
        proposed: None,
        adopted,
    };
    let released = Released {
        head: frontier.head(),
        note: note.as_str().into(),
    };
    let cosignatures = Lines::stored(&store, frontier.size())?;
    let mut engine = Engine {
        store,
        clock,
        signers,
        tail: LogTail::new(origin, frontier),
        note,
        cosignatures,
        separation: rules.separation(),
        rules,
        published: watch::Sender::new(force),
        released: watch::Sender::new(released),
        live: HashMap::new(),
        index: Index::default(),
        history: History::default(),
        staged: HashMap::new(),
        calls,
        changes: broadcast::Sender::new(CHANGES),
        counts: BTreeMap::new(),
        counting_since: None,
        next_waiter: 0,
        last: told,
        draining: false,
        down: false,
        told: super::heads::Told::default(),
        unlogged: false,
        reserve: Reserve::beside(path),
        mark: None,
        retention: Retention::of(keep_documents),
        swept_ms: 0,
    };
    engine.load()?;
    Ok((engine, start, lost))
}

/// Checks that the log is the one that had been reached, or goes on from it.
fn check_mark(path: &Path, store: &Store, keys: &LogKeys, size: u64) -> Result<(), BootError> {
    match mark::read(&mark::beside(path), keys).map_err(BootError::Mark)? {
        mark::Reached::Head(reached) => mark::compare(reached, size, |at| {
            store.root_at(at).map_err(BootError::Store)
        }),
        mark::Reached::Nothing => Ok(()),
        mark::Reached::Unknown if size == 0 => Ok(()),
        mark::Reached::Unknown => Err(BootError::Mark(MarkError::Missing {
            path: mark::beside(path).display().to_string(),
        })),
    }
}

/// With which rules an engine starts.
pub(super) enum Start {
    /// The log is new: the files' rules are its first.
    Blank(Arc<Rules>),
    /// Those are in force, and the files may make others.
    Take(Arc<Rules>, NewRules),
    /// The files' rules replace the ones with a digest: in user mode, where they always do, or in
    /// system mode without the reviewers, for a reason.
    Replace(Arc<Rules>, Digest, Option<String>),
}

impl Start {
    /// Compares the files' rules with what the database says is in force.
    fn of(store: &Store, of_files: Arc<Rules>, adopt: Option<String>) -> Result<Self, BootError> {
        let Some(digest) = store.rules()? else {
            return match adopt {
                None => Ok(Self::Blank(of_files)),
                Some(_) => Err(BootError::NothingToAdopt("the log is new")),
            };
        };
        let same = digest == of_files.digest;
        match (of_files.mode, adopt) {
            (Mode::User, Some(_)) => Err(BootError::NothingToAdopt(
                "in user mode a start or a reload puts the files in force",
            )),
            (Mode::User, None) if !same => Ok(Self::Replace(of_files, digest, None)),
            (Mode::System, Some(_)) if same => Err(BootError::NothingToAdopt(
                "the rules of the files are in force",
            )),
            (Mode::System, Some(reason)) => Ok(Self::Replace(of_files, digest, Some(reason))),
            (Mode::User | Mode::System, None) => Self::take(store, of_files, digest),
        }
    }

    /// Goes on with the rules that have a digest, put together again of what was kept of them.
    fn take(store: &Store, of_files: Arc<Rules>, digest: Digest) -> Result<Self, BootError> {
        let unusable = |source| BootError::Rules {
            rules: digest,
            source,
        };
        let in_force = if digest == of_files.digest {
            Arc::clone(&of_files)
        } else {
            let kept = store.kept_rules(digest)?.ok_or_else(|| unusable(None))?;
            let rules = Rules::restore(kept, of_files.groups().clone())
                .map_err(|error| unusable(Some(error)))?;
            if rules.digest != digest {
                return Err(unusable(None));
            }
            Arc::new(rules)
        };
        let new = NewRules::of(&in_force, of_files).map_err(|error| unusable(Some(error)))?;
        Ok(Self::Take(in_force, new))
    }

    /// Returns the rules to begin with.
    fn in_force(&self) -> &Arc<Rules> {
        match self {
            Self::Blank(rules) | Self::Take(rules, _) | Self::Replace(rules, ..) => rules,
        }
    }
}

/// Refuses another mode than the log began with: in user mode nobody signs rules, so a change of the
/// mode would be a way around the signatures.
fn check_mode(store: &Store, mode: Mode) -> Result<(), BootError> {
    let Some(bytes) = store.entry(0)? else {
        return Ok(());
    };
    let word = |mode| match mode {
        Mode::User => "user",
        Mode::System => "system",
    };
    match Entry::read(&bytes).map(|entry| entry.body) {
        Ok(Body::Log(LogEvent::Genesis { mode: began, .. })) if began != mode => {
            Err(BootError::Mode {
                began: word(began),
                found: word(mode),
            })
        }
        Ok(Body::Log(LogEvent::Genesis { .. })) => Ok(()),
        Ok(_) | Err(_) => Err(BootError::Log {
            problem: "entry 0 is not its genesis".to_owned(),
        }),
    }
}

/// Checks that the head is signed by the log's keys and is the one over the stored leaves' edge.
fn check_head(
    store: &Store,
    keys: &LogKeys,
    frontier: &Frontier,
    note: &str,
) -> Result<(), BootError> {
    let damaged = |problem: String| BootError::Log { problem };
    let head = keys
        .open(note)
        .map_err(|error| damaged(format!("the stored head: {}", Chain(&error))))?;
    if *head.head() != frontier.head() {
        return Err(damaged(
            "the stored head is not the one of the stored edge".to_owned(),
        ));
    }
    let root = store.root_at(head.size())?;
    if root != head.head().root {
        return Err(damaged(
            "the stored nodes do not lead to the stored head".to_owned(),
        ));
    }
    if store.entry(head.size())?.is_some() {
        return Err(damaged(
            "there are entries after the stored head".to_owned(),
        ));
    }
    Ok(())
}

/// Returns the time of the last entry, or the start of Unix time in a new log.
fn last_time(store: &Store, size: u64) -> Result<Timestamp, BootError> {
    let Some(at) = size.checked_sub(1) else {
        return Ok(Timestamp::from_millis(0));
    };
    let damaged = |problem: String| BootError::Log {
        problem: format!("entry {at}: {problem}"),
    };
    let bytes = store
        .entry(at)?
        .ok_or_else(|| damaged("is missing".to_owned()))?;
    let entry = Entry::read(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(entry.now.wall)
}

impl Engine {
    /// Takes up every request that has not ended (R14).
    fn load(&mut self) -> Result<(), BootError> {
        let now = self.now();
        let grace = self.rules.limits.disconnect_grace;
        let (store, live, index) = (&self.store, &mut self.live, &mut self.index);
        let history = &self.history;
        store.each_since(before(now.wall, HOUR), |asked| {
            history.note_asked(asked.uid, asked.at, asked.is_held);
        })?;
        store.each_denied_since(before(now.wall, HOUR), |uid, at| {
            history.note_denied(uid, at);
        })?;
        store.each_open::<BootError>(|row| {
            let id = row.request.id();
            let damaged = |problem: String| BootError::Document {
                id: id.to_string(),
                problem,
            };
            let bytes = row
                .document
                .as_deref()
                .ok_or_else(|| damaged("it is not there".to_owned()))?;
            let document = Document::read(bytes).map_err(|error| damaged(error.to_string()))?;
            if document.digest() != row.request.digest() {
                let problem = "its digest is not the one that was received";
                return Err(damaged(problem.to_owned()));
            }
            let entry = store.entry_behind(id, row.request.state())?;
            let card = Card::of(&document);
            let mut open = Live::new(row.request, entry, card, row.intake, &now, grace);
            open.is_shared = store.is_joined(id)?;
            index.learn(id, &open);
            live.insert(id, open);
            Ok(())
        })
    }

    /// Writes the genesis of a new log, or a change of rules, and that the daemon started.
    fn first_entries(
        &mut self,
        start: Start,
        accept_clock: Option<String>,
    ) -> Result<(), EngineError> {
        if let Some(reason) = accept_clock
            && self.clock_behind().is_some()
        {
            self.accept_clock(reason)?;
        }
        let mut outcome = Ok(self.force());
        let durable = self.commit(|engine, batch, scene| {
            outcome = engine.step(batch, scene, |engine, step| {
                let software = format!("countersignd {}", env!("CARGO_PKG_VERSION"));
                let force = match start {
                    Start::Blank(rules) => {
                        let change = rules.change(rules.digest, None, scene.now.wall);
                        let genesis = LogEvent::Genesis {
                            vkey: engine.signers.in_force.verifier().to_string(),
                            software: software.clone(),
                            mode: rules.mode,
                            rules: Box::new(change),
                        };
                        step.note(&mut engine.store, scene, daemon_actor(), genesis)?;
                        engine.store.put_rules(&rules.kept)?;
                        engine.force()
                    }
                    Start::Take(_, new) => engine.take_rules(step, scene, &new)?,
                    Start::Replace(rules, previous, None) => {
                        engine.replace_rules(step, scene, &rules, previous, None)?;
                        engine.force()
                    }
                    Start::Replace(rules, previous, Some(reason)) => {
                        engine.adopt_rules(step, scene, &rules, (previous, reason))?
                    }
                };
                engine.store.forget_joined()?;
                let started = LogEvent::DaemonStarted { software };
                step.note(&mut engine.store, scene, daemon_actor(), started)?;
                engine.lose_own_runs(step, scene)?;
                Ok(force)
            });
            Vec::new()
        });
        let force = outcome?;
        if durable {
            self.go_by(force);
            Ok(())
        } else {
            Err(EngineError::LogUnavailable(None))
        }
    }

    /// Writes that the log goes on from an older database. What waits or is approved there may have
    /// been decided and used since, so it ends.
    fn adopt(&mut self, lost: &MarkError, reason: String) -> Result<(), EngineError> {
        let reached = lost.reached();
        let event = LogEvent::RollbackAdopted {
            size: reached.map(|head| head.size),
            root: reached.map(|head| Digest::from_bytes(*head.root.as_bytes())),
            reason,
        };
        let mut outcome = Ok(());
        let durable = self.commit(|engine, batch, scene| {
            outcome = engine.step(batch, scene, |engine, step| {
                step.note(&mut engine.store, scene, daemon_actor(), event)?;
                let mut ids: Vec<_> = engine.live.keys().copied().collect();
                ids.sort_unstable();
                for id in ids {
                    let state = engine.copy(step, id)?.state();
                    if matches!(state, State::Pending | State::Approved) {
                        let because = "the database was restored from an older copy".to_owned();
                        let event = Event::Invalidated { because };
                        step.apply(&mut engine.store, scene, &daemon_actor(), id, event)?;
                    }
                }
                Ok(())
            });
            Vec::new()
        });
        outcome?;
        if durable {
            Ok(())
        } else {
            Err(EngineError::LogUnavailable(None))
        }
    }

    /// Writes that a wall clock behind the log was accepted; from then on entries carry it.
    fn accept_clock(&mut self, reason: String) -> Result<(), EngineError> {
        let (last, wall) = (self.last, self.clock.now().wall);
        tracing::warn!(%last, %wall, "a wall clock behind the log was accepted");
        self.last = wall;
        let mut outcome = Ok(0);
        let durable = self.commit(|engine, batch, scene| {
            let event = LogEvent::ClockJumped { last, wall, reason };
            outcome = engine.step(batch, scene, |engine, step| {
                Ok(step.note(&mut engine.store, scene, daemon_actor(), event)?)
            });
            Vec::new()
        });
        outcome?;
        if durable {
            Ok(())
        } else {
            Err(EngineError::LogUnavailable(None))
        }
    }
}
