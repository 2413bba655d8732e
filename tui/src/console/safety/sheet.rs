//! The sheets: what is asked for before a decision is sent, and the passphrase.
//!
//! An approve sheet is sent with [`APPROVE`] once its confirm field holds *exactly* what it asks
//! for: then no further character can belong to the answer, so the same key that opens the sheet
//! can send it, Enter never does, and a name that contains the key can still be typed. In the reason field
//! the key is text. The sheets that deny, that close a review and that end a run permit nothing: they are
//! sent with Enter, which does nothing while the reason is empty.
//!
//! High and critical sheets start on Back, so that what is typed into a sheet that has just
//! appeared lands nowhere; Tab moves on.

use std::fmt;

use code::code_from;
use countersign_shared::digest::Digest;
use zeroize::Zeroizing;

use super::super::model::Tier;
use super::{APPROVE, Key, Millis, Obstacle, Press, Subject, Verdict};

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 500;
/// The longest name that is asked for; a longer one is replaced by the digest.
const MAX_NAME: usize = 64;
/// How many hexadecimal digits of the digest stand in for a name that cannot be typed.
const DIGEST_DIGITS: usize = 12;
/// How often a wrong name or code may be tried before the sheet closes.
const MAX_WRONG: u8 = 3;

/// The reasons that one digit gives.
pub const REASONS: [&str; 4] = ["wrong target", "too broad", "needs a ticket", "not now"];

/// What an approve sheet asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// Nothing.
    Nothing,
    /// The characters shown beside the first change or argument.
    Code(String),
    /// The target's name.
    Name(String),
    /// The first digits of the digest: the name cannot be typed.
    DigestDigits(String),
}

impl Confirm {
    /// Chooses what to ask for. `nonce` is fresh for each opening, so that a code cannot be known
    /// before it is drawn.
    pub fn choose(tier: Tier, target: &str, digest: &Digest, nonce: &[u8; 16]) -> Self {
        match tier {
            Tier::Low => Self::Nothing,
            Tier::Medium => Self::Code(code_from(digest, nonce)),
            Tier::High | Tier::Critical if is_typable(target) => Self::Name(target.to_owned()),
            Tier::High | Tier::Critical => {
                Self::DigestDigits(digest.to_hex().chars().take(DIGEST_DIGITS).collect())
            }
        }
    }

    /// Returns the text that has to be typed.
    pub fn expected(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Code(text) | Self::Name(text) | Self::DigestDigits(text) => text,
        }
    }
}

/// Tells whether every keyboard can type the name, and nobody can misread it: printable ASCII,
/// without blanks at its ends, and of a reasonable length.
fn is_typable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
        && name.trim() == name
}

/// The code that has to be found beside the first change.
mod code {
    use countersign_shared::digest::Digest;

    /// No letter or digit that looks like another one.
    const ALPHABET: &[u8; 30] = b"abcdefghjkmnpqrstuvwxyz2345678";

    /// Derives three characters from the document's digest and this opening's nonce.
    pub(super) fn code_from(digest: &Digest, nonce: &[u8; 16]) -> String {
        let mut bytes = b"countersign.code.v1\0".to_vec();
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(nonce);
        Digest::of(&bytes)
            .as_bytes()
            .iter()
            // The last 16 values would make some characters likelier than others.
            .filter(|byte| **byte < 240)
            .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
            .take(3)
            .map(|byte| char::from(*byte))
            .collect()
    }
}

/// A passphrase on its way to the key. Forgotten when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for the one who unlocks the key.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Which sheet it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SheetKind {
    /// Asks for confirmation.
    Approve {
        /// How careful to be.
        tier: Tier,
        /// What to ask for.
        confirm: Confirm,
        /// True when it must say why.
        reason_required: bool,
    },
    /// Asks for a reason.
    Deny,
    /// Asks what the review of broken glass found.
    Close,
    /// Asks why the run shall end.
    Kill,
    /// Asks for the key's passphrase.
    Passphrase,
}

/// Where typed text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Nowhere: Enter goes back.
    Back,
    /// The code or name.
    Confirm,
    /// The reason.
    Reason,
    /// The passphrase.
    Passphrase,
}

/// What a key did to a sheet.
#[derive(Debug)]
pub(super) enum Answer {
    Pass,
    Taken,
    Back,
    Unlock(Passphrase),
    Send(Verdict),
}

/// An open sheet.
#[derive(Debug)]
pub struct Sheet {
    /// Tells this opening from every other one.
    pub serial: u32,
    kind: SheetKind,
    focus: Field,
    confirm: String,
    reason: String,
    passphrase: Zeroizing<String>,
    wrong: u8,
    /// Since when it has been on the screen.
    pub(super) drawn_since: Option<Millis>,
}

