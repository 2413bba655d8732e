//! What stands against deciding, and every other state that must be told: words, never colour alone.

use countersign_shared::requirement::RunBy;
use countersign_shared::text::{Printable, Untrusted};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::keymap::{self, Command, Scope};
use super::super::model::{Row, Standing, Tier};
use super::super::safe_line::Pen;
use super::super::safety::{Confirm, Debt, Field, Obstacle, SheetKind, Signing, Verdict, Wire};
use super::super::state::{Open, State};
use super::super::theme::Role;

/// Says what stands against a decision.
pub fn obstacle_text(obstacle: Obstacle) -> Printable {
    let fixed = match obstacle {
        Obstacle::Forked => "the log contradicts itself",
        Obstacle::ReadOnly => "this console is read-only",
        Obstacle::NoKey => "there is no reviewer key",
        Obstacle::Disconnected => "no connection to the daemon",
        Obstacle::Draining => "the daemon is about to stop",
        Obstacle::NotDrawn => "not drawn yet",
        Obstacle::Standing(standing) => {
            return Printable::from_ours(format!("it is {}", standing.word()));
        }
        Obstacle::Changed => "the request changed; open it again",
        Obstacle::NotOwed => "nobody owes a review of it",
        Obstacle::OwnDebt => "another person has to review it",
        Obstacle::Expired => "the time is over",
        Obstacle::InFlight => "a decision is on its way",
        Obstacle::Undisplayable => "some of it cannot be displayed",
        Obstacle::Ineligible => "you may not approve it",
        Obstacle::TooWeak(lack) => return Printable::ours(lack.instead()),
        Obstacle::Claimed => "another reviewer is on it (t takes it)",
        Obstacle::Unseen(1) => "1 part not seen",
        Obstacle::Unseen(parts) => {
            return Printable::from_ours(format!("{parts} parts not seen"));
        }
        Obstacle::TooSoon(_) => "a moment",
        Obstacle::NotQuiet => "another key was pressed just now",
        Obstacle::Burst => "keys came faster than fingers",
        Obstacle::Incomplete(Field::Confirm) => "type what is asked for",
        Obstacle::Incomplete(Field::Reason) => "a reason is missing",
        Obstacle::Incomplete(Field::Passphrase | Field::Back) => "the passphrase comes first",
    };
    Printable::ours(fixed)
}

/// A time span as lists show it.
pub fn span(seconds: Option<u64>) -> String {
    match seconds {
        None => "--:--".to_owned(),
        Some(seconds) if seconds < 3_600 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        Some(seconds) if seconds < 360_000 => {
            format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60)
        }
        Some(seconds) => format!("{}d", seconds / 86_400),
    }
}

/// The states of the connection, the key and this machine, the worst first.
pub fn session_banners(state: &State) -> Vec<(Role, Printable)> {
    let mut banners = Vec::new();
    if let Some(fork) = &state.fork {
        let text = Printable::ours("THE LOG CONTRADICTS ITSELF, nothing can be decided here: ");
        banners.push((Role::Alarm, Printable::concat([&text, fork])));
    }
    match state.safety.wire() {
        Wire::Live => {}
        Wire::Down => {
            let text = format!(
                "DISCONNECTED, attempt {}: what is shown may be old, no key decides",
                state.tries.max(1)
            );
            banners.push((Role::Alarm, Printable::from_ours(text)));
        }
        Wire::Syncing => {
            let text = Printable::ours("connected, reading what waits; no key decides yet");
            banners.push((Role::Warning, text));
        }
        Wire::Draining => {
            let text = Printable::ours("THE DAEMON IS ABOUT TO STOP, no key decides");
            banners.push((Role::Alarm, text));
        }
    }
    if state.safety.is_read_only() {
        banners.push((
            Role::Warning,
            Printable::ours("read-only: this console decides nothing"),
        ));
    } else if state.safety.signing() == Signing::Missing {
        let text = Printable::ours("no reviewer key: this console can look, but not decide");
        banners.push((Role::Warning, text));
    }
    if let Some(skew) = state.skew() {
        let text = format!("this machine's clock is {skew} s off the daemon's, whose clock counts");
        banners.push((Role::Warning, Printable::from_ours(text)));
    }
    banners
}

/// Draws the worst of what must be told wherever one is: of the connection, of broken glass, of rules.
pub fn worst(state: &State, buffer: &mut Buffer, area: Rect) {
    let mut banners = session_banners(state);
    banners.extend(owed_banners(state, ""));
    banners.extend(rules_banners(state, ""));
    banners.sort_by_key(|(role, _)| *role != Role::Alarm);
    if let Some((role, text)) = banners.first() {
        let mut pen = Pen::new(buffer, state.theme, area);
        let left = pen.skip(1).left();
        pen.cell(text, left, *role);
    }
}

