//! What a bubble says: words of our own and counts, never a text that an agent wrote.
//!
//! Servers may read a body as markup, so it is escaped all the same. What a request is about in full
//! stands in the console only; a bubble is read by whoever passes the screen.

use std::fmt::Write as _;

use super::plan::{Bubble, Told, Why};
use crate::console::model::Tier;

/// The kinds that are called by their name; all others are the agent's own words.
const KINDS: [&str; 14] = [
    "exec.run",
    "file.read",
    "file.search",
    "file.write",
    "sql.exec",
    "http.request",
    "mcp.call",
    "tool.call",
    "data.export",
    "infra.apply",
    "key.rotate",
    "access.grant",
    "model.deploy",
    "policy.change",
];

/// The classes of targets that are called by their name.
const TARGETS: [&str; 14] = [
    "account",
    "bucket",
    "cluster",
    "database",
    "dataset",
    "directory",
    "file",
    "host",
    "key",
    "model",
    "namespace",
    "repository",
    "service",
    "tool",
];

/// Returns the name of a kind that we know, in our own memory.
pub fn kind(text: &str) -> &'static str {
    known(&KINDS, text).unwrap_or("an action of another kind")
}

/// Returns the name of a class of targets that we know.
pub fn target(text: &str) -> Option<&'static str> {
    known(&TARGETS, text)
}

fn known(list: &[&'static str], text: &str) -> Option<&'static str> {
    list.iter().find(|word| **word == text).copied()
}

/// How pressing a bubble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Tier low.
    Low,
    /// Tier medium.
    Normal,
    /// Tier high and above; servers show it through "do not disturb" and do not let it go by itself.
    Critical,
}

/// What a bubble says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The title: never markup.
    pub summary: String,
    /// The text below it, escaped.
    pub body: String,
    /// How pressing it is.
    pub urgency: Urgency,
}

impl Words {
    /// Writes what a bubble says.
    pub fn of(bubble: &Bubble) -> Self {
        let tier = bubble
            .told
            .iter()
            .map(|told| told.waiting.tier)
            .max()
            .unwrap_or(Tier::Low);
        let (summary, mut text) = match bubble.told.as_slice() {
            _ if bubble.broken > 0 => (broken(bubble.broken), after_the_glass(&bubble.told)),
            [one] => (single(one), about(one)),
            several => (together(several), counts(several)),
        };
        let others = bubble.waiting.saturating_sub(bubble.told.len());
        if others > 0 {
            let word = if others == 1 { "waits" } else { "wait" };
            let _infallible = write!(text, " {others} more {word}.");
        }
        Self {
            summary,
            body: escape(&text),
            urgency: match tier {
                _ if bubble.broken > 0 => Urgency::Critical,
                Tier::Low => Urgency::Low,
                Tier::Medium => Urgency::Normal,
                Tier::High | Tier::Critical => Urgency::Critical,
            },
        }
    }

    /// Returns both on one line, for a terminal: without markup, as there is none.
    pub fn plain(&self) -> String {
        format!("{}. {}", self.summary, self.body)
    }

    /// What the test of the installation says.
    pub fn test() -> Self {
        Self {
            summary: "Countersign can reach you".to_owned(),
            body: escape("This is a test. Nothing waits for you because of it."),
            urgency: Urgency::Normal,
        }
    }

    /// What is said when the log contradicts itself.
    pub fn alarm() -> Self {
        Self {
            summary: "Countersign: the log contradicts itself".to_owned(),
            body: escape("Decide nothing, and tell whoever runs the daemon."),
            urgency: Urgency::Critical,
        }
    }
}

fn broken(times: usize) -> String {
    match times {
        1 => "Countersign: the glass was broken".to_owned(),
        several => format!("Countersign: the glass was broken {several} times"),
    }
}

/// Says what follows from broken glass, and what else is told.
fn after_the_glass(told: &[Told]) -> String {
    let mut text =
        "Somebody approved alone. Another person has to review it: see the console.".to_owned();
    if !told.is_empty() {
        let _infallible = write!(text, " {}: {}", together(told), counts(told));
    }
    text
}

fn single(told: &Told) -> String {
    let (tier, kind) = (told.waiting.tier.word(), told.waiting.kind);
    match told.why {
        Why::New => format!("{tier}: {kind} waits for a decision"),
        Why::Escalated => format!("{tier}: {kind} needs more eyes"),
        Why::Expiring => format!("{tier}: {kind} is about to expire"),
    }
}

fn about(told: &Told) -> String {
    match told.waiting.target {
        Some(target) => format!("Target: {target}."),
        None => "Target: see the console.".to_owned(),
    }
}

