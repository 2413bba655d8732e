//! Reads the whole log as it grows, with a tree of its own, and holds it against what callers were
//! told.
//!
//! Leaves are hashed here and the root is computed here; only the entries' bytes and the signed head
//! come from the daemon.

use std::collections::BTreeMap;

use countersign::client::Client;
use countersign_client::shown::{self, ShownHead};
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::checkpoint;
use countersign_shared::log::entry::{Body, Entry};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::tree::{Frontier, Hash, leaf_hash};
use countersign_shared::machine::{Event, RunOutcome, State};
use countersign_shared::statement::Verdict;
use data_encoding::BASE64;

use super::ledger::{Known, Ledger};
use crate::installation::Outcome;

/// What the log says of one request.
#[derive(Debug)]
struct Told {
    digest: Digest,
    state: State,
    approved: bool,
    denied: bool,
    redeemed: u32,
    finished: u32,
}

/// A reader of the log.
#[derive(Debug)]
pub(super) struct Witness {
    key: VerifierKey,
    frontier: Frontier,
    leaves: Vec<Hash>,
    roots: Vec<Hash>,
    told: BTreeMap<RequestId, Told>,
}

impl Witness {
    /// Makes a reader who has read nothing yet.
    pub(super) fn new(key: VerifierKey) -> Self {
        let frontier = Frontier::new();
        let roots = vec![frontier.root()];
        Self {
            key,
            frontier,
            leaves: Vec::new(),
            roots,
            told: BTreeMap::new(),
        }
    }

    /// Returns how many entries were read.
    pub(super) fn size(&self) -> usize {
        self.leaves.len()
    }

