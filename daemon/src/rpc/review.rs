//! The reviewers' service. Deciding calls carry a statement signed with the person's own key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_shared::id::RequestId;
use countersign_shared::statement::ActKind as StatementKind;
use countersign_shared::wire::pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::outlook::Outlook;
use super::wire::review_service_server::ReviewService;
use super::{Desk, encode, explain, output, status, watching};
use crate::broker::Why;
use crate::engine::{ActKind, Command, Emergency, Query, View};
use crate::identity::Peer;
use crate::judge::{self, Bench, Signed};
use crate::rules::Rules;
use crate::witnesses::Witnesses;

/// How many requests one list holds at most.
const LIST: u32 = 1000;

/// The reviewers' service.
#[derive(Debug, Clone)]
pub(super) struct Reviewers {
    pub(super) desk: Arc<Desk>,
}

impl Reviewers {
    /// Returns the caller's name in the roster, or refuses.
    fn caller(rules: &Rules, peer: &Peer) -> Result<String, Status> {
        rules
            .member_of_uid(peer.uid())
            .map(|member| member.name.clone())
            .ok_or_else(|| status::judge(&judge::JudgeError::NotInRoster { uid: peer.uid() }))
    }

    async fn view(&self, id: &str) -> Result<Arc<View>, Status> {
        let id = id.to_owned();
        self.desk.ask(|reply| Query::Get(id, reply)).await
    }

    /// Returns the request of a full id; a prefix does not do where something is decided (R15).
    async fn whole(&self, id: &str) -> Result<Arc<View>, Status> {
        full_id(id)?;
        self.view(id).await
    }

    /// Reads all requests page by page, so that nobody else waits for the whole list.
    async fn pages(
        &self,
        mut before: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<Arc<View>>, Status> {
        let mut views: Vec<Arc<View>> = Vec::new();
        loop {
            let found = u32::try_from(views.len()).unwrap_or(u32::MAX);
            let limit = limit.saturating_sub(found);
            let page = self
                .desk
                .ask(|reply| Query::Page {
                    before,
                    limit,
                    reply,
                })
                .await?;
            match page.last() {
                Some(last) => before = Some(last.request.id()),
                None => return Ok(views),
            }
            views.extend(page);
        }
    }

    pub(super) async fn bench<'a>(
        &'a self,
        rules: &'a Rules,
        peer: &Peer,
        statement: &[u8],
    ) -> Result<Bench<'a>, Status> {
        let size = judge::head_size(statement).map_err(|error| status::judge(&error))?;
        let root = self.desk.ask(|reply| Query::Root(size, reply)).await?;
        let now = self.desk.clock.now().wall;
        Ok(Bench {
            rules,
            origin: &self.desk.origin,
            uid: peer.uid(),
            now,
            root,
        })
    }

    async fn act(
        &self,
        peer: &Peer,
        id: &str,
        statement: &[u8],
        sshsig: &str,
        (named, kind): (StatementKind, ActKind),
    ) -> Result<countersign_shared::machine::State, Status> {
        let view = self.whole(id).await?;
        let rules = self.desk.rules();
        let bench = self.bench(&rules, peer, statement).await?;
        let act = bench
            .act(named, &view, Signed { statement, sshsig })
            .map_err(|error| status::judge(&error))?;
        let id = view.request.id();
        self.desk
            .ask(|reply| Command::Act(id, kind, Box::new(act), reply))
            .await
    }
}