impl Sheet {
    pub(super) fn new(serial: u32, kind: SheetKind) -> Self {
        let focus = match &kind {
            SheetKind::Approve {
                tier: Tier::High | Tier::Critical,
                ..
            } => Field::Back,
            SheetKind::Approve {
                confirm: Confirm::Nothing,
                ..
            }
            | SheetKind::Deny
            | SheetKind::Close
            | SheetKind::Kill => Field::Reason,
            SheetKind::Approve { .. } => Field::Confirm,
            SheetKind::Passphrase => Field::Passphrase,
        };
        Self {
            serial,
            kind,
            focus,
            confirm: String::new(),
            reason: String::new(),
            // As long as it may grow: growing would leave copies that nobody wipes.
            passphrase: Zeroizing::new(String::with_capacity(1_024)),
            wrong: 0,
            drawn_since: None,
        }
    }

    /// The sheet an approval of `subject` needs, if any.
    pub(super) fn approve(subject: &Subject) -> Option<SheetKind> {
        (subject.confirm != Confirm::Nothing || subject.reason_required).then(|| {
            SheetKind::Approve {
                tier: subject.tier,
                confirm: subject.confirm.clone(),
                reason_required: subject.reason_required,
            }
        })
    }

    /// Returns which sheet it is.
    pub const fn kind(&self) -> &SheetKind {
        &self.kind
    }

    /// Returns where typed text goes.
    pub const fn focus(&self) -> Field {
        self.focus
    }

