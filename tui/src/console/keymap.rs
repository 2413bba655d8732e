//! Which key means what: one table for the keyboard, the footer and the help.
//!
//! Lower case looks, upper case decides. The deciding keys stand here for the help only: what
//! they do is judged by [`super::safety`], which sees every key first.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::safety;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// One screen down.
    PageDown,
    /// One screen up.
    PageUp,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Open the selected request.
    Open,
    /// Leave what is open.
    Back,
    /// The next tab.
    NextTab,
    /// A tab by its number, from 0.
    Tab(usize),
    /// The next hunk.
    NextHunk,
    /// The previous hunk.
    PreviousHunk,
    /// The next file.
    NextFile,
    /// The previous file.
    PreviousFile,
    /// Show or fold unchanged rows.
    Unfold,
    /// To the next part that was not seen.
    NextUnseen,
    /// Take in the arrivals.
    Merge,
    /// List what people owe, or leave that list.
    Owed,
    /// Look at the rules that wait for people, or leave them.
    Rules,
    /// Look at the log, or at what it holds about the open request.
    Log,
    /// Look at who used which data.
    Uses,
    /// Count since another moment.
    NextSince,
    /// Check that the log holds the entry.
    Verify,
    /// Open the request that the entry is about.
    OpenRequest,
    /// Only entries of this agent's requests, or of all again.
    PickAgent,
    /// Only entries of this person, or of all again.
    PickReviewer,
    /// Only entries of this type, or of all again.
    PickType,
    /// Only entries about this request, or about all again.
    PickRequest,
    /// All entries again.
    PickAll,
    /// Follow what the run writes, or leave that.
    Follow,
    /// Ask for the end of the run. Judged elsewhere.
    Kill,
    /// Claim, or give the claim back.
    Claim,
    /// Do not let another one's claim hold me up.
    Take,
    /// Approve. Judged elsewhere.
    Approve,
    /// Deny. Judged elsewhere.
    Deny,
    /// Close the review of broken glass. Judged elsewhere.
    Close,
    /// Show the keys.
    Help,
    /// Draw everything again.
    Redraw,
    /// Stop, as job control does.
    Suspend,
    /// Leave the console.
    Quit,
}

/// Where a key is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The queue.
    Queue,
    /// A request.
    Detail,
    /// A change of rules.
    Rules,
    /// The log.
    Log,
    /// An entry of the log.
    Entry,
    /// Who used which data.
    Uses,
    /// What the run of a request writes.
    Output,
    /// Anywhere.
    Everywhere,
}

/// A key without what does not matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// A character.
    Char(char),
    /// A character with Control.
    Control(char),
    /// A key with a name.
    Named(KeyCode),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Where it holds.
    pub scope: Scope,
    /// The keys.
    pub strokes: &'static [Stroke],
    /// What they ask for.
    pub command: Command,
    /// The keys as the help shows them; empty when another row names them as well.
    pub keys: &'static str,
    /// What the help says.
    pub help: &'static str,
    /// What the footer says; empty when it does not.
    pub hint: &'static str,
}

use Stroke::{Char, Control, Named};

const fn bind(
    scope: Scope,
    strokes: &'static [Stroke],
    command: Command,
    keys: &'static str,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding {
        scope,
        strokes,
        command,
        keys,
        help,
        hint,
    }
}