#[tonic::async_trait]
impl ReviewService for Reviewers {
    type WatchStream = ReceiverStream<Result<pb::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let peer = super::peer(&request)?;
        let known = request.into_inner().known_size;
        self.desk.reviewer_holds(known);
        let snapshot = self.desk.ask(Query::Watch).await?;
        let (sender, receiver) = mpsc::channel(256);
        let desk = Arc::clone(&self.desk);
        tokio::spawn(async move {
            let name = desk
                .rules()
                .member_of_uid(peer.uid())
                .map(|member| member.name.clone());
            let seat = name.as_ref().map(|name| desk.reviewers_online.sit(name));
            // An error means that the console went away or fell behind; it starts anew.
            if let Err(status) = watching::watch(&desk, &peer, snapshot, known, &sender).await {
                drop(sender.send(Err(status)).await);
            }
            drop(seat);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list(
        &self,
        request: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        let pb::ListRequest { all, limit, before } = request.into_inner();
        let limit = if limit == 0 { LIST } else { limit.min(LIST) };
        let views = if all {
            let before = match before.as_str() {
                "" => None,
                id => Some(full_id(id)?),
            };
            self.pages(before, limit).await?
        } else {
            self.desk.ask(|reply| Query::List { limit, reply }).await?
        };
        let requests = views.iter().map(|view| encode::summary(view)).collect();
        Ok(Response::new(pb::ListResponse { requests }))
    }

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::GetResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        self.desk.reviewer_holds(request.known_size);
        let view = self.view(&request.id).await?;
        let received = self
            .desk
            .ask(|reply| Query::Prove(view.received_index, request.known_size, reply))
            .await?;
        let rules = self.desk.rules();
        let (not_eligible, self_attests) = match rules.member_of_uid(peer.uid()) {
            Some(member) => (
                view.request
                    .why_not_eligible(member)
                    .map_or_else(String::new, |refused| refused.to_string()),
                view.request.is_own(member),
            ),
            None => ("you are nobody in the roster".to_owned(), false),
        };
        let requirement = countersign_shared::json::canonical(view.request.requirement())
            .map_err(|error| Status::internal(error.to_string()))?;
        let Outlook {
            waits_for,
            could_approve,
            nobody_for,
        } = Outlook::of(&view.request, &rules.members);
        Ok(Response::new(pb::GetResponse {
            summary: Some(encode::summary(&view)),
            document: view.document.to_vec(),
            requirement,
            decisions: encode::decisions(&view.request),
            execution: encode::execution(&view.request),
            received: Some(encode::inclusion(&received)),
            not_eligible,
            self_attests,
            waits_for,
            could_approve,
            nobody_for,
        }))
    }

    async fn open(
        &self,
        request: Request<pb::OpenRequest>,
    ) -> Result<Response<pb::OpenResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let id = full_id(&request.id)?;
        let reviewer = Self::caller(&self.desk.rules(), &peer)?;
        let display =
            request
                .display
                .parse()
                .map_err(|error: countersign_shared::digest::DigestError| {
                    status::malformed("display", &error.to_string())
                })?;
        self.desk
            .ask(|reply| Command::Open(id, reviewer, display, reply))
            .await?;
        Ok(Response::new(pb::OpenResponse {}))
    }

