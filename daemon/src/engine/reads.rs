//! The calls that change nothing durable. They are answered from what is committed.

use std::sync::Arc;

use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use tokio::sync::watch;

use super::call::{Consistency, Following, Head, Inclusion, Owed, Right, Snapshot, View};
use super::card::Card;
use super::{Engine, EngineError, Query, answer, live};
use crate::store::Row;

/// How many bytes of entries one answer holds at most; the wire allows a little more.
const LOG_PAGE: usize = 1 << 20;

/// How many requests of a kind that are owed one answer holds at most.
const OWED: u32 = 1000;

/// How many requests a page of all of them holds at most. Each document is read for it.
const PAGE: u32 = 32;

impl Engine {
    pub(super) fn read(&mut self, query: Query) {
        match query {
            Query::Follow(id, right, reply) => {
                let done = self.follow(id, &right);
                if let Err(Ok(following)) = reply.send(done) {
                    self.leave(id, following.waiter);
                }
            }
            Query::Leave(id, waiter) => self.leave(id, waiter),
            Query::Get(id, reply) => answer(reply, self.get(&id)),
            Query::List { limit, reply } => answer(reply, Ok(self.open(limit))),
            Query::Page {
                before,
                limit,
                reply,
            } => answer(reply, self.page(before, limit)),
            Query::Runs(reply) => answer(reply, Ok(self.runs())),
            Query::Owed(reply) => answer(reply, self.owed()),
            Query::Watch(reply) => {
                let changes = self.changes.subscribe();
                let mut open: Vec<Arc<View>> = self
                    .live
                    .values()
                    .map(|live| Arc::new(live.view()))
                    .collect();
                open.sort_by_key(|view| view.received_index);
                answer(reply, Ok(Snapshot { open, changes }));
            }
            Query::ReadLog { from, limit, reply } => answer(reply, self.read_log(from, limit)),
            Query::KeptRules(digest, reply) => {
                let kept = self.store.kept_rules(digest);
                answer(reply, kept.map_err(EngineError::from));
            }
            Query::Head(known, reply) => answer(reply, self.head(known)),
            Query::Prove(at, known, reply) => answer(reply, self.inclusion(at, known)),
            Query::CosignedHead(below, reply) => answer(reply, self.cosigned_head(below)),
            Query::Consistency(from, to, reply) => answer(reply, self.consistency(from, to)),
            Query::Root(size, reply) => {
                let done = if size == 0 || size > self.tail.size() {
                    Ok(None)
                } else {
                    self.store
                        .root_at(size)
                        .map(Some)
                        .map_err(EngineError::from)
                };
                answer(reply, done);
            }
            Query::Count { uid, code } => self.count(uid, code),
        }
    }

    fn check_right(&self, id: RequestId, right: &Right) -> Result<(), EngineError> {
        let (principal, ticket) = match self.live.get(&id) {
            Some(live) => (
                live.intake.principal.clone(),
                live.request.received().ticket,
            ),
            None => match self.store.request(id)? {
                Some(row) => (row.intake.principal, row.request.received().ticket),
                None => return Err(EngineError::NotFound { id: id.to_string() }),
            },
        };
        if principal == right.principal && ticket == right.ticket {
            Ok(())
        } else {
            Err(EngineError::BadTicket)
        }
    }

    fn follow(&mut self, id: RequestId, right: &Right) -> Result<Following, EngineError> {
        self.check_right(id, right)?;
        self.next_waiter = self.next_waiter.saturating_add(1);
        let waiter = self.next_waiter;
        if let Some(live) = self.live.get_mut(&id) {
            live.waiters.join(waiter);
            return Ok(Following {
                waiter,
                standing: live.follow(),
            });
        }
        let row = self.row(id)?;
        let entry = self.store.entry_behind(id, row.request.state())?;
        // The request has ended: the one standing there will ever be, from a sender that is gone.
        let standing = watch::Sender::new(live::standing(&row.request, entry)).subscribe();
        Ok(Following { waiter, standing })
    }

    fn leave(&mut self, id: RequestId, waiter: u64) {
        let now = self.now();
        let grace = self.rules.limits.disconnect_grace;
        if let Some(live) = self.live.get_mut(&id) {
            live.waiters.leave(waiter, &now, grace);
        }
    }