fn together(told: &[Told]) -> String {
    let is_new = told.iter().all(|told| told.why == Why::New);
    match (is_new, told.len()) {
        (true, 1) => "1 request waits for a decision".to_owned(),
        (false, 1) => "1 request needs you".to_owned(),
        (true, count) => format!("{count} requests wait for a decision"),
        (false, count) => format!("{count} requests need you"),
    }
}

fn counts(told: &[Told]) -> String {
    let mut parts = Vec::new();
    for tier in [Tier::Critical, Tier::High, Tier::Medium, Tier::Low] {
        let count = told.iter().filter(|told| told.waiting.tier == tier).count();
        if count > 0 {
            parts.push(format!("{count} {}", tier.name()));
        }
    }
    for (why, word) in [
        (Why::Escalated, "escalated"),
        (Why::Expiring, "about to expire"),
    ] {
        let count = told.iter().filter(|told| told.why == why).count();
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    format!("{}.", parts.join(", "))
}

/// Escapes what a server could take for markup (Desktop Notifications Specification, "Markup").
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use countersign_shared::id::RequestId;
    use proptest::prelude::*;

    use super::super::plan::Waiting;
    use super::*;
    use crate::console::safety::Millis;

    fn told(number: u8, tier: Tier, why: Why) -> Told {
        Told {
            id: RequestId::from_bytes([number; 16]),
            why,
            waiting: Waiting {
                tier,
                kind: kind("sql.exec"),
                target: target("database"),
                ends: Millis(1),
                lifetime: 1,
            },
        }
    }

    fn words(told: Vec<Told>, waiting: usize) -> Words {
        Words::of(&Bubble {
            told,
            waiting,
            broken: 0,
        })
    }

    #[test]
    fn one_request_is_told_by_tier_kind_and_class() {
        let one = words(vec![told(1, Tier::High, Why::New)], 1);
        assert_eq!(one.summary, "HIGH: sql.exec waits for a decision");
        assert_eq!(one.body, "Target: database.");
        assert_eq!(one.urgency, Urgency::Critical);
        let last = words(vec![told(1, Tier::Low, Why::Expiring)], 3);
        assert_eq!(last.summary, "LOW: sql.exec is about to expire");
        assert_eq!(last.body, "Target: database. 2 more wait.");
        assert_eq!(last.urgency, Urgency::Low);
    }

    #[test]
    fn several_are_told_by_counts() {
        let all = words(
            vec![
                told(1, Tier::Critical, Why::New),
                told(2, Tier::Medium, Why::New),
                told(3, Tier::Medium, Why::Escalated),
            ],
            4,
        );
        assert_eq!(all.summary, "3 requests need you");
        assert_eq!(all.body, "1 critical, 2 medium, 1 escalated. 1 more waits.");
        assert_eq!(all.urgency, Urgency::Critical);
    }

    #[test]
    fn broken_glass_is_told_first_and_as_pressing_as_can_be() {
        let alone = Words::of(&Bubble {
            told: Vec::new(),
            waiting: 0,
            broken: 1,
        });
        assert_eq!(alone.summary, "Countersign: the glass was broken");
        assert_eq!(
            alone.body,
            "Somebody approved alone. Another person has to review it: see the console."
        );
        assert_eq!(alone.urgency, Urgency::Critical);
        let beside = Words::of(&Bubble {
            told: vec![told(1, Tier::Low, Why::New)],
            waiting: 3,
            broken: 2,
        });
        assert_eq!(beside.summary, "Countersign: the glass was broken 2 times");
        assert!(
            beside
                .body
                .ends_with("1 request waits for a decision: 1 low. 2 more wait."),
            "{}",
            beside.body
        );
        assert_eq!(beside.urgency, Urgency::Critical);
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            escape("<b>&'\"</b>"),
            "&lt;b&gt;&amp;&apos;&quot;&lt;/b&gt;"
        );
    }

    proptest! {
        #[test]
        fn no_text_of_an_agent_comes_through(text in "\\PC{0,40}", class in "\\PC{0,40}") {
            let mut one = told(1, Tier::Low, Why::New);
            one.waiting.kind = kind(&text);
            one.waiting.target = target(&class);
            let words = words(vec![one], 1);
            let ours = |kind: &str| format!("LOW: {kind} waits for a decision");
            prop_assert!(
                KINDS.iter().any(|kind| words.summary == ours(kind))
                    || words.summary == ours("an action of another kind")
            );
            let classes = TARGETS.iter().map(|class| format!("Target: {class}."));
            prop_assert!(
                classes.into_iter().any(|body| words.body == body)
                    || words.body == "Target: see the console."
            );
        }
    }
}
