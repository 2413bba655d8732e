//! What the sockets ask of the engine, and what it answers. Domain values only; the wire's messages
//! stay at the sockets.

use std::sync::Arc;

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::log::tree::Hash;
use countersign_shared::machine::{
    Act, Decision, Executor, PolicyOutcome, Received, Redeemer, Request, RunEnd, State,
};
use countersign_shared::statement::Outcome;
use countersign_shared::time::{Deadline, Timestamp};
use countersign_shared::waiters::WaiterId;
use tokio::sync::{broadcast, oneshot, watch};

use super::EngineError;
use super::card::Card;
use super::cosigning::Cosigned;
use super::force::{Force, NewRules, RulesSigned, RulesWord};
use crate::store::{CosignedHead, KeptRules};

/// Where an answer goes. The asker may have gone away; then it goes nowhere.
pub type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// A request that is ready to be stored: everything costly is done.
#[derive(Debug)]
pub struct Draft {
    /// The id made for it of the token that makes Submit repeatable.
    pub id: RequestId,
    /// The exact bytes of the request document.
    pub document: Arc<[u8]>,
    /// What lists show of it.
    pub card: Card,
    /// The first event.
    pub received: Received,
    /// What policy says to it.
    pub judged: Judged,
    /// The principal.
    pub principal: String,
    /// The sameness key (R13).
    pub sameness: [u8; 32],
    /// What ties askings of one tool call together; empty for none.
    pub ask_key: String,
    /// The size of the head that the caller kept.
    pub known_size: u64,
    /// Who takes the one use with the approval, should nobody have to be asked.
    pub use_at_once: Option<Taker>,
}

/// What policy says to a request, as the log has it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Refused, permitted, or held for people.
    pub outcome: PolicyOutcome,
    /// The policies that spoke.
    pub policies: Vec<String>,
    /// Why, for the requester to read.
    pub because: String,
}

/// The request that came of a draft: the drafted one, or one that was joined or repeated.
#[derive(Debug)]
pub struct Submitted {
    /// The request's id.
    pub id: RequestId,
    /// The exact bytes of its document.
    pub document: Arc<[u8]>,
    /// Where it stands.
    pub standing: Standing,
    /// Whether an earlier asking was joined or repeated.
    pub joined: bool,
    /// The head of the log.
    pub head: Head,
    /// The entry that says that the one use was taken at once, and when the run must have ended.
    pub redeemed: Option<(Inclusion, Deadline)>,
}

/// What proves the right to a request (R16).
#[derive(Debug, Clone)]
pub struct Right {
    /// The caller's principal.
    pub principal: String,
    /// The digest of the ticket secret that the caller brought.
    pub ticket: Digest,
}

/// The use that an executor is about to make of an approval.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// The digest of the document that it recomputed and is about to run.
    pub digest: Digest,
    /// Who takes it.
    pub by: Taker,
    /// The size of the head that the caller kept.
    pub known_size: u64,
}

/// Who takes the one use, and runs what was approved.
#[derive(Debug, Clone, Copy)]
pub enum Taker {
    /// A process of the agents' side.
    Agent(Redeemer),
    /// The daemon itself.
    Daemon,
}

impl Taker {
    /// Returns what the machine is told: who runs it, and which process that is.
    pub(super) const fn executor(self) -> (Executor, Option<Redeemer>) {
        match self {
            Self::Agent(by) => (Executor::Agent, Some(by)),
            Self::Daemon => (Executor::Daemon, None),
        }
    }
}

/// Where a request stands, as a waiting caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Its reason.
    pub reason: String,
    /// When it ends by itself.
    pub ends: Option<Deadline>,
    /// Whether a person asked for the end of the run.
    pub kill_requested: bool,
    /// The entry that brought it about.
    pub entry: u64,
}

/// The log's head with a consistency proof.
#[derive(Debug, Clone)]
pub struct Head {
    /// The signed note.
    pub note: String,
    /// The signature lines of witnesses for it.
    pub cosignatures: String,
    /// The number of entries.
    pub size: u64,
    /// The proof from `from` to this head.
    pub consistency: Vec<Hash>,
    /// The size the proof starts from, 0 for no proof.
    pub from: u64,
    /// The change of the log's key, as long as the old key signs as well.
    pub rotation: Option<Rotation>,
}

/// The entry that announces the log's next key, with the proof that a head covers it.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The position.
    pub index: u64,
    /// The entry's exact bytes.
    pub entry: Vec<u8>,
    /// The proof, leaf to root.
    pub proof: Vec<Hash>,
}