    async fn decide(
        &self,
        request: Request<pb::DecideRequest>,
    ) -> Result<Response<pb::DecideResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        self.desk.reviewer_holds(request.known_size);
        let view = self.whole(&request.id).await?;
        let rules = self.desk.rules();
        let bench = self.bench(&rules, &peer, &request.statement).await?;
        let signed = Signed {
            statement: &request.statement,
            sshsig: &request.sshsig,
        };
        let mut verdict = bench
            .decision(&view, signed)
            .map_err(|error| status::judge(&error))?;
        verdict.known_size = request.known_size;
        let id = view.request.id();
        let decided = self
            .desk
            .ask(|reply| Command::Decide(id, Box::new(verdict), reply))
            .await?;
        Ok(Response::new(pb::DecideResponse {
            state: encode::state(decided.state).into(),
            recorded: Some(encode::inclusion(&decided.recorded)),
            missing: decided.missing.unwrap_or_default(),
        }))
    }

    async fn claim(
        &self,
        request: Request<pb::ClaimRequest>,
    ) -> Result<Response<pb::ClaimResponse>, Status> {
        let peer = super::peer(&request)?;
        let id = full_id(&request.into_inner().id)?;
        let reviewer = Self::caller(&self.desk.rules(), &peer)?;
        let until = self
            .desk
            .ask(|reply| Command::Claim(id, reviewer, reply))
            .await?;
        Ok(Response::new(pb::ClaimResponse {
            until: until.wall.to_string(),
        }))
    }

    async fn release(
        &self,
        request: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        let peer = super::peer(&request)?;
        let id = full_id(&request.into_inner().id)?;
        let reviewer = Self::caller(&self.desk.rules(), &peer)?;
        self.desk
            .ask(|reply| Command::Release(id, reviewer, reply))
            .await?;
        Ok(Response::new(pb::ReleaseResponse {}))
    }

    async fn escalate(
        &self,
        request: Request<pb::EscalateRequest>,
    ) -> Result<Response<pb::EscalateResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let kind = (StatementKind::Escalate, ActKind::Escalate);
        self.act(
            &peer,
            &request.id,
            &request.statement,
            &request.sshsig,
            kind,
        )
        .await?;
        Ok(Response::new(pb::EscalateResponse {}))
    }

    async fn revoke(
        &self,
        request: Request<pb::RevokeRequest>,
    ) -> Result<Response<pb::RevokeResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let kind = (StatementKind::Revoke, ActKind::Revoke);
        let state = self
            .act(
                &peer,
                &request.id,
                &request.statement,
                &request.sshsig,
                kind,
            )
            .await?;
        Ok(Response::new(pb::RevokeResponse {
            state: encode::state(state).into(),
        }))
    }

    async fn kill(
        &self,
        request: Request<pb::KillRequest>,
    ) -> Result<Response<pb::KillResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let kind = (StatementKind::Kill, ActKind::Kill);
        let state = self
            .act(
                &peer,
                &request.id,
                &request.statement,
                &request.sshsig,
                kind,
            )
            .await?;
        self.desk.runs().end(full_id(&request.id)?, Why::Killed);
        Ok(Response::new(pb::KillResponse {
            state: encode::state(state).into(),
        }))
    }

    type OutputStream = output::Told;

    async fn output(
        &self,
        request: Request<pb::OutputRequest>,
    ) -> Result<Response<Self::OutputStream>, Status> {
        let peer = super::peer(&request)?;
        // It may hold what the run was about, so looking is not enough.
        Self::caller(&self.desk.rules(), &peer)?;
        let view = self.view(&request.into_inner().id).await?;
        output::follow(&self.desk, view.request.id()).map(Response::new)
    }

    async fn break_glass(
        &self,
        request: Request<pb::BreakGlassRequest>,
    ) -> Result<Response<pb::BreakGlassResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        self.desk.reviewer_holds(request.known_size);
        let view = self.whole(&request.id).await?;
        let rules = self.desk.rules();
        let bench = self.bench(&rules, &peer, &request.statement).await?;
        let signed = Signed {
            statement: &request.statement,
            sshsig: &request.sshsig,
        };
        let act = bench
            .act(StatementKind::BreakGlass, &view, signed)
            .map_err(|error| status::judge(&error))?;
        let emergency = Box::new(Emergency {
            act,
            rules: rules.digest,
            known_size: request.known_size,
        });
        let id = view.request.id();
        let done = self
            .desk
            .ask(|reply| Command::BreakGlass(id, emergency, reply))
            .await?;
        Ok(Response::new(pb::BreakGlassResponse {
            state: encode::state(done.state).into(),
            recorded: Some(encode::inclusion(&done.recorded)),
        }))
    }

    async fn close_debt(
        &self,
        request: Request<pb::CloseDebtRequest>,
    ) -> Result<Response<pb::CloseDebtResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let kind = (StatementKind::CloseDebt, ActKind::CloseDebt);
        self.act(
            &peer,
            &request.id,
            &request.statement,
            &request.sshsig,
            kind,
        )
        .await?;
        Ok(Response::new(pb::CloseDebtResponse {}))
    }

    async fn list_owed(
        &self,
        _request: Request<pb::ListOwedRequest>,
    ) -> Result<Response<pb::ListOwedResponse>, Status> {
        let owed = self.desk.ask(Query::Owed).await?;
        let summaries =
            |views: &[Arc<View>]| views.iter().map(|view| encode::summary(view)).collect();
        Ok(Response::new(pb::ListOwedResponse {
            debts: summaries(&owed.debts),
            unsettled: summaries(&owed.unsettled),
        }))
    }

    async fn settle(
        &self,
        request: Request<pb::SettleRequest>,
    ) -> Result<Response<pb::SettleResponse>, Status> {
        let peer = super::peer(&request)?;
        let request = request.into_inner();
        let outcome = judge::outcome(&request.statement).map_err(|error| status::judge(&error))?;
        let kind = (StatementKind::Settle, ActKind::Settle(outcome));
        let state = self
            .act(
                &peer,
                &request.id,
                &request.statement,
                &request.sshsig,
                kind,
            )
            .await?;
        Ok(Response::new(pb::SettleResponse {
            state: encode::state(state).into(),
        }))
    }

    async fn read_log(
        &self,
        request: Request<pb::ReadLogRequest>,
    ) -> Result<Response<pb::ReadLogResponse>, Status> {
        let pb::ReadLogRequest { from, limit } = request.into_inner();
        let limit = if limit == 0 { 1000 } else { limit };
        let entries = self
            .desk
            .ask(|reply| Query::ReadLog { from, limit, reply })
            .await?;
        Ok(Response::new(pb::ReadLogResponse { entries }))
    }

    async fn prove_consistency(
        &self,
        request: Request<pb::ProveConsistencyRequest>,
    ) -> Result<Response<pb::ProveConsistencyResponse>, Status> {
        let pb::ProveConsistencyRequest { from, to } = request.into_inner();
        let proven = self
            .desk
            .ask(|reply| Query::Consistency(from, to, reply))
            .await?;
        Ok(Response::new(encode::consistency(&proven)))
    }

    async fn get_head(
        &self,
        request: Request<pb::GetHeadRequest>,
    ) -> Result<Response<pb::GetHeadResponse>, Status> {
        let pb::GetHeadRequest { known_size, index } = request.into_inner();
        self.desk.reviewer_holds(known_size);
        let (head, size, inclusion) = if let Some(index) = index {
            let inclusion = self
                .desk
                .ask(|reply| Query::Prove(index, known_size, reply))
                .await?;
            (
                encode::head(&inclusion.head),
                inclusion.head.size,
                Some(encode::inclusion(&inclusion)),
            )
        } else {
            let head = self
                .desk
                .ask(|reply| Query::Head(known_size, reply))
                .await?;
            (encode::head(&head), head.size, None)
        };
        let vkey = self.desk.vkey.clone();
        let witnesses = self.desk.witnesses.as_deref();
        // A program may say anything: more than there is holds nobody.
        let said = |by: &AtomicU64| by.load(Ordering::Relaxed).min(size);
        Ok(Response::new(pb::GetHeadResponse {
            head: Some(head),
            inclusion,
            vkey,
            held_by_reviewers: said(&self.desk.held_by_reviewers),
            held_by_agents: said(&self.desk.held_by_agents),
            streams: self
                .desk
                .streams
                .standings()
                .into_iter()
                .map(encode::stream)
                .collect(),
            witnesses: witnesses.map_or_else(Vec::new, encode::witnesses),
            witnessed_note: witnesses.map_or_else(String::new, Witnesses::witnessed_note),
        }))
    }

    async fn usage(
        &self,
        request: Request<pb::UsageRequest>,
    ) -> Result<Response<pb::UsageResponse>, Status> {
        super::peer(&request)?;
        let desk = &self.desk;
        let counted = desk.counting.count(&desk.vkey, request.into_inner());
        counted.await.map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        super::peer(&request)?;
        let view = self.view(&request.into_inner().id).await?;
        let explanation = explain::explain(&view, &self.desk.rules())?;
        Ok(Response::new(pb::ExplainResponse {
            id: view.request.id().to_string(),
            explanation,
        }))
    }

    async fn get_rules(
        &self,
        request: Request<pb::GetRulesRequest>,
    ) -> Result<Response<pb::GetRulesResponse>, Status> {
        self.rules(super::peer(&request)?.as_ref())
    }

    async fn read_rules(
        &self,
        request: Request<pb::ReadRulesRequest>,
    ) -> Result<Response<pb::ReadRulesResponse>, Status> {
        self.rules_whole(&request.into_inner().digest).await
    }

    async fn proposed_rules(
        &self,
        request: Request<pb::ProposedRulesRequest>,
    ) -> Result<Response<pb::ProposedRulesResponse>, Status> {
        self.rules_proposed(request.into_inner().known_size).await
    }

    async fn sign_rules(
        &self,
        request: Request<pb::SignRulesRequest>,
    ) -> Result<Response<pb::SignRulesResponse>, Status> {
        let peer = super::peer(&request)?;
        self.rules_word(&peer, request.into_inner()).await
    }
}

fn full_id(id: &str) -> Result<RequestId, Status> {
    id.parse()
        .map_err(|error: countersign_shared::id::IdError| {
            status::malformed("id", &format!("the full id is needed here: {error}"))
        })
}