/// The table. The footer shows hints in this order and drops from the end, so what must never be
/// clipped stands first.
#[rustfmt::skip]
pub static BINDINGS: &[Binding] = &[
    bind(Scope::Detail, &[Char(safety::DENY)], Command::Deny, "D", "deny (asks for a reason, Enter sends)", "D deny"),
    bind(Scope::Detail, &[Char(safety::APPROVE)], Command::Approve, "A", "approve (when ARMED)", "A approve"),
    bind(Scope::Queue, &[Named(KeyCode::Enter), Char('l')], Command::Open, "Enter l", "open the request", "Enter open"),
    bind(Scope::Everywhere, &[Named(KeyCode::Esc), Char('h')], Command::Back, "Esc h", "back", "Esc back"),
    bind(Scope::Queue, &[Char('R')], Command::Merge, "R", "take in the arrivals", "R merge"),
    bind(Scope::Detail, &[Char('n')], Command::NextUnseen, "n", "next part not seen", "n next unseen"),
    bind(Scope::Everywhere, &[Char(' '), Named(KeyCode::PageDown), Control('d')], Command::PageDown, "Space PgDn ^d", "a screen down", "Space page"),
    bind(Scope::Everywhere, &[Char('c')], Command::Claim, "c", "claim, or give the claim back", "c claim"),
    bind(Scope::Queue, &[Char('e')], Command::Log, "e", "the log: its entries, and the proof of each", "e log"),
    bind(Scope::Queue, &[Char('w')], Command::Uses, "w", "who used which data", "w data"),
    bind(Scope::Queue, &[Char('o')], Command::Owed, "o", "what people owe: reviews of broken glass, runs of unknown end", ""),
    bind(Scope::Queue, &[Char('u')], Command::Rules, "u", "rules that wait for people, and what they change", ""),
    bind(Scope::Rules, &[Char('u')], Command::Rules, "u", "look again", ""),
    bind(Scope::Detail, &[Char(safety::CLOSE)], Command::Close, "C", "close the review of broken glass (when ARMED)", ""),
    bind(Scope::Detail, &[Char('f')], Command::Follow, "f", "follow what its run writes", ""),
    bind(Scope::Detail, &[Char(safety::KILL)], Command::Kill, "K", "end its run (asks for a reason, Enter sends)", ""),
    bind(Scope::Detail, &[Char('e')], Command::Log, "e", "what the log holds about it", ""),
    bind(Scope::Output, &[Char(safety::KILL)], Command::Kill, "K", "end the run (asks for a reason, Enter sends)", "K end the run"),
    bind(Scope::Output, &[Char('f')], Command::Follow, "f", "back to the request", ""),
    bind(Scope::Log, &[Named(KeyCode::Enter), Char('l')], Command::Open, "Enter l", "the entry whole", "Enter entry"),
    bind(Scope::Log, &[Char('v')], Command::Verify, "v", "prove that it is in the log", "v prove"),
    bind(Scope::Log, &[Char('o')], Command::OpenRequest, "o", "open its request", "o request"),
    bind(Scope::Log, &[Char('a')], Command::PickAgent, "a", "only its agent's, or all again", "a agent"),
    bind(Scope::Log, &[Char('p')], Command::PickReviewer, "p", "only its person's, or all again", "p person"),
    bind(Scope::Log, &[Char('t')], Command::PickType, "t", "only its type, or all again", "t type"),
    bind(Scope::Log, &[Char('r')], Command::PickRequest, "r", "only its request's, or all again", "r its request's"),
    bind(Scope::Log, &[Char('x')], Command::PickAll, "x", "all entries again", "x all"),
    bind(Scope::Entry, &[Char('v')], Command::Verify, "v", "prove that it is in the log", "v prove"),
    bind(Scope::Entry, &[Char('o')], Command::OpenRequest, "o", "open its request", "o request"),
    bind(Scope::Uses, &[Named(KeyCode::Tab)], Command::NextTab, "Tab", "by data, agent, reviewer, destination", "Tab by"),
    bind(Scope::Uses, &[Char('s')], Command::NextSince, "s", "since today, 7 days, 30 days, ever", "s since"),
    bind(Scope::Uses, &[Named(KeyCode::Enter), Char('l')], Command::Open, "Enter l", "the requests behind it", "Enter requests"),
    bind(Scope::Detail, &[Char('t')], Command::Take, "t", "approve although another reviewer is on it", ""),
    bind(Scope::Everywhere, &[Char('?'), Named(KeyCode::F(1))], Command::Help, "? F1", "these keys", "? help"),
    bind(Scope::Everywhere, &[Char('j'), Named(KeyCode::Down)], Command::Down, "j Down", "down", "j/k move"),
    bind(Scope::Everywhere, &[Char('k'), Named(KeyCode::Up)], Command::Up, "k Up", "up", ""),
    bind(Scope::Everywhere, &[Named(KeyCode::PageUp), Control('u')], Command::PageUp, "PgUp ^u", "a screen up", ""),
    bind(Scope::Everywhere, &[Char('g'), Named(KeyCode::Home)], Command::First, "g Home", "to the start", ""),
    bind(Scope::Everywhere, &[Char('G'), Named(KeyCode::End)], Command::Last, "G End", "to the end", ""),
    bind(Scope::Detail, &[Named(KeyCode::Tab)], Command::NextTab, "Tab", "next tab", ""),
    bind(Scope::Detail, &[Char('1')], Command::Tab(0), "1-5", "What, Diff, Exact (also x), Who, Why", ""),
    bind(Scope::Detail, &[Char('2')], Command::Tab(1), "", "", ""),
    bind(Scope::Detail, &[Char('3'), Char('x')], Command::Tab(2), "", "", ""),
    bind(Scope::Detail, &[Char('4')], Command::Tab(3), "", "", ""),
    bind(Scope::Detail, &[Char('5')], Command::Tab(4), "", "", ""),
    bind(Scope::Detail, &[Char(']')], Command::NextHunk, "] [", "next hunk, previous hunk", ""),
    bind(Scope::Detail, &[Char('[')], Command::PreviousHunk, "", "", ""),
    bind(Scope::Detail, &[Char('}')], Command::NextFile, "} {", "next file, previous file", ""),
    bind(Scope::Detail, &[Char('{')], Command::PreviousFile, "", "", ""),
    bind(Scope::Detail, &[Char('z')], Command::Unfold, "z", "show or fold unchanged rows", ""),
    bind(Scope::Rules, &[Char('}')], Command::NextFile, "} {", "next file, previous file", ""),
    bind(Scope::Rules, &[Char('{')], Command::PreviousFile, "", "", ""),
    bind(Scope::Rules, &[Char('z')], Command::Unfold, "z", "show or fold unchanged rows", ""),
    bind(Scope::Everywhere, &[Control('l')], Command::Redraw, "^l", "draw again", ""),
    bind(Scope::Everywhere, &[Control('z')], Command::Suspend, "^z", "suspend", ""),
    bind(Scope::Everywhere, &[Char('q')], Command::Quit, "q", "quit", "q quit"),
    bind(Scope::Everywhere, &[Control('c')], Command::Quit, "^c", "quit", ""),
];

