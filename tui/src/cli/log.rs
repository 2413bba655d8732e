//! Reading the log: a line for each entry, the ones that are asked for, and on as it grows.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_shared::log::entry::{Body, Entry};
use countersign_shared::text::Printable;
use countersign_shared::when::When;
use serde_json::Value;

use super::exit::{Done, Trouble};
use super::{Session, output};
use crate::entries::filter::{Filter, Picked};
use crate::entries::words;

/// How many entries are asked for at once.
const PAGE: u32 = 500;

/// How long a reader that follows waits before it looks again.
const PAUSE: Duration = Duration::from_millis(500);

/// What to read.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only entries about this request, by the beginning of its id.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only entries about what this requester asked for, such as `uid:1000`, or an agent's name in
    /// what it said of data.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only what this person did.
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Only entries of this type, such as `decision.recorded`; `execution.` is all of its kind.
    #[arg(long = "type", value_name = "TYPE", value_parser = entry_type)]
    entry_type: Option<String>,
    /// Only from this time on, such as 2026-07-01, 2026-07-01T08:00:00Z, or 36h for so long ago.
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// Begin at this index.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Go on with what is written from now on, until interrupted.
    #[arg(long)]
    follow: bool,
    /// Write the entries as JSON, one on a line.
    #[arg(long)]
    pub(super) json: bool,
    /// Write the exact bytes of the entries, which are those that are hashed, one on a line.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// Reads a type of entry, or the beginning of some up to their dot.
fn entry_type(text: &str) -> Result<String, String> {
    let is_there = |there: &str| there == text || (text.ends_with('.') && there.starts_with(text));
    if Body::entry_types().any(is_there) {
        return Ok(text.to_owned());
    }
    let kind = text.split_once('.').map_or(text, |(kind, _)| kind);
    let alike: Vec<&str> = Body::entry_types()
        .filter(|there| there.split_once('.').is_some_and(|(it, _)| it == kind))
        .collect();
    if alike.is_empty() {
        let kinds: BTreeSet<&str> = Body::entry_types()
            .filter_map(|there| there.split_once('.').map(|(kind, _)| kind))
            .collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        return Err(format!(
            "no entry is of this type; the types begin with {}.",
            kinds.join("., ")
        ));
    }
    Err(format!(
        "no entry is of this type; such are {}",
        alike.join(", ")
    ))
}

pub(super) async fn log(mut session: Session, arguments: &Arguments) -> Done {
    if arguments.raw {
        output::check_raw()?;
    }
    let now = super::wall_time();
    let mut filter = Filter::new(Picked {
        request: arguments.request.clone(),
        agent: arguments.agent.clone(),
        reviewer: arguments.reviewer.clone(),
        entry_type: arguments.entry_type.clone(),
        since: arguments.since.map(|when| when.seen_from(now)),
        until: arguments.until.map(|when| when.seen_from(now)),
    });
    // Who asked for a request stands in its first entry only.
    let mut at = if arguments.agent.is_some() {
        0
    } else {
        arguments.from
    };
    let mut gone = Gone::default();
    let in_words = !arguments.raw && !arguments.json;
    loop {
        let page = session.client.read_log(at, PAGE).await?;
        if page.is_empty() {
            gone.end(in_words);
            if !arguments.follow {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        for bytes in page {
            if bytes.is_empty() {
                gone.take(at);
                at = at.saturating_add(1);
                continue;
            }
            gone.end(in_words);
            let entry = Entry::read(&bytes).map_err(|error| {
                Trouble::new(
                    9,
                    "log",
                    format!("entry {at}: {}", super::exit::chain(&error)),
                )
            })?;
            let value: Value =
                serde_json::from_slice(&bytes).map_err(|error| Trouble::failure(&error))?;
            let body = value.get("body").unwrap_or(&Value::Null);
            let is_wanted = filter.holds(&entry, body) && at >= arguments.from;
            at = at.saturating_add(1);
            if !is_wanted {
                continue;
            }
            let is_read = if arguments.raw {
                output::bytes(&[&bytes[..], b"\n"].concat())
            } else if arguments.json {
                output::json(&value)
            } else {
                output::line(&line(&entry, body))
            };
            if !is_read {
                return Ok(());
            }
        }
    }
}

/// Entries that the daemon says were pruned, as far as they follow one another. `verify` knows whether
/// they were.
#[derive(Default)]
struct Gone(Option<(u64, u64)>);

impl Gone {
    fn take(&mut self, at: u64) {
        let (first, _) = self.0.unwrap_or((at, at));
        self.0 = Some((first, at));
    }

    /// Says which ones they were: among the lines for people, beside what programs read.
    fn end(&mut self, in_words: bool) {
        let Some((first, last)) = self.0.take() else {
            return;
        };
        let said = if first == last {
            format!("{first:>6} is gone: pruned, by the word of the daemon")
        } else {
            format!("{first:>6} to {last} are gone: pruned, by the word of the daemon")
        };
        if in_words {
            output::ours(&said);
        } else {
            output::message(said.trim_start());
        }
    }
}

fn line(entry: &Entry, body: &Value) -> Printable {
    let about = entry.request.map_or_else(String::new, |id| id.to_string());
    let start = Printable::from_ours(format!("{:>6} {} ", entry.seq, entry.now.wall));
    let kind = output::padded(entry.body.entry_type(), 25);
    let about = output::padded(&about, 31);
    let actor = output::shown(&entry.actor.id);
    match words::of(entry.body.entry_type(), body) {
        words if words.is_empty() => Printable::concat([&start, &kind, &about, &actor]),
        words => {
            let (colon, words) = (Printable::from_ours(": "), output::shown(&words));
            Printable::concat([&start, &kind, &about, &actor, &colon, &words])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_no_entry_has_is_told_with_those_that_are_like_it() {
        for there in ["execution.finished", "execution.", "log.pruned"] {
            assert_eq!(entry_type(there).as_deref(), Ok(there));
        }
        let error = entry_type("log.prune").unwrap_err();
        assert!(
            error.ends_with("such are log.genesis, log.pruned"),
            "{error}"
        );
        let error = entry_type("log").unwrap_err();
        assert!(
            error.ends_with("such are log.genesis, log.pruned"),
            "{error}"
        );
        for none in ["", ".", "executions.", "decision recorded"] {
            let error = entry_type(none).unwrap_err();
            assert!(error.contains("decision., document."), "{error}");
        }
    }
}