    /// Returns what was typed as code or name.
    pub fn confirm(&self) -> &str {
        &self.confirm
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns how many characters of the passphrase were typed.
    pub fn passphrase_length(&self) -> usize {
        self.passphrase.chars().count()
    }

    /// Tells which field does not hold what it should.
    pub fn incomplete(&self) -> Option<Obstacle> {
        let field = match &self.kind {
            SheetKind::Approve { confirm, .. } if self.confirm != confirm.expected() => {
                Field::Confirm
            }
            SheetKind::Approve {
                reason_required: true,
                ..
            }
            | SheetKind::Deny
            | SheetKind::Close
            | SheetKind::Kill
                if self.reason.trim().is_empty() =>
            {
                Field::Reason
            }
            // A passphrase is never a decision.
            SheetKind::Passphrase => Field::Passphrase,
            SheetKind::Approve { .. } | SheetKind::Deny | SheetKind::Close | SheetKind::Kill => {
                return None;
            }
        };
        Some(Obstacle::Incomplete(field))
    }

    /// Forgets a wrong code or name; true when it was the last try.
    pub(super) fn was_wrong(&mut self) -> bool {
        self.confirm.clear();
        self.wrong = self.wrong.saturating_add(1);
        self.wrong >= MAX_WRONG
    }

    pub(super) fn key(&mut self, key: Key, press: Press) -> Answer {
        if press != Press::Down && key != Key::Backspace && key != Key::Other {
            return Answer::Taken;
        }
        match key {
            Key::Other => Answer::Pass,
            Key::Esc => Answer::Back,
            Key::Tab => {
                self.focus = self.next_field();
                Answer::Taken
            }
            Key::Backspace => {
                self.field_mut().map(String::pop);
                Answer::Taken
            }
            Key::Enter => self.enter(),
            Key::Char(character) => self.character(character),
        }
    }

    fn enter(&mut self) -> Answer {
        match (&self.kind, self.focus) {
            (SheetKind::Deny, Field::Reason) => Answer::Send(Verdict::Deny),
            (SheetKind::Close, Field::Reason) => Answer::Send(Verdict::Close),
            (SheetKind::Kill, Field::Reason) => Answer::Send(Verdict::Kill),
            (SheetKind::Passphrase, Field::Passphrase) if !self.passphrase.is_empty() => {
                let passphrase = std::mem::take(&mut *self.passphrase);
                Answer::Unlock(Passphrase::new(passphrase))
            }
            (_, Field::Back) => Answer::Back,
            (
                SheetKind::Deny
                | SheetKind::Close
                | SheetKind::Kill
                | SheetKind::Passphrase
                | SheetKind::Approve { .. },
                Field::Confirm | Field::Reason | Field::Passphrase,
            ) => Answer::Taken,
        }
    }

    fn character(&mut self, character: char) -> Answer {
        if character == APPROVE && self.sends_on_approve() {
            return Answer::Send(Verdict::Approve);
        }
        if self.kind == SheetKind::Deny && self.reason.is_empty() {
            let preset = character
                .to_digit(10)
                .and_then(|digit| usize::try_from(digit).ok())
                .and_then(|digit| digit.checked_sub(1))
                .and_then(|index| REASONS.get(index));
            if let Some(reason) = preset {
                (*reason).clone_into(&mut self.reason);
                return Answer::Taken;
            }
        }
        let limit = self.limit();
        if let Some(field) = self.field_mut()
            && field.len().saturating_add(character.len_utf8()) <= limit
        {
            field.push(character);
        }
        Answer::Taken
    }

    /// The approve key sends from the confirm field when that field is full or wrong in a way that
    /// typing more cannot mend, and from Back when nothing has to be confirmed.
    fn sends_on_approve(&self) -> bool {
        let SheetKind::Approve { confirm, .. } = &self.kind else {
            return false;
        };
        match self.focus {
            Field::Confirm => {
                let mut extended = self.confirm.clone();
                extended.push(APPROVE);
                !confirm.expected().starts_with(&extended)
            }
            Field::Back => *confirm == Confirm::Nothing,
            Field::Reason | Field::Passphrase => false,
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        let typed_only = matches!(
            (&self.kind, self.focus),
            (
                SheetKind::Approve {
                    tier: Tier::Critical,
                    ..
                },
                Field::Confirm
            )
        );
        if typed_only {
            return;
        }
        let limit = self.limit();
        let one_line: String = match self.focus {
            Field::Reason => text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            // A line end at the end comes with most copies; inside, it is not part of the answer.
            Field::Confirm | Field::Passphrase => text.trim_end_matches(['\r', '\n']).to_owned(),
            Field::Back => return,
        };
        if let Some(field) = self.field_mut()
            && field.len().saturating_add(one_line.len()) <= limit
        {
            field.push_str(&one_line);
        }
    }

    const fn limit(&self) -> usize {
        match self.focus {
            Field::Confirm => MAX_NAME,
            Field::Reason | Field::Back => MAX_REASON,
            Field::Passphrase => 1024,
        }
    }

    fn field_mut(&mut self) -> Option<&mut String> {
        match self.focus {
            Field::Back => None,
            Field::Confirm => Some(&mut self.confirm),
            Field::Reason => Some(&mut self.reason),
            Field::Passphrase => Some(&mut self.passphrase),
        }
    }

    const fn next_field(&self) -> Field {
        match (&self.kind, self.focus) {
            (SheetKind::Passphrase, Field::Back) => Field::Passphrase,
            (
                SheetKind::Approve {
                    confirm: Confirm::Nothing,
                    ..
                }
                | SheetKind::Deny
                | SheetKind::Close
                | SheetKind::Kill,
                Field::Back,
            )
            | (SheetKind::Approve { .. }, Field::Confirm) => Field::Reason,
            (SheetKind::Approve { .. }, Field::Back) => Field::Confirm,
            (_, Field::Confirm | Field::Reason | Field::Passphrase) => Field::Back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_typed_or_misleads_is_replaced_by_the_digest() {
        let digest = Digest::of(b"x");
        let long = "a".repeat(65);
        for name in [
            "",
            "p\u{430}ypal",
            "a\tb",
            " orders",
            "orders ",
            long.as_str(),
            "注文",
        ] {
            let confirm = Confirm::choose(Tier::High, name, &digest, &[0; 16]);
            assert_eq!(
                confirm,
                Confirm::DigestDigits(digest.to_hex().chars().take(12).collect()),
                "{name:?}"
            );
        }
        let confirm = Confirm::choose(Tier::Critical, "db orders", &digest, &[0; 16]);
        assert_eq!(confirm, Confirm::Name("db orders".to_owned()));
    }

    #[test]
    fn a_code_is_three_characters_and_depends_on_digest_and_nonce() {
        let code = |digest: &Digest, nonce| {
            let confirm = Confirm::choose(Tier::Medium, "t", digest, &nonce);
            assert_eq!(confirm.expected().len(), 3);
            confirm
        };
        let (x, y) = (Digest::of(b"x"), Digest::of(b"y"));
        assert_eq!(code(&x, [0; 16]), code(&x, [0; 16]));
        assert_ne!(code(&x, [0; 16]), code(&y, [0; 16]));
        assert_ne!(code(&x, [0; 16]), code(&x, [1; 16]));
    }

    #[test]
    fn a_passphrase_is_not_in_its_debug_output() {
        assert_eq!(
            format!("{:?}", Passphrase::new("hunter2".to_owned())),
            "Passphrase(…)"
        );
    }
}