/// What people owe, for as long as they do; `hint` says where to look.
pub fn owed_banners(state: &State, hint: &'static str) -> Vec<(Role, Printable)> {
    let mut banners = Vec::new();
    let debts = state.owed.debts().len();
    if debts > 0 {
        let mut text = Printable::ours("THE GLASS WAS BROKEN by ");
        for (at, name) in state.owed.breakers().into_iter().enumerate() {
            if at > 0 {
                text.push(&Printable::ours(", "));
            }
            text.push(&Printable::exact(name));
        }
        text.push(&Printable::from_ours(match debts {
            1 => ": 1 review owed".to_owned(),
            several => format!(": {several} reviews owed"),
        }));
        text.push(&Printable::ours(hint));
        banners.push((Role::Alarm, text));
    }
    let unsettled = state.owed.unsettled().len();
    if unsettled > 0 {
        let mut text = Printable::from_ours(match unsettled {
            1 => "nobody knows how 1 run ended".to_owned(),
            several => format!("nobody knows how {several} runs ended"),
        });
        text.push(&Printable::ours(hint));
        banners.push((Role::Warning, text));
    }
    banners
}

/// Which rules wait for people; `hint` says where to look.
pub fn rules_banners(state: &State, hint: &'static str) -> Vec<(Role, Printable)> {
    let standing = state.ruling.standing();
    let mut banners = Vec::new();
    if standing.adopted.is_some() {
        let mut text = Printable::ours("RULES ADOPTED WITHOUT THE REVIEWERS");
        text.push(&Printable::ours(hint));
        text.push(&Printable::ours(": "));
        text.push(&Printable::exact(&standing.reason));
        banners.push((Role::Alarm, text));
    }
    if standing.proposed.is_some() {
        let mut text = Printable::ours("new rules are proposed");
        text.push(&Printable::ours(hint));
        text.push(&Printable::ours(": "));
        text.push(&Printable::exact(&standing.missing));
        text.push(&Printable::ours(", with `countersign rules sign`"));
        banners.push((Role::Warning, text));
    }
    banners
}

/// The states of the open request, the worst first.
pub fn request_banners(state: &State) -> Vec<(Role, Printable)> {
    let Some(open) = &state.open else {
        return Vec::new();
    };
    let prepared = &open.prepared;
    let mut banners = Vec::new();
    let mut warn = |role, text: Printable| banners.push((role, text));
    if open.is_stale() {
        warn(
            Role::Alarm,
            Printable::ours("THIS REQUEST CHANGED while it was open: go back and open it again"),
        );
    }
    if let Some(text) = debt(state, &open.row) {
        warn(Role::Alarm, text);
    }
    if let Some(text) = ended(state, &open.row) {
        warn(Role::Alarm, text);
    } else if is_running(&open.row) {
        let text = match (open.prepared.run_by, state.following.is_some()) {
            (RunBy::Daemon, true) => "IT RUNS NOW: K ends it",
            (RunBy::Daemon, false) => "IT RUNS NOW: f follows what it writes, K ends it",
            // What else than `run` runs it, nobody makes obey.
            (RunBy::Agent, _) => "ITS AGENT RUNS IT NOW: K asks for the end, which `run` obeys",
        };
        warn(Role::Warning, Printable::ours(text));
    } else if open.row.standing.is_waiting() && state.left(open.row.expires_at) == Some(0) {
        warn(
            Role::Alarm,
            Printable::ours("EXPIRED: nobody decided in time"),
        );
    } else if open.row.standing.is_waiting()
        && state
            .left(open.row.expires_at)
            .is_some_and(|left| left < 10)
    {
        warn(
            Role::Alarm,
            Printable::ours("less than 10 s left, and no way to extend it"),
        );
    }
    if open.row.standing == Standing::Approved {
        let text = Printable::ours("APPROVED, and not used yet: D stops it");
        warn(Role::Warning, text);
    }
    if open.row.standing == Standing::Indeterminate && !state.queue.is_gone(&open.row.id) {
        let text = format!(
            "NOBODY KNOWS HOW IT ENDED: countersign settle {} --outcome …",
            open.row.id
        );
        warn(Role::Warning, Printable::from_ours(text));
    }
    if open.row.standing == Standing::Pending
        && let Some(lack) = state
            .safety
            .signing()
            .strength()
            .and_then(|strength| strength.lack(prepared.needs))
    {
        warn(Role::Warning, Printable::from_ours(lack.to_string()));
    }
    if !prepared.displayable {
        let text = "SOME OF IT CANNOT BE DISPLAYED: it can be denied, but not approved";
        warn(Role::Alarm, Printable::ours(text));
    }
    if prepared.contents_not_shown {
        let text = "CONTENTS NOT SHOWN: some of it is not text (3 Exact has the bytes)";
        warn(Role::Alarm, Printable::ours(text));
    }
    if let Some(why) = &prepared.detail.not_eligible {
        let text = Printable::ours("you may not approve it: ");
        warn(
            Role::Warning,
            Printable::concat([&text, &Printable::exact(why)]),
        );
    }
    banners.extend(required(open));
    let mut warn = |role, text: Printable| banners.push((role, text));
    if prepared.detail.self_attests {
        let text = "your own request: approving it is self-attestation";
        warn(Role::Warning, Printable::ours(text));
    }
    if prepared.masked > 0 {
        let text = match prepared.masked {
            1 => Printable::ours("1 masked value: the signature binds it unseen"),
            several => Printable::from_ours(format!(
                "{several} masked values: the signature binds them unseen"
            )),
        };
        warn(Role::Warning, text);
    }
    if !open.row.waiter_present && open.row.standing == Standing::Pending {
        let text = "nobody is waiting for the answer at the moment";
        warn(Role::Warning, Printable::ours(text));
    }
    banners
}

