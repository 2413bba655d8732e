//! The machine: how inputs change it, and the one place where a decision is made.

use std::collections::BTreeSet;

use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::statement::Assurance;

use super::timing::Keyboard;
use super::{
    APPROVE, Act, BURST, CLOSE, DENY, Decision, Field, Frame, Input, KILL, Key, Millis, Obstacle,
    Press, STALE, Seen, Sheet, SheetKind, Signing, Subject, Verdict, Wire, sheet,
};

/// A deciding key that waits to see whether a burst follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) at: Millis,
    pub(super) verdict: Verdict,
}

/// The machine.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no combination of them is impossible"
)]
pub struct Safety {
    pub(super) read_only: bool,
    pub(super) forked: bool,
    pub(super) wire: Wire,
    pub(super) signing: Signing,
    /// The request and document the passphrase was typed for.
    pub(super) unlocked_for: Option<(RequestId, Digest)>,
    pub(super) keyboard: Keyboard,
    pub(super) subject: Option<Subject>,
    /// The document behind the open request is no longer the one that is drawn.
    pub(super) stale: bool,
    pub(super) taken: bool,
    pub(super) seen: Seen,
    pub(super) told: bool,
    /// Since when the open request's own frame has been on the screen.
    pub(super) shown_since: Option<Millis>,
    /// Since when nothing gated is missing.
    pub(super) seen_since: Option<Millis>,
    /// The last focus, resize, resume or reconnect.
    pub(super) restarted: Millis,
    pub(super) held: Option<Held>,
    pub(super) sheet: Option<Sheet>,
    pub(super) next_serial: u32,
    pub(super) in_flight: BTreeSet<RequestId>,
}

impl Safety {
    /// Makes a machine that is not connected and has no key.
    pub fn new(now: Millis, read_only: bool) -> Self {
        Self {
            read_only,
            forked: false,
            wire: Wire::Down,
            signing: Signing::Missing,
            unlocked_for: None,
            keyboard: Keyboard::default(),
            subject: None,
            stale: false,
            taken: false,
            seen: Seen::default(),
            told: false,
            shown_since: None,
            seen_since: None,
            restarted: now,
            held: None,
            sheet: None,
            next_serial: 1,
            in_flight: BTreeSet::new(),
        }
    }

    /// Takes one input and returns what follows from it.
    pub fn apply(&mut self, now: Millis, input: Input) -> Vec<Act> {
        match input {
            Input::Key(key, press) => self.key(now, key, press),
            Input::Paste(text) => self.paste(now, &text),
            Input::Tick => self.tick(now),
            Input::Drawn(frame) => self.drawn(now, frame.as_ref()),
            Input::FocusGained => self.restart(now),
            Input::Resized | Input::Resumed => {
                self.shown_since = None;
                self.restart(now)
            }
            Input::Opened(subject) => {
                self.open(*subject);
                Vec::new()
            }
            Input::Closed => {
                self.close();
                Vec::new()
            }
            Input::Changed {
                id,
                digest,
                standing,
                claimed_by_other,
                debt,
                ends,
            } => {
                let Some(subject) = self.subject.as_mut().filter(|subject| subject.id == id) else {
                    return Vec::new();
                };
                if claimed_by_other && !subject.claimed_by_other {
                    self.taken = false;
                }
                subject.standing = standing;
                subject.claimed_by_other = claimed_by_other;
                subject.debt = debt;
                subject.ends = ends;
                let is_same = subject.digest == digest;
                self.changed(is_same)
            }
            Input::Take => {
                self.taken = true;
                self.held = None;
                Vec::new()
            }
            Input::Wire(wire) => self.wire_changed(now, wire),
            Input::Forked => {
                self.forked = true;
                self.held = None;
                self.close_sheet()
            }
            Input::Signing(signing) => {
                self.signing = signing;
                self.unlocked_for = None;
                self.held = None;
                Vec::new()
            }
            Input::Unlocked => self.unlocked(),
            Input::Answered(id) => {
                self.in_flight.remove(&id);
                Vec::new()
            }
        }
    }

