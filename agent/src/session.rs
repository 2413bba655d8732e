//! What one command holds while it talks to the daemon: the place, the kept heads, the tickets and
//! a connection.
//!
//! Every answer with a head goes through the kept heads here, so no caller can act on one that was
//! not checked. Whether to try again after a lost connection is the caller's to say: only it knows
//! whether repeating is harmless.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_shared::id::{RequestId, RunSecret};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::machine::State;
use countersign_shared::text::Printable;

use crate::client::{
    Asking, AtOnce, Claim, Client, ClientError, Describe, FromRun, Inclusion, Redeemed, Refusal,
    Submitted, Taken, ToRun,
};
use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::Report;
use crate::tickets::{Stage, Ticket, TicketError, Tickets};
use countersign_client::heads::{self, Gap, Heads, HeadsError};
use countersign_client::place::{Place, state_dir};
use countersign_client::private::Lasting;

/// The pause before the first repetition.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between repetitions.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long an asking is repeated whose connection broke before the answer came.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(30);

/// How long taking back a request waits for a daemon that does not answer.
const DISOWN_PATIENCE: Duration = Duration::from_secs(5);

/// One command's side of the conversation.
#[derive(Debug)]
pub(crate) struct Session {
    place: Place,
    /// Apart, because every future that talks to the daemon holds a session.
    heads: Box<Heads>,
    tickets: Tickets,
    client: Option<Client>,
    /// The one use that this process took, with what lets it report.
    run: Option<(RequestId, RunSecret)>,
    /// The request whose redemption got no answer: who has its use cannot be told.
    lost: Option<RequestId>,
}

/// Where heads lie that programs have seen. Those that the same user's eyes have seen lie elsewhere:
/// they outlive a power cut, and these need not.
const HEADS: &str = "agents";

impl Session {
    /// Opens what the conversation needs on this side; connects to nothing yet.
    ///
    /// What is kept lasts for the processes. An attached request ends with the machine, so nobody
    /// has to wait for the disk.
    pub(crate) fn open(home: Option<&Path>) -> Result<Self, Failure> {
        Self::of(home, Lasting::Process)
    }

    /// As [`open`](Self::open), and connects before all else: while we read what we have, the daemon looks
    /// at us. A connection that fails is told with the first call.
    pub(crate) async fn open_connected(home: Option<&Path>) -> Result<Self, Failure> {
        let place = Place::find(home)?;
        let client = Client::connect(&place).await.ok();
        Ok(Self {
            client,
            ..Self::at(place, Lasting::Process)?
        })
    }

    /// As [`open`](Self::open), for a request that outlives a power cut: so does its ticket.
    pub(crate) fn open_durably(home: Option<&Path>) -> Result<Self, Failure> {
        Self::of(home, Lasting::PowerCut)
    }

    fn of(home: Option<&Path>, lasting: Lasting) -> Result<Self, Failure> {
        Self::at(Place::find(home)?, lasting)
    }