    /// Reads the log to its end, compares the lists of the daemon with it, and then both with what
    /// was acknowledged.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub(super) async fn check(&mut self, client: &mut Client, ledger: &Ledger) -> Outcome<()> {
        self.read(client, ledger).await?;
        let listed = client.list(true).await?;
        let before = self.size();
        self.read(client, ledger).await?;
        if before == self.size() {
            for summary in listed {
                let id: RequestId = summary.id.parse()?;
                let state = shown::state(summary.state)?;
                let told = self
                    .told
                    .get(&id)
                    .ok_or_else(|| format!("{id} is in no entry"))?;
                if told.state != state {
                    return Err(format!("{id} is {state:?}, the log says {:?}", told.state).into());
                }
            }
        }
        self.compare(ledger)
    }

    async fn read(&mut self, client: &mut Client, ledger: &Ledger) -> Outcome<()> {
        let answer = client.head(0).await?;
        let head: ShownHead = answer.head.ok_or("no head")?.try_into()?;
        let keys = std::slice::from_ref(&self.key);
        let head = checkpoint::open(&head.note, keys, self.key.name())?;
        if head.size() < self.frontier.size() {
            return Err(format!("the log shrank to {} entries", head.size()).into());
        }
        while self.frontier.size() < head.size() {
            let left = u32::try_from(head.size().saturating_sub(self.frontier.size()))?;
            let entries = client.read_log(self.frontier.size(), left).await?;
            if entries.is_empty() {
                return Err(format!("entry {} is missing", self.frontier.size()).into());
            }
            for bytes in entries {
                self.take(&bytes, ledger)?;
            }
        }
        if self.frontier.root() == *head.root() {
            Ok(())
        } else {
            Err(format!("the head over {} entries is not theirs", head.size()).into())
        }
    }

    fn take(&mut self, bytes: &[u8], ledger: &Ledger) -> Outcome<()> {
        let entry = Entry::read(bytes)?;
        if entry.seq != self.frontier.size() {
            return Err(format!("entry {} says it is {}", self.frontier.size(), entry.seq).into());
        }
        let leaf = leaf_hash(bytes);
        self.frontier.push(leaf)?;
        self.leaves.push(leaf);
        self.roots.push(self.frontier.root());
        match (entry.request, &entry.body) {
            (Some(id), Body::Request(event)) => self.event(id, event, ledger.requests.get(&id)),
            (None, Body::Request(_) | Body::Log(_)) => Ok(()),
            (Some(id), Body::Log(_)) => Err(format!("an entry of the daemon names {id}").into()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what else happens is not what is counted"
    )]
    fn event(&mut self, id: RequestId, event: &Event, known: Option<&Known>) -> Outcome<()> {
        if let Event::Received(received) = event {
            let told = Told {
                digest: received.digest,
                state: State::Pending,
                approved: false,
                denied: false,
                redeemed: 0,
                finished: 0,
            };
            return match self.told.insert(id, told) {
                None => Ok(()),
                Some(_) => Err(format!("{id} was received twice").into()),
            };
        }
        let told = self
            .told
            .get_mut(&id)
            .ok_or_else(|| format!("{id} was never received"))?;
        let wrong = |what: &str| Err(format!("{id} was {what}").into());
        match event {
            Event::Decided(decision) => {
                let statement = BASE64.decode(decision.statement_base64.as_bytes())?;
                if !known.is_some_and(|known| known.signed.contains(&statement)) {
                    return wrong("decided by a statement that nobody signed");
                }
                match decision.verdict {
                    Verdict::Approve => told.approved = true,
                    Verdict::Deny => told.denied = true,
                }
            }
            Event::Approved { .. } if !told.approved || told.denied => {
                return wrong("approved without an approval");
            }
            Event::Approved { .. } => told.state = State::Approved,
            Event::Denied { .. } if !told.denied => return wrong("denied without a denial"),
            Event::Denied { .. } => told.state = State::Denied,
            Event::Redeemed { .. } => {
                if told.state != State::Approved || told.redeemed != 0 {
                    return wrong("redeemed without its one right");
                }
                told.redeemed = 1;
                told.state = State::Redeemed;
            }
            Event::Started { .. } => told.state = State::Running,
            Event::Finished(end) => {
                if told.redeemed != 1 || told.finished != 0 {
                    return wrong("finished without one redemption, or twice");
                }
                told.finished = 1;
                told.state = match end.outcome {
                    RunOutcome::Succeeded => State::Succeeded,
                    RunOutcome::Failed => State::Failed,
                    RunOutcome::Killed => State::Killed,
                };
            }
            Event::NotRun { .. } => told.state = State::NotRun,
            Event::Withdrawn { .. } => told.state = State::Withdrawn,
            Event::Expired { .. } => told.state = State::Expired,
            Event::Lapsed { .. } => told.state = State::Lapsed,
            Event::Indeterminate { .. } => told.state = State::Indeterminate,
            _ => {}
        }
        Ok(())
    }

    /// Compares the log with what callers were told.
    fn compare(&self, ledger: &Ledger) -> Outcome<()> {
        for (at, leaf) in &ledger.entries {
            if self.leaves.get(usize::try_from(*at)?) != Some(leaf) {
                return Err(format!("entry {at} was proven, and is gone or another one").into());
            }
        }
        for (size, root) in &ledger.heads {
            if self.roots.get(usize::try_from(*size)?) != Some(root) {
                return Err(
                    format!("the head over {size} entries was shown and is forgotten").into(),
                );
            }
        }
        for (id, known) in &ledger.requests {
            let told = self.told.get(id).ok_or_else(|| format!("{id} is lost"))?;
            let decided = match known.decided {
                None => true,
                Some(Verdict::Approve) => told.approved,
                Some(Verdict::Deny) => told.denied,
            };
            let holds = [
                (told.digest == known.digest, "has another document"),
                (decided, "lost its decision"),
                (known.redeemed <= 1, "was redeemed twice"),
                (known.redeemed <= told.redeemed, "lost its redemption"),
                (known.ran <= 1, "ran twice"),
                (known.ran <= told.redeemed, "ran without a redemption"),
                (
                    !known.reported || (told.finished == 1 && known.ran == 1),
                    "lost its report",
                ),
                (
                    !told.approved || !known.signed.is_empty(),
                    "was approved by itself",
                ),
            ];
            for (holds, what) in holds {
                if !holds {
                    return Err(format!("{id} {what}: told {told:?}, known {known:?}").into());
                }
            }
        }
        Ok(())
    }
}
