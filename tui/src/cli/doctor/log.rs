//! What of the log could be replaced unseen: how far the sides are apart, the last head that somebody
//! else holds, and the entries after it.
//!
//! A head counts as held elsewhere when this user had kept it and the daemon runs as another one, or
//! when a person's signature names it: whoever owns the daemon's files can make neither. The log
//! must then still contain it. Everything else is for `verify`, which reads the whole log.

use std::path::Path;

use countersign_client::heads::Heads;
use countersign_client::peer;
use countersign_client::place::{self, Place};
use countersign_client::private::Lasting;
use countersign_client::shown::{ShownHead, ShownRotation};
use countersign_shared::log::checkpoint::{self, Checkpoint};
use countersign_shared::log::entry::{Body, Entry, LogEvent, Separation};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::proof::verify_consistency;
use countersign_shared::log::tree::{Hash, TreeHead};
use countersign_shared::machine::{Decision, Event};
use countersign_shared::sshsig;
use countersign_shared::statement::{self, Statement};
use countersign_shared::time::Timestamp;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::super::exit::chain;
use super::{Finding, bad, good, streams, witnesses};
use crate::client::Client;
use crate::review::{ReviewError, caught_up};
use crate::signing::enrolled;

/// How many entries are asked for at once.
const PAGE: u64 = 200;
/// How many of the last entries are looked through for a signed head.
const LOOKED_THROUGH: u64 = 10_000;

/// Who holds a head that a quorum has cosigned.
const BY_QUORUM: &str = "a quorum of witnesses cosigned";

/// How often a head is asked for that moved on meanwhile.
const TRIES: usize = 5;

/// A head that somebody else holds.
struct Held {
    head: TreeHead,
    by: String,
}

/// Checks the log and returns its figures.
pub(super) async fn check(
    place: &Place,
    policy: Option<&Path>,
    client: &mut Client,
    findings: &mut Vec<Finding>,
) -> Value {
    match look(place, policy, client, findings).await {
        Ok(figures) => figures,
        Err(error) => {
            findings.push(bad("log", error));
            Value::Null
        }
    }
}

async fn look(
    place: &Place,
    policy: Option<&Path>,
    client: &mut Client,
    findings: &mut Vec<Finding>,
) -> Result<Value, String> {
    let policy = witnesses::policy(place, policy)?;
    let key = place.log_key().map_err(|error| chain(&error))?;
    let dir = place::state_dir().map_err(|error| chain(&error))?;
    let mut heads = Heads::open(&dir, key, Lasting::PowerCut).map_err(|error| chain(&error))?;
    let before = heads.last().map(|head| *head.head());
    let ending = advance(client, &mut heads).await?;
    let size = heads.last().map_or(0, Checkpoint::size);
    findings.push(good(
        "log",
        format!("{size} entries, and it continues what you saw before"),
    ));
    findings.push(good("log's name", heads.origin().to_owned()));
    findings.push(good(
        "log's key",
        keys_in_words(heads.key(), ending.as_ref()),
    ));
    let separation = separation(client, &mut heads, size).await?;
    findings.push(good("separation", in_words(separation).to_owned()));
    let listener = peer::listener(place, &place.review_socket()).map_err(|error| chain(&error))?;
    let is_elsewhere = listener.uid != rustix::process::geteuid().as_raw();
    let kept = before.filter(|_| is_elsewhere).map(|head| Held {
        head,
        by: "you had kept before this check".to_owned(),
    });
    let signed = last_signed(client, &mut heads, size).await?;
    let said = client.head(0).await.map_err(|error| chain(&error))?;
    witnesses::standings(&said, findings);
    let witnessed = witnesses::held(&said, policy.as_ref(), heads.origin())?;
    if let Some(head) = witnessed {
        contains(client, &mut heads, head, BY_QUORUM).await?;
    }
    let witnessed = witnessed.map(|head| Held {
        head,
        by: BY_QUORUM.to_owned(),
    });
    let quorum = witnessed.as_ref().map(|held| held.head.size);
    let held = [kept, signed, witnessed]
        .into_iter()
        .flatten()
        .max_by_key(|held| held.head.size);
    let covered = held.as_ref().map_or(0, |held| held.head.size);
    let tail = size.saturating_sub(covered);
    findings.push(good(
        "held elsewhere",
        held.map_or_else(
            || {
                format!(
                    "no head among the last {} entries",
                    size.min(LOOKED_THROUGH)
                )
            },
            |held| format!("the head of {covered} entries, which {}", held.by),
        ),
    ));
    let mut says = match tail {
        0 => "none".to_owned(),
        1 => "1 entry came after it".to_owned(),
        several => format!("{several} entries came after it"),
    };
    if tail > 0 {
        says.push_str(if is_elsewhere {
            "; you keep the head over them from now on"
        } else {
            ": whoever owns the daemon's files could replace them unseen"
        });
    }
    findings.push(good("unwitnessed tail", says));
    findings.push(good(
        "heads held",
        format!(
            "by reviewers' programs up to {}, by agents' up to {} of {size} entries, as they say",
            said.held_by_reviewers, said.held_by_agents
        ),
    ));
    let streams = streams::check(&said.streams, size, findings);
    Ok(json!({
        "size": size,
        "origin": heads.origin(),
        "vkey": heads.key().to_string(),
        "ending": ending.map(|it| json!({"vkey": it.vkey, "until": it.until})),
        "held_by_reviewers": said.held_by_reviewers,
        "held_by_agents": said.held_by_agents,
        "separation": separation,
        "held_elsewhere": covered,
        "quorum": quorum,
        "tail": tail,
        "streams": streams,
    }))
}