    fn at(place: Place, lasting: Lasting) -> Result<Self, Failure> {
        let own: PathBuf = state_dir()?;
        let tickets = Tickets::open(&own, lasting)?;
        let key = match place.log_key() {
            Ok(key) => key,
            // Without a daemon there is no key either, and that is the better thing to say.
            Err(error) => {
                return Err(match place.agent_socket().symlink_metadata() {
                    Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                        let socket = place.agent_socket();
                        ClientError::Unreachable { socket, source }.into()
                    }
                    Ok(_) | Err(_) => error.into(),
                });
            }
        };
        let heads = Box::new(Heads::open(&own.join(HEADS), key, Lasting::Process)?);
        Ok(Self {
            place,
            heads,
            tickets,
            client: None,
            run: None,
            lost: None,
        })
    }

    /// Returns the place of the daemon.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the tickets.
    pub(crate) const fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Returns the kept heads.
    pub(crate) const fn heads(&mut self) -> &mut Heads {
        &mut self.heads
    }

    /// Has what other processes of this user were shown proven to be of one history with what this one was.
    ///
    /// # Errors
    /// When it is not, or nobody answers. Then nothing that the daemon says is to be acted on.
    pub(crate) async fn meet_others(&mut self) -> Result<(), Failure> {
        self.caught_up().await.map(drop).map_err(Failure::from)
    }

    /// Does so, and returns the size to name in the next call.
    async fn caught_up(&mut self) -> Result<u64, Tried> {
        let known = self.heads.catch_up().map_err(failed)?;
        match self.heads.gap() {
            // Apart, because it is seldom there and every call would hold it.
            Some(gap) => Box::pin(self.bridge(gap)).await,
            None => Ok(known),
        }
    }

    async fn bridge(&mut self, gap: Gap) -> Result<u64, Tried> {
        let client = self.client().await.map_err(Tried::Not)?;
        let answer = client.prove_consistency(gap).await;
        let shown = self.note(answer).map_err(Tried::Not)?;
        self.heads.bridge(&shown).map_err(failed)
    }

    /// Asks, checks the head that comes with the answer, and keeps the ticket.
    ///
    /// A connection that breaks is made anew: the same 16 bytes get the same request. A daemon that
    /// was never there is not waited for.
    pub(crate) async fn submit(&mut self, asking: &Asking) -> Result<(Submitted, Ticket), Failure> {
        // The daemon runs something without waiting for us.
        let mut may_have_run = false;
        let submitted = self.submit_and_keep(asking, &mut may_have_run).await;
        submitted.map_err(|failure| {
            if may_have_run {
                failure.may_have_run()
            } else {
                failure
            }
        })
    }

    async fn submit_and_keep(
        &mut self,
        asking: &Asking,
        may_have_run: &mut bool,
    ) -> Result<(Submitted, Ticket), Failure> {
        let is_run = asking.at_once == AtOnce::Daemon;
        let mut patience = Patience::new(SUBMIT_PATIENCE);
        let mut asked = false;
        let submitted = loop {
            match self.submit_once(asking, &mut asked).await {
                Ok(submitted) => break submitted,
                Err(Tried::Failed(failure)) => return Err(failure),
                Err(Tried::Not(error)) => {
                    *may_have_run |= is_run && error.leaves_open();
                    if !(asked && patience.allows(&error).await) {
                        return Err(error.into());
                    }
                }
            }
        };
        *may_have_run = is_run && submitted.state.was_used();
        let ticket = Ticket {
            claim: submitted.claim(),
            digest: submitted.digest,
            expires_at: submitted.expires_at,
            stage: match &submitted.taken {
                Some(_) => Stage::Redeemed,
                None => Stage::Asked,
            },
            redeemed_at: submitted.taken.as_ref().map(|_| clock::wall()),
            shared: submitted.joined,
        };
        if !submitted.state.has_ended()
            && let Err(error) = self.keep(&ticket, &submitted)
        {
            self.disown(&submitted).await;
            return Err(error.into());
        }
        if asking.at_once == AtOnce::Own
            && submitted.state == State::Redeemed
            && submitted.taken.is_none()
        {
            // Perhaps by this process, and the answer that said so was lost.
            self.lost = Some(submitted.id);
        }
        Ok((submitted, ticket))
    }

    fn keep(&self, ticket: &Ticket, submitted: &Submitted) -> Result<(), TicketError> {
        match &submitted.taken {
            // Nobody takes up what is used: only the report is left to do.
            Some(Taken::Own(redeemed)) => self.tickets.keep_used(ticket, &redeemed.run),
            // Not even that.
            Some(Taken::Daemon(_)) => Ok(()),
            None => self
                .tickets
                .keep(ticket, &submitted.document, &submitted.openings),
        }
    }

    async fn submit_once(&mut self, asking: &Asking, asked: &mut bool) -> Result<Submitted, Tried> {
        // A daemon that was there is waited for.
        *asked |= self.client.is_some();
        let known = self.caught_up().await?;
        let client = self.client().await.map_err(Tried::Not)?;
        *asked = true;
        let pid = std::process::id();
        let answer = match client.submit(asking, pid, known).await {
            Err(ClientError::Refused(refusal))
                if asking.at_once == AtOnce::Own && is_about_pid(&refusal) =>
            {
                client.submit(asking, 0, known).await
            }
            answer => answer,
        };
        let submitted = self.note(answer).map_err(Tried::Not)?;
        let checked = match &submitted.taken {
            Some(Taken::Own(redeemed)) => {
                self.run = Some((submitted.id, redeemed.run.clone()));
                self.check_use(submitted.id, &redeemed.redeemed_by)
            }
            // Whoever follows the run checks it.
            Some(Taken::Daemon(_)) => Ok(()),
            None => self.heads.accept(&submitted.head),
        };
        if let Err(error) = checked {
            self.disown(&submitted).await;
            return Err(failed(error));
        }
        Ok(submitted)
    }

    /// Takes back what was asked for and cannot be gone on with: nobody would hold its ticket. A use that
    /// was taken with it is not made; a run that the daemon began ends with what was submitted.
    ///
    /// A request that was joined is another process's as well, and stays. What the daemon does not
    /// hear of ends by its deadline; the caller has a better error to tell.
    async fn disown(&mut self, submitted: &Submitted) {
        if submitted.joined || submitted.state.has_ended() {
            return;
        }
        let claim = submitted.claim();
        match submitted.taken {
            Some(Taken::Own(_)) => {}
            Some(Taken::Daemon(_)) => return,
            None => {
                drop(self.withdraw(&claim, DISOWN_PATIENCE).await);
                return;
            }
        }
        let not_run = Report::NotRun {
            because: "what came with the use was not believed, or could not be kept".to_owned(),
        };
        if let Ok(not_run) = not_run.bytes() {
            drop(self.report(&claim, &not_run, DISOWN_PATIENCE).await);
        }
    }

    /// Drops the connection, which may be dead after a long wait elsewhere.
    ///
    /// A call that cannot be repeated must not be made on one of unknown state.
    pub(crate) fn hang_up(&mut self) {
        self.client = None;
    }

    /// Takes a request back, and goes on trying for `patience` when the daemon does not answer.
    pub(crate) async fn withdraw(
        &mut self,
        claim: &Claim,
        patience: Duration,
    ) -> Result<State, ClientError> {
        let mut patience = Patience::new(patience);
        loop {
            match self.withdraw_once(claim).await {
                Ok(state) => return Ok(state),
                Err(error) => {
                    if !patience.allows(&error).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn withdraw_once(&mut self, claim: &Claim) -> Result<State, ClientError> {
        let answer = self.client().await?.withdraw(claim).await;
        self.note(answer)
    }

    /// Leaves a request to itself, so that it no longer ends with its last waiter.
    pub(crate) async fn detach(
        &mut self,
        claim: &Claim,
        patience: Duration,
    ) -> Result<(), ClientError> {
        let mut patience = Patience::new(patience);
        loop {
            match self.detach_once(claim).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if !patience.allows(&error).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn detach_once(&mut self, claim: &Claim) -> Result<(), ClientError> {
        let answer = self.client().await?.detach(claim).await;
        self.note(answer)
    }

    /// Takes the one use. With `stays`, the daemon looks whether this process lives.
    ///
    /// The answer is not checked yet. A lost connection leaves open whether the use was taken.
    pub(crate) async fn redeem(
        &mut self,
        ticket: &Ticket,
        stays: bool,
    ) -> Result<Redeemed, ClientError> {
        // A kept head that cannot be read is looked at with the answer, which then is not accepted.
        let known = self.heads.catch_up().unwrap_or(0);
        let client = self.client().await?;
        let pid = if stays { std::process::id() } else { 0 };
        let answer = match client
            .redeem(&ticket.claim, &ticket.digest, pid, known)
            .await
        {
            // In a process namespace of our own we have another number than the daemon sees, and
            // it says so before it looks at the request.
            Err(ClientError::Refused(refusal)) if pid != 0 && is_about_pid(&refusal) => {
                client.redeem(&ticket.claim, &ticket.digest, 0, known).await
            }
            answer => answer,
        };
        match &answer {
            Ok(redeemed) => self.run = Some((ticket.claim.id, redeemed.run.clone())),
            Err(error) if error.leaves_open() => self.lost = Some(ticket.claim.id),
            Err(_) => {}
        }
        self.note(answer)
    }

    /// Checks that the log holds the redemption, and that it is the log that others were shown meanwhile;
    /// keeps what the report takes.
    pub(crate) async fn check_redemption(
        &mut self,
        ticket: &Ticket,
        redeemed: &Redeemed,
    ) -> Result<(), Failure> {
        self.check_use(ticket.claim.id, &redeemed.redeemed_by)?;
        self.tickets.keep_run(ticket.claim.id, &redeemed.run)?;
        self.meet_others().await
    }

    /// Checks that the log holds that the use of a request was taken.
    pub(crate) fn check_use(&mut self, id: RequestId, by: &Inclusion) -> Result<(), HeadsError> {
        self.heads.check(by, &["request.redeemed"], id)
    }

    /// Reports, and goes on trying for `patience` when the daemon does not answer.
    pub(crate) async fn report(
        &mut self,
        claim: &Claim,
        report: &[u8],
        patience: Duration,
    ) -> Result<State, ClientError> {
        let mut patience = Patience::new(patience);
        loop {
            match self.report_once(claim, report).await {
                Ok(state) => return Ok(state),
                Err(error) => {
                    if !patience.allows(&error).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn report_once(&mut self, claim: &Claim, report: &[u8]) -> Result<State, ClientError> {
        let run = match &self.run {
            Some((id, run)) if *id == claim.id => Some(run.clone()),
            // The one that is kept may be another process's. The daemon knows this process by
            // itself, if it was the one.
            Some(_) | None if self.lost == Some(claim.id) => None,
            // An unreadable one is as good as none: the daemon says what it takes.
            Some(_) | None => self.tickets.run(claim.id).unwrap_or_default(),
        };
        let answer = self
            .client()
            .await?
            .report(claim, run.as_ref(), report)
            .await;
        self.note(answer)
    }

    /// Asks what a profile would run.
    pub(crate) async fn describe(&mut self, asking: &Describe) -> Result<Vec<u8>, ClientError> {
        let answer = self.client().await?.describe(asking).await;
        self.note(answer)
    }

    /// Has the daemon run an approved request, on a connection of its own: it carries the output.
    ///
    /// A lost connection leaves open whether the use was taken.
    pub(crate) async fn execute(
        &mut self,
        ticket: &Ticket,
        action: &[u8],
    ) -> Result<(ToRun, FromRun), ClientError> {
        let known = self.heads.catch_up().unwrap_or(0);
        let client = self.client().await?;
        let answer = client
            .execute(&ticket.claim, &ticket.digest, action, known)
            .await;
        self.note(answer)
    }

    async fn client(&mut self) -> Result<&mut Client, ClientError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.place).await?,
        };
        Ok(self.client.insert(client))
    }

    /// Drops the connection when it is lost, so that the next call makes another.
    fn note<T>(&mut self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if let Err(error) = &answer
            && error.is_lost()
        {
            self.client = None;
        }
        answer
    }
}

/// How long a call that may be repeated is repeated, with growing pauses.
#[derive(Debug)]
struct Patience {
    ends: Duration,
    pause: Duration,
}

impl Patience {
    fn new(span: Duration) -> Self {
        Self {
            ends: clock::boot().saturating_add(span),
            pause: FIRST_PAUSE,
        }
    }

    /// Tells whether to try again after `error`, and pauses before it says yes.
    async fn allows(&mut self, error: &ClientError) -> bool {
        let left = self.ends.saturating_sub(clock::boot());
        if !error.is_lost() || left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        true
    }
}

fn is_about_pid(refusal: &Refusal) -> bool {
    refusal.code == "malformed-message" && refusal.field.as_deref() == Some("pid")
}

/// Why a submit came to nothing.
enum Tried {
    /// The daemon was not reached or said no.
    Not(ClientError),
    /// The answer must not be believed.
    Failed(Failure),
}

/// Believes another key of the log from now on, because a person compared it.
pub(crate) fn adopt_log_key(key: VerifierKey) -> Result<Exit, Failure> {
    let adopted = heads::adopt(&state_dir()?.join(HEADS), key)?;
    output::result(&Printable::from_ours(adopted.to_string()));
    Ok(Exit::Ok)
}

impl From<Tried> for Failure {
    fn from(tried: Tried) -> Self {
        match tried {
            Tried::Not(error) => error.into(),
            Tried::Failed(failure) => failure,
        }
    }
}

fn failed(error: HeadsError) -> Tried {
    Tried::Failed(error.into())
}