/// An entry with the proof that a head covers it.
#[derive(Debug, Clone)]
pub struct Inclusion {
    /// The position.
    pub index: u64,
    /// The entry's exact bytes.
    pub entry: Vec<u8>,
    /// The proof, leaf to root.
    pub proof: Vec<Hash>,
    /// The head.
    pub head: Head,
}

/// A proof between two sizes of the log.
#[derive(Debug, Clone)]
pub struct Consistency {
    /// The proof; empty when the log is not as long as the larger of them.
    pub proof: Vec<Hash>,
    /// The number of entries now.
    pub size: u64,
}

/// A waiter's seat at a request. The rpc side gives it back with [`Query::Leave`].
#[derive(Debug)]
pub struct Following {
    /// The waiter's number.
    pub waiter: WaiterId,
    /// The standing now and after each change.
    pub standing: watch::Receiver<Standing>,
}

/// What an executor reports.
#[derive(Debug, Clone)]
pub enum Report {
    /// The run began.
    Started {
        /// The process.
        pid: Option<u32>,
    },
    /// The run ended.
    Finished(RunEnd),
    /// Nothing ran.
    NotRun {
        /// Why.
        because: String,
    },
}

/// What the daemon knows of a run of its own.
#[derive(Debug, Clone)]
pub enum Brokered {
    /// As an executor of the agents' side would report.
    Told(Report),
    /// Nobody can say what ran.
    Lost {
        /// Why.
        because: String,
    },
}

/// Who reports: what shows that it is who took the one use.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    /// The digest of the run secret that the caller brought, if it brought one.
    pub run: Option<Digest>,
    /// The calling process.
    pub pid: u32,
    /// When it started, in clock ticks since boot, if that could be read.
    pub started: Option<u64>,
}

/// A signed decision whose signature is good and whose statement fits the request.
#[derive(Debug)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The rules it was checked under.
    pub rules: Digest,
    /// The size of the last head the caller kept, 0 for none.
    pub known_size: u64,
}

/// A signed act that breaks the glass, whose signature is good and whose statement fits.
#[derive(Debug)]
pub struct Emergency {
    /// The act.
    pub act: Act,
    /// The rules it was checked under.
    pub rules: Digest,
    /// The size of the last head the caller kept, 0 for none.
    pub known_size: u64,
}

/// What people still owe: two lists, newest first.
#[derive(Debug, Default)]
pub struct Owed {
    /// Requests approved by breaking the glass that nobody else has reviewed.
    pub debts: Vec<Arc<View>>,
    /// Runs of which nobody has said how they went.
    pub unsettled: Vec<Arc<View>>,
}

/// A signed act that is not a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// Calls for more eyes.
    Escalate,
    /// Takes an approval back.
    Revoke,
    /// Asks for the end of a run.
    Kill,
    /// Says what happened to an indeterminate run.
    Settle(Outcome),
    /// Closes the review that a broken glass owes.
    CloseDebt,
}

/// A request as reviewers see it.
#[derive(Debug, Clone)]
pub struct View {
    /// The machine.
    pub request: Request,
    /// What lists show of it.
    pub card: Card,
    /// The exact bytes of the document; empty in lists and changes, which do not carry it.
    pub document: Arc<[u8]>,
    /// The position of `request.received`.
    pub received_index: u64,
    /// Whether a waiting caller is connected.
    pub waiter_present: bool,
}

/// What changed, for reviewers who follow.
#[derive(Debug, Clone)]
pub enum Change {
    /// A request is new or stands differently.
    Request(Arc<View>),
    /// The log grew.
    Head,
    /// Other rules are in force, or proposed, or an adoption was acknowledged.
    Rules,
    /// The daemon is about to stop.
    Draining,
}

/// All open requests, and the changes from then on.
#[derive(Debug)]
pub struct Snapshot {
    /// The open requests, oldest first.
    pub open: Vec<Arc<View>>,
    /// What changes from then on.
    pub changes: broadcast::Receiver<Change>,
}

/// A call to the engine.
#[derive(Debug)]
pub enum Call {
    /// Changes the state.
    Command(Command),
    /// Is answered from what is committed.
    Query(Query),
    /// Stops in good order.
    Stop(Reply<()>),
}