/// Returns how far the last entry says the sides are apart.
async fn separation(
    client: &mut Client,
    heads: &mut Heads,
    size: u64,
) -> Result<Separation, String> {
    let last = size
        .checked_sub(1)
        .ok_or_else(|| "it has no entries".to_owned())?;
    let known = caught_up::<ReviewError>(client, heads)
        .await
        .map_err(|error| chain(&error))?;
    let last = client
        .prove(last, known)
        .await
        .map_err(|error| chain(&error))?;
    heads.hold(&last).map_err(|error| chain(&error))?;
    Entry::read(&last.entry)
        .map(|entry| entry.separation)
        .map_err(|error| chain(&error))
}

const fn in_words(separation: Separation) -> &'static str {
    match separation {
        Separation::None => {
            "none: agents, reviewers and daemon are one OS user, which protects against mistakes only"
        }
        Separation::Key => {
            "key: one OS user for all, and a key that asks for a touch or a PIN decides"
        }
        Separation::Uid => "uid: agents, reviewers and daemon are separate OS users",
    }
}

/// Looks for the last decision whose signature is good and whose head the log still contains.
async fn last_signed(
    client: &mut Client,
    heads: &mut Heads,
    size: u64,
) -> Result<Option<Held>, String> {
    let rules = client.rules().await.map_err(|error| chain(&error))?;
    let least = size.saturating_sub(LOOKED_THROUGH);
    let mut end = size;
    while end > least {
        let from = end.saturating_sub(PAGE).max(least);
        let entries = read(client, from, end).await?;
        // One that was pruned has no bytes.
        for bytes in entries.iter().rev().filter(|bytes| !bytes.is_empty()) {
            let entry = Entry::read(bytes).map_err(|error| chain(&error))?;
            let Body::Request(Event::Decided(decision)) = &entry.body else {
                continue;
            };
            let Some(stated) = signed_by_roster(decision, &rules.allowed_signers) else {
                continue;
            };
            let head = TreeHead {
                size: stated.log.size,
                root: Hash::from_bytes(*stated.log.root.as_bytes()),
            };
            contains(client, heads, head, "a person signed").await?;
            let request = entry.request.map_or_else(String::new, |id| id.to_string());
            let by = format!("{} signed with the decision on {request}", stated.reviewer);
            return Ok(Some(Held { head, by }));
        }
        end = from;
    }
    Ok(None)
}

