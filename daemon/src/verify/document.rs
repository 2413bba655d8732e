//! Compares a stored request document with what the log says was received, and with the statements
//! of those who decided about it: what only the document holds.

use countersign_shared::digest::Digest;
use countersign_shared::display::{self, Shown};
use countersign_shared::document::Document;
use countersign_shared::log::accessed::DataAccessed;
use countersign_shared::log::replay::Life;
use countersign_shared::machine::Decision;
use countersign_shared::statement::{Requester, Statement};
use data_encoding::BASE64;
use serde_json::json;

use super::report::{Place, Report};
use crate::engine::Card;

/// Checks the document of one request.
pub(super) fn check(life: &Life, bytes: &[u8], origin: &str, report: &mut Report) {
    let place = Place::Request(life.request.id());
    let received = life.request.received();
    let found = Digest::of(bytes);
    if found != received.digest {
        let expected = received.digest;
        report.found(
            place,
            format!("its document has the digest {found}, received was {expected}"),
        );
        // The document is another one; what follows from it would say the same again.
        return;
    }
    let document = match Document::read(bytes) {
        Ok(document) => document,
        Err(error) => {
            report.found(place, format!("its document cannot be read: {error}"));
            return;
        }
    };
    let mut differs = |part: &str, is: bool| {
        if !is {
            report.found(
                place,
                format!("the `{part}` of its document is not as the log has it"),
            );
        }
    };
    differs("id", document.id() == life.request.id());
    differs("origin", document.origin() == origin);
    differs("rules", document.rules() == received.rules);
    differs("expires_at", document.expires_at() == received.expires.wall);
    differs(
        "requirement",
        *document.requirement() == json!(received.requirement),
    );
    let told = !life.request.state().may_have_run()
        || DataAccessed::are_those_of(&document, &life.accessed);
    differs("action.data", told || life.broken);
    let card = Card::of(&document);
    differs("requester", card.uid == received.side.uid);
    match display::shown(&document) {
        Err(error) => report.found(place, format!("its document cannot be shown: {error}")),
        Ok(shown) => {
            if shown.digest != received.display {
                let (found, expected) = (shown.digest, received.display);
                let problem = format!("its document is shown as {found}, received was {expected}");
                report.found(place, problem);
            } else if shown.complete != received.displayable {
                report.found(
                    place,
                    "whether it can be shown completely is not as received",
                );
            }
            if !life.broken {
                for decision in life.request.decisions() {
                    statement(place, decision, &shown, &card, report);
                }
            }
        }
    }
}

/// Compares what a statement says about masked values and the requester with the document.
fn statement(place: Place, decision: &Decision, shown: &Shown, card: &Card, report: &mut Report) {
    // That it can be read was seen when its signature was judged.
    let Ok(bytes) = BASE64.decode(decision.statement_base64.as_bytes()) else {
        return;
    };
    let Ok(Statement::Decision(stated)) = Statement::read(&bytes) else {
        return;
    };
    let name = &decision.member.name;
    let masked = shown
        .masked
        .iter()
        .map(countersign_shared::text::Printable::as_str);
    if !masked.eq(stated.display.masked.iter().map(String::as_str)) {
        let problem = format!("the statement of `{name}` names other masked values than it has");
        report.found(place, problem);
    }
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let requester = Requester {
        uid: card.uid,
        user: card.user.clone(),
        unit: some(&card.unit),
        container: some(&card.container),
    };
    if requester != stated.requester {
        report.found(
            place,
            format!("the statement of `{name}` names another requester"),
        );
    }
}