impl From<Command> for Call {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

impl From<Query> for Call {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

/// What changes the state: one step of a batch.
#[derive(Debug)]
pub enum Command {
    /// Stores a request.
    Submit(Box<Draft>, Reply<Submitted>),
    /// Turns an attached request into a ticketed one.
    Detach(RequestId, Right, Reply<()>),
    /// Takes a request back.
    Withdraw(RequestId, Right, Reply<State>),
    /// Takes the one use.
    Redeem(RequestId, Right, Use, Reply<(Inclusion, Deadline)>),
    /// Tells about the run.
    Report(RequestId, Right, Reporter, Report, Reply<State>),
    /// The process that runs a redeemed request is gone.
    ExecutorGone(RequestId),
    /// Tells about a run of the daemon's own.
    Brokered(RequestId, Brokered, Reply<State>),
    /// Records a decision.
    Decide(RequestId, Box<Verdict>, Reply<Decided>),
    /// Records that a person was shown a request.
    Open(RequestId, String, Digest, Reply<()>),
    /// Leases a request.
    Claim(RequestId, String, Reply<Deadline>),
    /// Gives a lease back.
    Release(RequestId, String, Reply<()>),
    /// Approves alone, in an emergency (R17).
    BreakGlass(RequestId, Box<Emergency>, Reply<Decided>),
    /// Records a signed act.
    Act(RequestId, ActKind, Box<Act>, Reply<State>),
    /// Records that the operator's files were not taken.
    RulesRefused(String, Reply<()>),
    /// Keeps what a witness wrote below a head.
    Cosigned(Box<Cosigned>, Reply<()>),
    /// Takes what the operator's files make: in force, or proposed.
    Rules(Box<NewRules>, Reply<Force>),
    /// Records a person's word on a change of rules.
    SignRules(Box<RulesWord>, Reply<RulesSigned>),
}

/// What changes nothing durable.
#[derive(Debug)]
pub enum Query {
    /// Takes a seat as a waiter.
    Follow(RequestId, Right, Reply<Following>),
    /// Gives the seat back.
    Leave(RequestId, WaiterId),
    /// Reads one request, by id or prefix.
    Get(String, Reply<Arc<View>>),
    /// Reads the open requests, newest first.
    List {
        /// At most this many.
        limit: u32,
        /// Where the answer goes.
        reply: Reply<Vec<Arc<View>>>,
    },
    /// Reads a page of all requests, newest first. Short, so that whoever wants many asks often and
    /// others are served in between.
    Page {
        /// Only those received before this one.
        before: Option<RequestId>,
        /// At most this many, and never more than a page holds.
        limit: u32,
        /// Where the answer goes.
        reply: Reply<Vec<Arc<View>>>,
    },
    /// Reads which redeemed requests are run by a process that is to be watched.
    Runs(Reply<Vec<(RequestId, Redeemer)>>),
    /// Reads what people still owe.
    Owed(Reply<Owed>),
    /// Reads all open requests and follows the changes.
    Watch(Reply<Snapshot>),
    /// Reads entries.
    ReadLog {
        /// The first index.
        from: u64,
        /// At most this many.
        limit: u32,
        /// Where the answer goes.
        reply: Reply<Vec<Vec<u8>>>,
    },
    /// Reads rules that are or were in force, as they were written down.
    KeptRules(Digest, Reply<Option<KeptRules>>),
    /// Reads the head with a proof from a known size.
    Head(u64, Reply<Head>),
    /// Reads an entry with its proof, and a consistency proof from a known size.
    Prove(u64, u64, Reply<Inclusion>),
    /// Proves that the log of the second size begins with that of the first; nothing when it is not that
    /// long.
    Consistency(u64, u64, Reply<Consistency>),
    /// Reads the root over the first entries; nothing when the log is not that long.
    Root(u64, Reply<Option<Hash>>),
    /// Reads the largest cosigned head of fewer entries than this.
    CosignedHead(u64, Reply<Option<CosignedHead>>),
    /// Counts a call that was refused before it became a request.
    Count {
        /// The OS user.
        uid: u32,
        /// The refusal's code.
        code: &'static str,
    },
}

/// A recorded decision.
#[derive(Debug)]
pub struct Decided {
    /// Where the request stands.
    pub state: State,
    /// The entry `decision.recorded` with its proof.
    pub recorded: Inclusion,
    /// What is still missing.
    pub missing: Option<String>,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Command {
    /// Tells whether the call may put other rules in force. It has a batch of its own.
    pub(super) const fn may_change_rules(&self) -> bool {
        matches!(self, Self::Rules(..) | Self::SignRules(..))
    }
}