/// What stands about the requirement of a pending request beside what this reviewer may do.
fn required(open: &Open) -> Vec<(Role, Printable)> {
    let prepared = &open.prepared;
    let mut banners = Vec::new();
    if open.row.standing != Standing::Pending {
        return banners;
    }
    let mut warn = |text: Printable| banners.push((Role::Warning, text));
    if prepared.tier >= Tier::High
        && let Some(because) = &prepared.because
    {
        let tier = Printable::ours(prepared.tier.word());
        warn(Printable::concat([&tier, &Printable::ours(" "), because]));
    }
    if !prepared.detail.nobody_for.is_empty() {
        let mut text = Printable::ours("NOBODY IS LEFT for ");
        for (at, group) in prepared.detail.nobody_for.iter().enumerate() {
            if at > 0 {
                text.push(&Printable::ours(", "));
            }
            text.push(&Printable::exact(group));
        }
        text.push(&Printable::ours(": it cannot be approved as things stand"));
        warn(text);
    }
    if prepared.approvals_missing() > 1 {
        warn(Printable::concat([
            &Printable::ours("waits for "),
            &Printable::exact(&prepared.detail.waits_for),
        ]));
    }
    banners
}

/// Who broke the glass for a request, and who can close that.
fn debt(state: &State, row: &Row) -> Option<Printable> {
    let by = row.owed_by.as_ref()?;
    let who = match state.safety.subject().map(|subject| subject.debt) {
        Some(Debt::Anothers) => ", not reviewed: C closes the review",
        Some(Debt::Own | Debt::None) | None => ": another person has to review it",
    };
    Some(Printable::concat([
        &Printable::ours("BROKEN GLASS, by "),
        &Printable::exact(by),
        &Printable::ours(who),
    ]))
}

/// Tells whether the use of a request was taken and its run has not ended.
const fn is_running(row: &Row) -> bool {
    matches!(row.standing, Standing::Redeemed | Standing::Running)
}

/// How a request ended that is still open on the screen.
fn ended(state: &State, row: &Row) -> Option<Printable> {
    if row.standing.is_live() {
        return None;
    }
    let mut text = Printable::from_ours(format!("IT IS OVER: {}", state.queue.ended_word(row)));
    if !row.reason.is_empty() {
        text.push(&Printable::ours(", "));
        text.push(&Printable::exact(&row.reason));
    }
    Some(text)
}

/// Draws the word that says whether a deciding key is live, at the end of its row.
pub fn armed(state: &State, pen: &mut Pen<'_>) {
    match state.obstacle() {
        None => pen.right(6).ours("ARMED", Role::Armed),
        Some(_) => pen.right(10).ours("NOT ARMED", Role::NotArmed),
    };
}

/// Says why approving is not live, or how many parts were not seen.
pub fn armed_reason(state: &State) -> Printable {
    let missing = state.safety.seen().missing();
    let parts = match missing {
        0 => Printable::ours("all parts seen"),
        1 => Printable::ours("1 part not seen"),
        _ => Printable::from_ours(format!("{missing} parts not seen")),
    };
    match state.obstacle() {
        None | Some(Obstacle::Unseen(_) | Obstacle::TooSoon(_) | Obstacle::NotQuiet) => parts,
        // The worst alone: on a narrow screen there is no room for two.
        Some(obstacle) if missing == 0 => obstacle_text(obstacle),
        Some(obstacle) => {
            Printable::concat([&parts, &Printable::ours(", "), &obstacle_text(obstacle)])
        }
    }
}