    fn open(&mut self, subject: Subject) {
        self.close();
        self.seen = Seen::of(subject.parts.iter().copied());
        self.subject = Some(subject);
    }

    fn close(&mut self) {
        self.subject = None;
        self.stale = false;
        self.taken = false;
        self.told = false;
        self.seen = Seen::default();
        self.shown_since = None;
        self.seen_since = None;
        self.held = None;
        self.sheet = None;
        self.unlocked_for = None;
    }

    fn restart(&mut self, now: Millis) -> Vec<Act> {
        self.restarted = now;
        self.held = None;
        Vec::new()
    }

    fn close_sheet(&mut self) -> Vec<Act> {
        match self.sheet.take() {
            Some(_) => vec![Act::SheetChanged],
            None => Vec::new(),
        }
    }

    fn wire_changed(&mut self, now: Millis, wire: Wire) -> Vec<Act> {
        if wire == Wire::Live && self.wire != Wire::Live {
            // What was on its way when the connection broke has been re-read with the snapshot.
            self.in_flight.clear();
            self.restarted = now;
        }
        self.wire = wire;
        self.held = None;
        Vec::new()
    }

    /// The open request stands differently; another document ends what was begun.
    fn changed(&mut self, is_same_document: bool) -> Vec<Act> {
        if is_same_document {
            return Vec::new();
        }
        self.stale = true;
        self.held = None;
        self.close_sheet()
    }

    fn drawn(&mut self, now: Millis, frame: Option<&Frame>) -> Vec<Act> {
        let matching = frame.filter(|frame| {
            self.subject
                .as_ref()
                .is_some_and(|subject| subject.id == frame.id && subject.digest == frame.digest)
        });
        let (Some(frame), Some(subject)) = (matching, self.subject.as_ref()) else {
            self.shown_since = None;
            if let Some(sheet) = &mut self.sheet {
                sheet.drawn_since = None;
            }
            return Vec::new();
        };
        self.shown_since.get_or_insert(now);
        for piece in &frame.pieces {
            self.seen.mark(*piece);
        }
        if let Some(sheet) = &mut self.sheet {
            if frame.sheet == Some(sheet.serial) {
                sheet.drawn_since.get_or_insert(now);
            } else {
                sheet.drawn_since = None;
            }
        }
        if !self.seen.is_complete() {
            return Vec::new();
        }
        self.seen_since.get_or_insert(now);
        if self.told {
            return Vec::new();
        }
        self.told = true;
        vec![Act::Shown {
            id: subject.id,
            display: subject.display,
        }]
    }

    fn key(&mut self, now: Millis, key: Key, press: Press) -> Vec<Act> {
        if press == Press::Up {
            return vec![Act::Taken];
        }
        self.held = None;
        // The rules look at what came before this key.
        let before = self.keyboard;
        self.keyboard.pressed(now);
        let deciding = if self.sheet.is_some() {
            match self.sheet_key(key, press) {
                Ok(acts) => return acts,
                Err(verdict) => verdict,
            }
        } else {
            match key {
                Key::Char(APPROVE) => Verdict::Approve,
                Key::Char(DENY) => Verdict::Deny,
                Key::Char(CLOSE) => Verdict::Close,
                Key::Char(KILL) => Verdict::Kill,
                Key::Char(_) | Key::Enter | Key::Esc | Key::Tab | Key::Backspace | Key::Other => {
                    return vec![Act::Pass];
                }
            }
        };
        if press != Press::Down {
            return vec![Act::Swallowed(Obstacle::NotQuiet)];
        }
        let obstacle = self
            .lasting_obstacle(now, deciding)
            .or_else(|| before.obstacle(now))
            .or_else(|| self.sheet.as_ref().and_then(Sheet::incomplete));
        if let Some(obstacle) = obstacle {
            return self.swallow(obstacle);
        }
        self.held = Some(Held {
            at: now,
            verdict: deciding,
        });
        vec![Act::Taken]
    }

