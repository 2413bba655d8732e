//! The log for whoever looks at it: a stretch of entries, one entry whole, and the proof of one.
//!
//! The stretch ends at the last verified head. Who an agent's requests belong to is read from their
//! first entries. Only the proof is checked against the log; the rest is told as the daemon lists it.

use std::collections::HashMap;

use countersign_client::heads::HeadsError;
use countersign_client::shown::{AnswerError, Inclusion, ShownHead};
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::entry::{ActorKind, Entry, EntryError};
use countersign_shared::log::tree::{Hash, leaf_hash};
use countersign_shared::text::Untrusted;
use serde_json::Value;

use super::{Clerk, Gone};
use crate::cause::chain;
use crate::client::{Client, ClientError};
use crate::console::event::News;
use crate::console::page::{Gutter, Page, Writer};
use crate::console::state::logbook::{Batch, Entry as Shown, Item, Listed, Reach, Wanted};
use crate::entries::filter::Filter;
use crate::entries::words;
use crate::proof::Proof;
use crate::review::caught_up;

/// How many entries are read at once.
const PAGE: u64 = 200;
/// How many rows one answer holds, about.
const ROWS: usize = 200;
/// How many entries are looked at for one answer; what was not found in them is asked for again, so
/// that nothing else waits for long.
const LOOKED_AT: u64 = 2_000;
/// How many characters of what an entry says fit a row, however wide.
const WORDS: usize = 400;
/// How many requests' agents are remembered.
const REMEMBERED: usize = 10_000;