    fn get(&self, text: &str) -> Result<Arc<View>, EngineError> {
        let not_found = || EngineError::NotFound {
            id: text.escape_default().to_string(),
        };
        let id = match text.parse::<RequestId>() {
            Ok(id) => id,
            Err(_) if text.len() >= 8 && text.starts_with(RequestId::PREFIX) => {
                let (first, last) = RequestId::range(text).ok_or_else(not_found)?;
                let found = self.store.ids_between(first, last)?;
                match found.as_slice() {
                    [] => return Err(not_found()),
                    [only] => *only,
                    _ => {
                        let prefix = text.escape_default().to_string();
                        return Err(EngineError::Ambiguous { prefix });
                    }
                }
            }
            Err(_) => return Err(not_found()),
        };
        let row = self.row(id)?;
        let document = row.document.clone().ok_or(EngineError::Erased { id })?;
        let view = self
            .live
            .get(&id)
            .map_or_else(|| view_of(row), super::Live::view);
        Ok(Arc::new(View {
            document: document.into(),
            ..view
        }))
    }

    /// Returns the open requests, newest first; there are never more than the limits let in.
    fn open(&self, limit: u32) -> Vec<Arc<View>> {
        let mut open: Vec<Arc<View>> = self
            .live
            .values()
            .map(|live| Arc::new(live.view()))
            .collect();
        open.sort_by_key(|view| std::cmp::Reverse(view.received_index));
        open.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        open
    }

    /// Returns a page of all requests, newest first, so short that nobody waits for it long.
    fn page(&self, before: Option<RequestId>, limit: u32) -> Result<Vec<Arc<View>>, EngineError> {
        let mut views = Vec::new();
        self.store.each_latest(before, limit.min(PAGE), |row| {
            let view = match self.live.get(&row.request.id()) {
                Some(live) => live.view(),
                // Lists show the card; all the documents at once would not fit anywhere.
                None => View {
                    document: Arc::default(),
                    ..view_of(row)
                },
            };
            views.push(Arc::new(view));
        })?;
        Ok(views)
    }

    /// Returns what people still owe.
    fn owed(&self) -> Result<Owed, EngineError> {
        let of = |ids: Vec<RequestId>| -> Result<Vec<Arc<View>>, EngineError> {
            ids.into_iter()
                .map(|id| {
                    // Lists show the card and not the document.
                    let view = match self.live.get(&id) {
                        Some(live) => live.view(),
                        None => View {
                            document: Arc::default(),
                            ..view_of(self.row(id)?)
                        },
                    };
                    Ok(Arc::new(view))
                })
                .collect()
        };
        Ok(Owed {
            debts: of(self.store.debts(OWED)?)?,
            unsettled: of(self.store.unsettled(OWED)?)?,
        })
    }

    fn read_log(&self, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, EngineError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let size = self.tail.size();
        let mut entries = Vec::new();
        let mut bytes = 0usize;
        self.store.each_entry::<EngineError>(from, |at, data, _| {
            if at >= size || entries.len() >= most || bytes + data.len() > LOG_PAGE {
                return Ok(false);
            }
            bytes += data.len();
            entries.push(data.to_vec());
            Ok(true)
        })?;
        Ok(entries)
    }

    /// Returns the head, with a proof that it extends the head of a known size.
    pub(super) fn head(&self, known: u64) -> Result<Head, EngineError> {
        let size = self.tail.size();
        let from = if known < size { known } else { 0 };
        let consistency = if from == 0 {
            Vec::new()
        } else {
            self.store.prove_consistency(from, size)?
        };
        Ok(Head {
            note: self.note.clone(),
            cosignatures: self.cosignatures.of(size).to_owned(),
            size,
            consistency,
            from,
            rotation: self.rotation(size)?,
        })
    }

    fn consistency(&self, from: u64, to: u64) -> Result<Consistency, EngineError> {
        let size = self.tail.size();
        let proof = if from < to && to <= size {
            self.store.prove_consistency(from, to)?
        } else {
            Vec::new()
        };
        Ok(Consistency { proof, size })
    }

    /// Returns an entry with the proof that the head holds it.
    pub(super) fn inclusion(&self, at: u64, known: u64) -> Result<Inclusion, EngineError> {
        let head = self.head(known)?;
        let entry = self
            .store
            .entry(at)?
            .filter(|_| at < head.size)
            .ok_or_else(|| EngineError::NotFound {
                id: format!("entry {at}"),
            })?;
        let proof = self.store.prove_inclusion(at, head.size)?;
        Ok(Inclusion {
            index: at,
            entry,
            proof,
            head,
        })
    }
}

/// Returns a stored request as reviewers see it. Of one whose document was erased there is the user
/// left, and what happened.
pub(super) fn view_of(row: Row) -> View {
    let unread = || Card {
        uid: row.intake.uid,
        ..Card::default()
    };
    let card = row.document.as_deref().map_or_else(unread, |bytes| {
        Document::read(bytes).map_or_else(
            |error| {
                tracing::error!(id = %row.request.id(), %error, "a stored document cannot be read");
                unread()
            },
            |document| Card::of(&document),
        )
    });
    View {
        request: row.request,
        card,
        document: row.document.unwrap_or_default().into(),
        received_index: row.intake.received_index,
        waiter_present: false,
    }
}