    /// Swallows a deciding key; a wrong name or code is forgotten, the third time with its sheet.
    fn swallow(&mut self, obstacle: Obstacle) -> Vec<Act> {
        let mut acts = vec![Act::Swallowed(obstacle)];
        if obstacle == Obstacle::Incomplete(Field::Confirm) {
            let exhausted = self.sheet.as_mut().is_some_and(Sheet::was_wrong);
            if exhausted {
                acts.extend(self.close_sheet());
            }
        }
        acts
    }

    /// Gives a key to the open sheet: what followed, or which verdict it asks to send.
    fn sheet_key(&mut self, key: Key, press: Press) -> Result<Vec<Act>, Verdict> {
        let Some(sheet) = &mut self.sheet else {
            return Ok(vec![Act::Pass]);
        };
        match sheet.key(key, press) {
            sheet::Answer::Pass => Ok(vec![Act::Pass]),
            sheet::Answer::Taken => Ok(vec![Act::Taken]),
            sheet::Answer::Back => Ok(self.close_sheet()),
            sheet::Answer::Unlock(passphrase) => Ok(vec![Act::Unlock(passphrase)]),
            sheet::Answer::Send(verdict) => Err(verdict),
        }
    }

    fn paste(&mut self, now: Millis, text: &str) -> Vec<Act> {
        self.held = None;
        // A paste is input like a key: nothing is decided right after it.
        self.keyboard.pressed(now);
        match &mut self.sheet {
            Some(sheet) => {
                sheet.paste(text);
                vec![Act::Taken]
            }
            None => vec![Act::Pass],
        }
    }

    fn tick(&mut self, now: Millis) -> Vec<Act> {
        let Some(held) = self.held else {
            return Vec::new();
        };
        let age = now.since(held.at);
        if age < BURST {
            return Vec::new();
        }
        self.held = None;
        if age > STALE {
            return vec![Act::Swallowed(Obstacle::NotQuiet)];
        }
        match self.lasting_obstacle(now, held.verdict) {
            Some(obstacle) => vec![Act::Swallowed(obstacle)],
            None => self.go(held.verdict),
        }
    }

    /// A deciding key came through: asks for the passphrase, opens the sheet, or decides.
    fn go(&mut self, verdict: Verdict) -> Vec<Act> {
        let Some(subject) = &self.subject else {
            return Vec::new();
        };
        let typed = self.unlocked_for == Some((subject.id, subject.digest));
        // A key without a passphrase is asked for none: it is enough by itself, or an obstacle.
        let fresh = verdict == Verdict::Approve
            && subject.needs == Assurance::Passphrase
            && self.signing == Signing::Ready
            && !typed;
        let kind = if self.signing == Signing::Locked || fresh {
            Some(SheetKind::Passphrase)
        } else if self.sheet.is_some() {
            None
        } else {
            match verdict {
                Verdict::Deny => Some(SheetKind::Deny),
                Verdict::Close => Some(SheetKind::Close),
                Verdict::Kill => Some(SheetKind::Kill),
                Verdict::Approve => Sheet::approve(subject),
            }
        };
        if let Some(kind) = kind {
            self.sheet = Some(Sheet::new(self.next_serial, kind));
            self.next_serial = self.next_serial.wrapping_add(1);
            return vec![Act::SheetChanged];
        }
        let decision = Decision {
            id: subject.id,
            digest: subject.digest,
            display: subject.display,
            verdict,
            reason: self
                .sheet
                .as_ref()
                .map_or_else(String::new, |sheet| sheet.reason().trim().to_owned()),
            self_attested: verdict == Verdict::Approve && subject.self_attests,
            passphrase_typed: typed,
        };
        self.in_flight.insert(decision.id);
        // One decision per draw: whatever comes next has to be opened and drawn again.
        self.close();
        vec![Act::Decide(decision)]
    }

    fn unlocked(&mut self) -> Vec<Act> {
        self.signing = Signing::Ready;
        self.held = None;
        let asked = matches!(
            self.sheet.as_ref().map(Sheet::kind),
            Some(SheetKind::Passphrase)
        );
        if !asked {
            return Vec::new();
        }
        self.unlocked_for = self
            .subject
            .as_ref()
            .map(|subject| (subject.id, subject.digest));
        self.close_sheet()
    }
}
