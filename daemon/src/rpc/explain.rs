//! Why a request is where it is, worked out of its document and the rules in force.

use countersign_policy::eligible::who_can_approve;
use countersign_policy::load::People;
use countersign_shared::document::Document;
use countersign_shared::json;
use countersign_shared::machine::State;
use tonic::{Code, Status};

use super::status::status;
use crate::engine::View;
use crate::rules::Rules;

/// Explains a request; returns the explanation as JSON.
pub(super) fn explain(view: &View, rules: &Rules) -> Result<Vec<u8>, Status> {
    let document = Document::read(&view.document).map_err(|error| {
        let id = view.request.id();
        tracing::error!(%id, %error, "a stored document cannot be read");
        Status::internal("the stored document of the request cannot be read")
    })?;
    let side = &view.request.received().side;
    let touching = rules.roster.with_security_keys();
    let people = People {
        mode: rules.mode,
        members: &rules.members,
        touching: &touching,
        requesters: None,
    };
    let mut explanation = rules
        .policies
        .explain(document.facts(), document.action(), &people, side)
        .map_err(|error| {
            let message = format!("{error}; `countersign show` has what was decided about it");
            status(
                Code::FailedPrecondition,
                "facts-of-another-form",
                message,
                [],
            )
        })?;
    explanation.other_rules = document.rules() != rules.digest;
    let state = view.request.state();
    if state == State::Pending {
        // What it was shown with is what binds, and the rules in force ask for no more.
        let binding = view.request.requirement();
        let approvers = who_can_approve(binding, &people, side);
        explanation.approvers = Some(approvers);
        let some = !view.request.approvers().is_empty();
        explanation.missing = view.request.missing().filter(|_| some);
    } else {
        explanation.approvers = None;
        explanation.state = Some(state);
    }
    json::canonical(&explanation).map_err(|error| Status::internal(error.to_string()))
}