/// Draws what was told last, or where the log stands.
pub fn notice(state: &State, buffer: &mut Buffer, area: Rect) {
    let mut pen = Pen::new(buffer, state.theme, area);
    pen.skip(1);
    match &state.notice {
        Some(notice) => {
            let role = if notice.alarm {
                Role::Alarm
            } else {
                Role::Warning
            };
            let left = pen.left();
            pen.cell(&notice.text, left, role);
        }
        None => {
            if let Some(size) = state.head {
                let text = Printable::from_ours(format!("log verified up to entry {size}"));
                pen.text(&text, Role::Dim);
            }
        }
    }
}

/// Draws the hints. What must never be clipped stands first in the table.
pub fn footer(state: &State, buffer: &mut Buffer, area: Rect) {
    let mut pen = Pen::new(buffer, state.theme, area);
    pen.skip(1);
    let sheet = state.safety.sheet();
    let hints: Vec<&'static str> = match sheet.map(super::super::safety::Sheet::kind) {
        Some(SheetKind::Deny) => vec!["Enter sends the deny", "Esc back", "1-4 reason"],
        Some(SheetKind::Close) => vec!["Enter closes the review", "Esc back"],
        Some(SheetKind::Kill)
            if state
                .open
                .as_ref()
                .is_some_and(|open| open.prepared.run_by == RunBy::Daemon) =>
        {
            vec!["Enter ends the run", "Esc back"]
        }
        Some(SheetKind::Kill) => vec!["Enter asks for its end", "Esc back"],
        Some(SheetKind::Approve { confirm, .. }) => {
            let key = match sheet.map(super::super::safety::Sheet::focus) {
                Some(Field::Reason) => "A is a letter of the reason here",
                Some(Field::Back) if *confirm != Confirm::Nothing => "on Back: Enter goes back",
                Some(Field::Confirm | Field::Back | Field::Passphrase) | None => "A approves",
            };
            vec!["Esc back", "Tab next field", key]
        }
        Some(SheetKind::Passphrase) => vec!["Enter unlocks", "Esc back"],
        None if state.scope() == Scope::Queue && state.owed.is_open() => {
            vec!["Enter open", "Esc back", "j/k move", "? help", "q quit"]
        }
        None => hints(state),
    };
    for hint in hints {
        let text = Printable::ours(hint);
        if text.width() > usize::from(pen.left()) {
            return;
        }
        pen.text(&text, Role::Text).skip(2);
    }
}

/// The hints where no sheet is open: first those of the place, then what holds everywhere.
fn hints(state: &State) -> Vec<&'static str> {
    let scope = state.scope();
    if scope == Scope::Rules {
        return vec![
            "Esc back",
            "u look again",
            "Space page",
            "z fold",
            "} next file",
            "? help",
            "q quit",
        ];
    }
    let own = |binding: &&keymap::Binding| binding.scope != Scope::Everywhere;
    let is_view = !matches!(scope, Scope::Queue | Scope::Detail);
    let close = state
        .safety
        .subject()
        .filter(|subject| subject.debt == Debt::Anothers && scope == Scope::Detail)
        .map(|_| "C close review");
    let hints = || keymap::bindings(scope).filter(|binding| !binding.hint.is_empty());
    if is_view {
        // There is nothing to claim there.
        let others = hints().filter(|binding| !own(binding) && binding.command != Command::Claim);
        let mut all = vec!["Esc back"];
        all.extend(hints().filter(own).map(|binding| binding.hint));
        all.extend(
            others
                .map(|binding| binding.hint)
                .filter(|hint| *hint != "Esc back"),
        );
        return all;
    }
    close
        .into_iter()
        .chain(hints().map(|binding| binding.hint))
        .collect()
}

/// The word for the reviewer of this console.
pub fn reviewer(state: &State) -> Printable {
    match &state.me {
        Some(me) => Printable::concat([&Printable::ours("you: "), &Printable::exact(me)]),
        None => Printable::ours("not in the roster"),
    }
}

/// The last decision of this session, in words.
pub fn last_decision(state: &State) -> Option<Printable> {
    let (verdict, at) = state.last_decision?;
    let verb = match verdict {
        Verdict::Approve => "approved",
        Verdict::Deny => "denied",
        Verdict::Close => "reviewed broken glass",
        Verdict::Kill => "ended a run",
    };
    let minutes = state.now.since(at) / 60_000;
    Some(Printable::from_ours(format!(
        "Last decision: {verb}, {minutes} m ago."
    )))
}

/// A claim in words; nothing when nobody holds one.
pub fn claim(row: &Row, me: Option<&Untrusted>) -> Option<Printable> {
    let holder = row.claimed_by.as_ref()?;
    Some(if Some(holder) == me {
        Printable::ours("claimed by you")
    } else {
        Printable::concat([&Printable::ours("claimed by "), &Printable::exact(holder)])
    })
}