/// The log cannot be shown.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    /// The daemon did not give it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer cannot be read.
    #[error("the daemon's answer cannot be read")]
    Answer(#[from] AnswerError),
    /// The log is not what it was.
    #[error(transparent)]
    Log(#[from] HeadsError),
    /// An entry cannot be read.
    #[error("entry {seq} cannot be read")]
    Entry {
        /// Which one.
        seq: u64,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// An entry says that it is another one.
    #[error("entry {seq} says that it is entry {found}")]
    Misplaced {
        /// Where it stands.
        seq: u64,
        /// What it says.
        found: u64,
    },
    /// There are fewer entries than the head says.
    #[error("entry {seq} is missing, although the head of the log covers it")]
    Missing {
        /// Which one.
        seq: u64,
    },
}

/// Who asked for which request, as far as it was needed.
pub(super) type Agents = HashMap<RequestId, String>;

impl Clerk {
    /// Reads a stretch of the log.
    pub(super) async fn read_log(
        &mut self,
        client: &mut Client,
        wanted: Wanted,
    ) -> Result<(), Gone> {
        let serial = wanted.serial;
        let news = match self.stretch(client, wanted).await {
            Ok(batch) => News::Log(Box::new(batch)),
            Err(error) => {
                if let ReadError::Log(error) = &error
                    && !error.is_behind()
                    && !error.is_ours()
                {
                    self.alarm(error).await?;
                }
                let why = chain(&error);
                News::NoLog { serial, why }
            }
        };
        Ok(self.news.send(news).await?)
    }

    async fn stretch(&mut self, client: &mut Client, wanted: Wanted) -> Result<Batch, ReadError> {
        let Wanted {
            serial,
            mut picked,
            agent_of,
            reach,
        } = wanted;
        let size = self.size(client).await?;
        if let Some(id) = agent_of {
            picked.agent = Some(self.agent_of(client, id).await?);
        }
        let mut filter = Filter::new(picked.clone());
        let mut listed = Vec::new();
        let (mut from, mut to) = match reach {
            Reach::Newest => (size, size),
            Reach::Oldest => (0, 0),
            Reach::Before(before) => (before.min(size), before.min(size)),
            Reach::From(from) => (from.min(size), from.min(size)),
        };
        let is_back = matches!(reach, Reach::Newest | Reach::Before(_));
        while listed.len() < ROWS && from.abs_diff(to) < LOOKED_AT {
            let (first, last) = if is_back {
                (from.saturating_sub(PAGE), from)
            } else {
                (to, to.saturating_add(PAGE).min(size))
            };
            if first == last {
                break;
            }
            let page = self.page(client, first, last).await?;
            self.find_agents(client, &page, picked.agent.is_some())
                .await?;
            let mut rows = Vec::new();
            let mut next = first;
            for (bytes, entry) in &page {
                rows.extend(gone(next, entry.seq));
                next = entry.seq.saturating_add(1);
                let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
                let body = value.get("body").unwrap_or(&Value::Null);
                if let Some(id) = entry.request
                    && picked.agent.is_some()
                    && self.agents.get(&id) == picked.agent.as_ref()
                {
                    filter.asked_for(id);
                }
                if filter.holds(entry, body) {
                    rows.push(Listed::Entry(item(bytes, entry, body)));
                }
            }
            rows.extend(gone(next, last));
            rows.reverse();
            if is_back {
                from = first;
                listed.extend(rows);
            } else {
                to = last;
                listed.splice(0..0, rows);
            }
        }
        Ok(Batch {
            serial,
            picked,
            reach,
            from,
            to,
            rows: listed,
        })
    }

    /// Returns how many entries the last verified head covers, and verifies one where there is none.
    async fn size(&mut self, client: &mut Client) -> Result<u64, ReadError> {
        let known = caught_up::<ReadError>(client, &mut self.heads).await?;
        if known == 0 {
            let head = client.head(0).await?.head;
            let head = ShownHead::try_from(head.ok_or(AnswerError { field: "head" })?)?;
            self.heads.accept(&head)?;
        }
        Ok(self.heads.last().map_or(0, Checkpoint::size))
    }

    /// Reads the entries from `first` up to and without `last`, all of them that were not pruned.
    async fn page(
        &self,
        client: &mut Client,
        first: u64,
        last: u64,
    ) -> Result<Vec<(Vec<u8>, Entry)>, ReadError> {
        let mut page = Vec::new();
        let mut seq = first;
        while seq < last {
            let limit = u32::try_from(last.saturating_sub(seq)).unwrap_or(u32::MAX);
            let entries = client.read_log(seq, limit).await?;
            if entries.is_empty() {
                return Err(ReadError::Missing { seq });
            }
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            for bytes in entries.into_iter().take(wanted) {
                if !bytes.is_empty() {
                    let entry = read(seq, &bytes)?;
                    page.push((bytes, entry));
                }
                seq = seq.saturating_add(1);
            }
        }
        Ok(page)
    }

    /// Learns who asked for the requests of a page: from their first entries, and, for those that were
    /// asked for earlier, only when that is needed.
    async fn find_agents(
        &mut self,
        client: &mut Client,
        page: &[(Vec<u8>, Entry)],
        is_needed: bool,
    ) -> Result<(), ReadError> {
        if self.agents.len() > REMEMBERED {
            self.agents.clear();
        }
        for (_, entry) in page {
            if let Some(id) = entry.request
                && entry.body.entry_type() == "request.received"
            {
                self.agents.insert(id, entry.actor.id.clone());
            }
        }
        if !is_needed {
            return Ok(());
        }
        for id in page.iter().filter_map(|(_, entry)| entry.request) {
            self.agent_of(client, id).await?;
        }
        Ok(())
    }

    /// Returns who asked for a request.
    async fn agent_of(&mut self, client: &mut Client, id: RequestId) -> Result<String, ReadError> {
        if let Some(agent) = self.agents.get(&id) {
            return Ok(agent.clone());
        }
        let answer = client.get(&id.to_string(), 0).await?;
        let received = answer.received.ok_or(AnswerError { field: "received" })?;
        let received = Inclusion::try_from(received)?;
        let entry = read(received.index, &received.entry)?;
        let is_first = entry.request == Some(id)
            && entry.body.entry_type() == "request.received"
            && entry.actor.kind == ActorKind::Agent;
        if !is_first {
            return Err(AnswerError { field: "received" }.into());
        }
        self.agents.insert(id, entry.actor.id.clone());
        Ok(entry.actor.id)
    }

    /// Reads one entry whole, as it is listed.
    pub(super) async fn read_entry(
        &mut self,
        client: &mut Client,
        seq: u64,
        listed: Hash,
    ) -> Result<(), Gone> {
        let news = match self.page(client, seq, seq.saturating_add(1)).await {
            Ok(page) => match page.first() {
                Some((bytes, entry)) if leaf_hash(bytes) == listed => {
                    News::LogEntry(Box::new(shown(bytes, entry, None)))
                }
                Some(_) | None => News::NoLogEntry {
                    seq,
                    why: format!("the daemon lists another entry {seq} now, or none; press v"),
                },
            },
            Err(error) => News::NoLogEntry {
                seq,
                why: chain(&error),
            },
        };
        Ok(self.news.send(news).await?)
    }

    /// Checks that the log holds an entry, step by step.
    pub(super) async fn prove_entry(
        &mut self,
        client: &mut Client,
        seq: u64,
        listed: Hash,
    ) -> Result<(), Gone> {
        let mut told = self.prove(client, seq, listed).await;
        if let Ok((proof, _)) = &told
            && !proof.is_verified()
            && !proof.is_alarm()
        {
            // The log grew between two answers; once more from the head that is kept now.
            told = self.prove(client, seq, listed).await;
        }
        let news = match told {
            Ok((proof, inclusion)) => {
                if proof.is_alarm() {
                    self.alarm(&Contradiction::of(seq, &proof)).await?;
                }
                match Entry::read(&inclusion.entry) {
                    Ok(entry) => News::LogEntry(Box::new(Shown {
                        seq,
                        leaf: listed,
                        ..shown(&inclusion.entry, &entry, Some(proof))
                    })),
                    Err(_) => News::LogEntry(Box::new(Shown {
                        proof: Some(proof),
                        ..Shown::unproven(seq, listed, "")
                    })),
                }
            }
            Err(error) => {
                if let ReadError::Log(error) = &error
                    && !error.is_behind()
                    && !error.is_ours()
                {
                    self.alarm(error).await?;
                }
                News::LogEntry(Box::new(Shown::unproven(seq, listed, &chain(&error))))
            }
        };
        Ok(self.news.send(news).await?)
    }

    async fn prove(
        &mut self,
        client: &mut Client,
        seq: u64,
        listed: Hash,
    ) -> Result<(Proof, Inclusion), ReadError> {
        let known = caught_up::<ReadError>(client, &mut self.heads).await?;
        let inclusion = client.prove(seq, known).await?;
        let proof = Proof::check(&mut self.heads, seq, &listed, &inclusion);
        Ok((proof, inclusion))
    }
}

/// The log holds something else than it says.
#[derive(Debug, thiserror::Error)]
#[error("entry {seq} is not what the log holds: {why}")]
struct Contradiction {
    seq: u64,
    why: String,
}

impl Contradiction {
    fn of(seq: u64, proof: &Proof) -> Self {
        let why = proof.failure().map(ToString::to_string);
        Self {
            seq,
            why: why.unwrap_or_default(),
        }
    }
}

fn read(seq: u64, bytes: &[u8]) -> Result<Entry, ReadError> {
    let entry = Entry::read(bytes).map_err(|source| ReadError::Entry { seq, source })?;
    if entry.seq == seq {
        Ok(entry)
    } else {
        let found = entry.seq;
        Err(ReadError::Misplaced { seq, found })
    }
}

/// The row for the entries from `first` up to and without `end`, which the daemon does not have any more.
fn gone(first: u64, end: u64) -> Option<Listed> {
    let last = end.checked_sub(1).filter(|last| *last >= first)?;
    Some(Listed::Gone { first, last })
}

fn item(bytes: &[u8], entry: &Entry, body: &Value) -> Item {
    let mut said = words::of(entry.body.entry_type(), body);
    if let Some((end, _)) = said.char_indices().nth(WORDS) {
        said.truncate(end);
        said.push('…');
    }
    Item {
        seq: entry.seq,
        time: entry.now.wall,
        entry_type: entry.body.entry_type(),
        request: entry.request,
        side: entry.actor.kind,
        actor: Untrusted::new(entry.actor.id.as_str()),
        words: Untrusted::new(said),
        leaf: leaf_hash(bytes),
    }
}

fn shown(bytes: &[u8], entry: &Entry, proof: Option<Proof>) -> Shown {
    Shown {
        seq: entry.seq,
        request: entry.request,
        leaf: leaf_hash(bytes),
        page: pretty(bytes),
        proof,
    }
}

/// The JSON of an entry, a value to a line. What agents wrote is in it, so all of it stands behind
/// their gutter.
fn pretty(bytes: &[u8]) -> Page {
    let text = serde_json::from_slice::<Value>(bytes)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned());
    let mut parts = Vec::new();
    let mut writer = Writer::new(&mut parts, false);
    let label = countersign_shared::text::Printable::default();
    for line in text.lines() {
        writer.text(Gutter::Agent, &label, &Untrusted::new(line));
    }
    writer.finish(None)
}
