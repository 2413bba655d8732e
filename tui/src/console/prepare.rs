//! Makes everything of a request that views draw, once, away from the screen's loop.
//!
//! Encoding a mebibyte of hostile text and comparing files takes longer than a frame may; so the
//! runner calls [`Prepared::build`] on another thread, and views only look up what is here. Nothing
//! is drawn or decided.

use std::time::Instant;

use countersign_shared::digest::Digest;
use countersign_shared::display::{self, DisplayError};
use countersign_shared::requirement::RunBy;
use countersign_shared::statement::Assurance;
use countersign_shared::text::{Printable, Untrusted};
use serde_json::{Map, Value};

use crate::demands::Demands;

use super::model::{Detail, Row, Standing, Tier};
use super::page::{Gutter, Page, Writer, diff, line, what, who, why};
use super::safety::{Confirm, Debt, Millis, Subject};

/// A request cannot be shown, so it cannot be decided here.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The document cannot be rendered.
    #[error("the document of this request cannot be displayed")]
    Display(#[source] DisplayError),
    /// The document is not an object.
    #[error("the document of this request is not a JSON object")]
    NotAnObject,
    /// The document names another request than the one it came with.
    #[error("the document names another request")]
    OtherRequest,
}

/// The tabs of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tab {
    /// What would be done.
    What,
    /// The changed files.
    Diff,
    /// The exact rendering.
    Exact,
    /// Who asks.
    Who,
    /// Why.
    Why,
}

impl Tab {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::What, Self::Diff, Self::Exact, Self::Who, Self::Why];

    /// Returns the name in the tab bar.
    pub const fn title(self) -> &'static str {
        match self {
            Self::What => "1 What",
            Self::Diff => "2 Diff",
            Self::Exact => "3 Exact",
            Self::Who => "4 Who",
            Self::Why => "5 Why",
        }
    }
}

/// A request, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// What the daemon sent.
    pub detail: Detail,
    /// How careful to be: the stricter of what the list and the document say.
    pub tier: Tier,
    /// The digest of the display rendering.
    pub display: Digest,
    /// False when some of it cannot be displayed.
    pub displayable: bool,
    /// True when some contents are shown as base64 only.
    pub contents_not_shown: bool,
    /// How many strings are masked, as a whole or in part.
    pub masked: usize,
    /// The kind and the target, for bars and sheets.
    pub title: Printable,
    /// What it would do, in our words and numbers.
    pub effect: Printable,
    /// Why the tier is what it is, as the document says.
    pub because: Option<Printable>,
    /// What an approve sheet asks for.
    pub confirm: Confirm,
    /// True when an approval must say why.
    pub reason_required: bool,
    /// Who runs it.
    pub run_by: RunBy,
    /// How sure it must be that whoever approves it is there.
    pub needs: Assurance,
    /// The lengths of all gated parts.
    pub parts: Vec<usize>,
    what: Page,
    diff: Page,
    exact: Page,
    who: Page,
    why: Page,
}

impl Prepared {
    /// Makes the pages. `nonce` must be fresh and random: it makes the code that a sheet asks for.
    /// After `deadline` files are compared with less effort.
    pub fn build(
        detail: Detail,
        nonce: &[u8; 16],
        deadline: Option<Instant>,
    ) -> Result<Self, PrepareError> {
        let rendering = display::render(&detail.document).map_err(PrepareError::Display)?;
        let Ok(Value::Object(document)) = serde_json::from_slice(&detail.document) else {
            return Err(PrepareError::NotAnObject);
        };
        if document.get("id").and_then(Value::as_str) != Some(&detail.row.id.to_string()) {
            return Err(PrepareError::OtherRequest);
        }
        let Demands {
            tier,
            assurance,
            reason,
            run_by,
        } = Demands::of(
            document.get("requirement"),
            Some(detail.row.tier),
            detail.self_attests,
        );
        let target = target_name(&document);
        let confirm = Confirm::choose(
            tier,
            target.raw_str().unwrap_or_default(),
            &detail.row.digest,
            nonce,
        );
        let needs_code = matches!(confirm, Confirm::Code(_));
        let has_changes = document
            .get("action")
            .and_then(|action| action.get("changes"))
            .and_then(Value::as_array)
            .is_some_and(|changes| !changes.is_empty());
        let mut parts = Vec::new();
        let what = what::page(
            &document,
            &what::Found {
                action: &rendering.findings,
                claims: &rendering.claims_findings,
            },
            &mut parts,
            needs_code && !has_changes,
        );
        let (diff, all_changes_shown) =
            diff::page(&document, &mut parts, needs_code && has_changes, deadline);
        let mut nothing = Vec::new();
        let mut exact = Writer::new(&mut nothing, false);
        for part in &rendering.lines {
            exact.push(line(
                Gutter::Agent,
                Printable::concat([&part.pointer, &Printable::ours(" "), &part.value]),
            ));
        }
        let exact = exact.finish(None);
        Ok(Self {
            tier,
            run_by,
            display: rendering.digest(),
            displayable: rendering.complete && all_changes_shown,
            contents_not_shown: rendering.contents_not_shown,
            masked: rendering.masked.len(),
            title: title(&detail.row),
            effect: effect(&document),
            because: because(&document),
            confirm,
            reason_required: reason,
            needs: assurance,
            parts,
            what,
            diff,
            exact,
            who: who::page(&document, &detail.row),
            why: why::page(&document, &detail),
            detail,
        })
    }