/// Returns the stroke of a key event; `None` for keys with other modifiers.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other keys have names")]
pub fn stroke(event: &KeyEvent) -> Option<Stroke> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let other = event
        .modifiers
        .difference(KeyModifiers::CONTROL | KeyModifiers::SHIFT);
    match event.code {
        _ if !other.is_empty() => None,
        KeyCode::Char(character) if control => Some(Control(character.to_ascii_lowercase())),
        KeyCode::Char(character) => Some(Char(character)),
        code => Some(Named(code)),
    }
}

/// Returns what a stroke asks for in this scope.
pub fn command(scope: Scope, stroke: Stroke) -> Option<Command> {
    BINDINGS
        .iter()
        .filter(|binding| binding.scope == scope || binding.scope == Scope::Everywhere)
        .find(|binding| binding.strokes.contains(&stroke))
        .map(|binding| binding.command)
}

/// Returns the rows of the table that hold in this scope.
pub fn bindings(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |binding| binding.scope == scope || binding.scope == Scope::Everywhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_scope() {
        for scope in [
            Scope::Queue,
            Scope::Detail,
            Scope::Rules,
            Scope::Log,
            Scope::Entry,
            Scope::Uses,
            Scope::Output,
        ] {
            let mut seen = Vec::new();
            for stroke in bindings(scope).flat_map(|binding| binding.strokes) {
                assert!(!seen.contains(stroke), "{stroke:?} in {scope:?}");
                seen.push(*stroke);
            }
        }
    }

    #[test]
    fn the_deciding_keys_are_upper_case_letters_of_the_detail_only() {
        for binding in BINDINGS {
            let is_kill = binding.command == Command::Kill;
            let decides = matches!(
                binding.command,
                Command::Approve | Command::Deny | Command::Close
            );
            if decides || is_kill {
                // What only looks has none; a run that is followed can be ended.
                let is_there =
                    binding.scope == Scope::Detail || (is_kill && binding.scope == Scope::Output);
                assert!(is_there, "{:?} in {:?}", binding.command, binding.scope);
                for stroke in binding.strokes {
                    assert!(matches!(stroke, Char('A'..='Z')), "{stroke:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_with_alt_means_nothing() {
        let event = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT);
        assert_eq!(stroke(&event), None);
    }
}