/// Reads the entries of a range; the daemon may give fewer at once.
async fn read(client: &mut Client, from: u64, end: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut entries = Vec::new();
    loop {
        let at = from.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
        let Some(limit) = end.checked_sub(at).filter(|left| *left > 0) else {
            return Ok(entries);
        };
        let page = client
            .read_log(at, u32::try_from(limit).unwrap_or(u32::MAX))
            .await
            .map_err(|error| chain(&error))?;
        if page.is_empty() {
            return Err(format!("the daemon does not give entry {at}"));
        }
        entries.extend(page);
    }
}

/// Returns what was signed, when a key that the person has in the roster signed it.
fn signed_by_roster(decision: &Decision, allowed: &str) -> Option<statement::Decision> {
    let bytes = BASE64.decode(decision.statement_base64.as_bytes()).ok()?;
    let Ok(Statement::Decision(stated)) = Statement::read(&bytes) else {
        return None;
    };
    let is_signed = enrolled(allowed, &stated.reviewer).iter().any(|key| {
        sshsig::verify(
            &decision.sshsig,
            statement::Decision::NAMESPACE,
            &bytes,
            key,
        )
        .is_ok()
    });
    is_signed.then_some(stated)
}

/// Checks that the log still contains a head that somebody signed, as `by` says.
async fn contains(
    client: &mut Client,
    heads: &mut Heads,
    held: TreeHead,
    by: &str,
) -> Result<(), String> {
    for _ in 0..TRIES {
        advance(client, heads).await?;
        let shown = client
            .head(held.size)
            .await
            .map_err(|error| chain(&error))?
            .head
            .ok_or_else(|| "the daemon shows no head".to_owned())?;
        let shown = ShownHead::try_from(shown).map_err(|error| chain(&error))?;
        let keys = std::slice::from_ref(heads.key());
        let now =
            checkpoint::open(&shown.note, keys, heads.origin()).map_err(|error| chain(&error))?;
        // The proof has to lead to the head that continues what was kept, and to no other.
        if heads.last().map(Checkpoint::head) != Some(now.head()) {
            continue;
        }
        return verify_consistency(&held, now.head(), &shown.proof).map_err(|_| {
            format!(
                "it no longer contains the head of {} entries that {by}; \
                 run `countersign verify` and decide nothing",
                held.size
            )
        });
    }
    Err("it grows faster than it can be checked; try again".to_owned())
}

/// A key of the log that still signs although a newer one is in force.
struct Ending {
    vkey: String,
    until: Timestamp,
}

impl Ending {
    /// Reads it from a change of key that was found to be in the log.
    fn of(rotation: &ShownRotation) -> Option<Self> {
        match Entry::read(&rotation.entry).ok()?.body {
            Body::Log(LogEvent::KeyRotated { old, until, .. }) => Some(Self { vkey: old, until }),
            Body::Log(_) | Body::Request(_) => None,
        }
    }
}

fn keys_in_words(key: &VerifierKey, ending: Option<&Ending>) -> String {
    match ending {
        Some(Ending { vkey, until }) => format!("{key}; {vkey} signs as well until {until}"),
        None => key.to_string(),
    }
}

/// Accepts the head as it is now, and returns the key that is ending.
async fn advance(client: &mut Client, heads: &mut Heads) -> Result<Option<Ending>, String> {
    let known = caught_up::<ReviewError>(client, heads)
        .await
        .map_err(|error| chain(&error))?;
    let head = client
        .head(known)
        .await
        .map_err(|error| chain(&error))?
        .head
        .ok_or_else(|| "the daemon shows no head".to_owned())?;
    let head = ShownHead::try_from(head).map_err(|error| chain(&error))?;
    heads.accept(&head).map_err(|error| chain(&error))?;
    Ok(head.rotation.as_ref().and_then(Ending::of))
}