    /// Returns the page of a tab.
    pub const fn page(&self, tab: Tab) -> &Page {
        match tab {
            Tab::What => &self.what,
            Tab::Diff => &self.diff,
            Tab::Exact => &self.exact,
            Tab::Who => &self.who,
            Tab::Why => &self.why,
        }
    }

    /// Returns what deciding depends on. `row` is the newest standing that is known.
    pub fn subject(&self, row: &Row, ends: Option<Millis>, me: Option<&Untrusted>) -> Subject {
        Subject {
            id: self.detail.row.id,
            digest: self.detail.row.digest,
            display: self.display,
            tier: self.tier,
            standing: row.standing,
            ends,
            displayable: self.displayable,
            ineligible: self.detail.not_eligible.is_some(),
            claimed_by_other: claimed_by_other(row, me),
            debt: self.debt(row, me),
            reason_required: self.reason_required,
            needs: self.needs,
            self_attests: self.detail.self_attests,
            confirm: self.confirm.clone(),
            parts: self.parts.clone(),
        }
    }

    /// Returns how many approvals are still missing.
    pub fn approvals_missing(&self) -> u32 {
        let waits_for = self.detail.waits_for.raw_str().unwrap_or_default();
        let counts = waits_for
            .split(' ')
            .filter_map(|word| word.parse::<u32>().ok());
        counts.fold(0, u32::saturating_add)
    }

    /// Returns who owes a review of it, as this reviewer sees it.
    pub fn debt(&self, row: &Row, me: Option<&Untrusted>) -> Debt {
        match &row.owed_by {
            None => Debt::None,
            Some(by) if me.is_none_or(|me| me == by) || self.detail.self_attests => Debt::Own,
            Some(_) => Debt::Anothers,
        }
    }

    /// Returns whether the request still waits for somebody to decide.
    pub const fn was_pending(&self) -> bool {
        matches!(self.detail.row.standing, Standing::Pending)
    }
}

/// Tells whether somebody else holds a claim. Without a name of one's own, any claim is another's.
pub fn claimed_by_other(row: &Row, me: Option<&Untrusted>) -> bool {
    row.claimed_by
        .as_ref()
        .is_some_and(|holder| Some(holder) != me)
}

/// The kind and target of a request, as lists and bars show them.
pub fn title(row: &Row) -> Printable {
    Printable::concat([
        &Printable::exact(&row.kind),
        &Printable::ours(" on "),
        &Printable::exact(&row.target_kind),
        &Printable::ours(":"),
        &Printable::exact(&row.target),
    ])
}

/// What the action would do, told in numbers that were counted in the document.
fn effect(document: &Map<String, Value>) -> Printable {
    let count = |pointer: &[&str]| {
        let mut value = document.get("action");
        for key in pointer {
            value = value.and_then(|value| value.get(key));
        }
        value.and_then(Value::as_array).map_or(0, Vec::len)
    };
    let mut facts = Vec::new();
    let mut tell = |count: usize, verb: &str, one: &str, many: &str| {
        if count > 0 {
            facts.push(format!(
                "{verb} {count} {}",
                if count == 1 { one } else { many }
            ));
        }
    };
    tell(
        count(&["arguments", "argv"]),
        "runs a program with",
        "word",
        "words",
    );
    tell(count(&["changes"]), "changes", "file", "files");
    tell(count(&["data"]), "touches", "data set", "data sets");
    if facts.is_empty() {
        Printable::ours("no program, file or data set is named")
    } else {
        Printable::from_ours(facts.join(", "))
    }
}

/// Why the tier is what it is, in the words of the policies.
fn because(document: &Map<String, Value>) -> Option<Printable> {
    let why = document.get("requirement")?.get("why")?.as_array()?;
    let mut text = Printable::default();
    for phrase in why.iter().filter_map(Value::as_str) {
        let joint = if text.is_empty() { "because " } else { "; " };
        text.push(&Printable::ours(joint));
        text.push(&Printable::exact(&Untrusted::new(phrase)));
    }
    (!text.is_empty()).then_some(text)
}

fn target_name(document: &Map<String, Value>) -> Untrusted {
    let name = document
        .get("action")
        .and_then(|action| action.get("target"))
        .and_then(|target| target.get("name"))
        .and_then(Value::as_str);
    Untrusted::new(name.unwrap_or_default())
}
