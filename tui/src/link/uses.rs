//! Who used which data, as the daemon counts it, and the requests behind a count.

use countersign_client::shown::AnswerError;
use countersign_shared::id::RequestId;
use countersign_shared::text::{Printable, Untrusted, decode};
use countersign_shared::time::Timestamp;
use serde_json::Value;

use super::{Clerk, Gone};
use crate::cause::chain;
use crate::client::{Client, ClientError};
use crate::console::event::News;
use crate::console::model::Row;
use crate::console::state::uses::{Count, Question, Since, Table};

/// How many of the requests behind a count are read.
const READ: usize = 50;

impl Clerk {
    /// Asks for the counts.
    pub(super) async fn count_uses(
        &mut self,
        client: &mut Client,
        question: Question,
    ) -> Result<(), Gone> {
        let news = match counts(client, question).await {
            Ok(table) => News::Uses(Box::new(table)),
            Err(error) => News::NoUses {
                serial: question.serial,
                why: chain(&error),
            },
        };
        Ok(self.news.send(news).await?)
    }

    /// Reads the requests behind a count; those that cannot be read are counted.
    pub(super) async fn read_requests(
        &mut self,
        client: &mut Client,
        requests: Vec<RequestId>,
    ) -> Result<(), Gone> {
        let mut rows = Vec::new();
        let wanted = requests.len();
        for id in requests.into_iter().take(READ) {
            if let Ok(answer) = client.get(&id.to_string(), 0).await
                && let Some(summary) = answer.summary
                && let Ok(row) = Row::try_from(summary)
                && row.id == id
            {
                rows.push(row);
            }
        }
        let unread = wanted.saturating_sub(rows.len());
        Ok(self.news.send(News::UsedBy { rows, unread }).await?)
    }
}

async fn counts(client: &mut Client, question: Question) -> Result<Table, ClientError> {
    let since = since(question.since);
    let answer = client.usage(question.by.word(), since).await?;
    let value: Value =
        serde_json::from_slice(&answer.usage).map_err(|_| AnswerError { field: "usage" })?;
    Ok(table(question, &value, answer.left_out).ok_or(AnswerError { field: "usage" })?)
}

/// Returns the first moment that counts; none for all.
fn since(since: Since) -> Option<Timestamp> {
    let now = crate::cli::wall_time();
    let days = |days: i64| {
        let span = days.saturating_mul(24 * 60 * 60 * 1_000);
        Timestamp::from_millis(now.as_millis().saturating_sub(span))
    };
    match since {
        Since::Today => {
            let zoned = jiff::Timestamp::from_millisecond(now.as_millis())
                .ok()?
                .to_zoned(jiff::tz::TimeZone::system());
            let midnight = zoned.start_of_day().ok()?;
            Some(Timestamp::from_millis(
                midnight.timestamp().as_millisecond(),
            ))
        }
        Since::Week => Some(days(7)),
        Since::Month => Some(days(30)),
        Since::All => None,
    }
}

/// Takes the answer apart; nothing in it is filled in.
fn table(question: Question, value: &Value, left_out: u64) -> Option<Table> {
    if value.get("schema")?.as_u64()? != 1 || value.get("by")?.as_str()? != question.by.word() {
        return None;
    }
    let rows = value.get("usage")?.as_array()?;
    let counts = rows.iter().map(count).collect::<Option<Vec<_>>>()?;
    let sum = |name: &str| {
        rows.iter()
            .filter_map(|row| row.get(name).and_then(Value::as_u64))
            .sum::<u64>()
    };
    let mut remarks = Vec::new();
    if sum("uses_without_records") > 0 {
        remarks.push("+ some uses did not say how many records");
    }
    if sum("stated") > 0 {
        remarks.push("classifications are the agents' word where the catalogue lists none");
    }
    if value.get("pruned_before")?.as_u64()? > 0 {
        remarks.push("what was used before the log was pruned is counted in older packs");
    }
    Some(Table {
        question,
        counts,
        left_out,
        remarks,
    })
}

fn count(row: &Value) -> Option<Count> {
    let number = |name: &str| row.get(name)?.as_u64();
    let more = if number("uses_without_records")? > 0 {
        "+"
    } else {
        ""
    };
    let words = |name: &str| -> Option<Printable> {
        let counts = row.get(name)?.as_object()?;
        let words: Option<Vec<String>> = counts
            .iter()
            .map(|(word, count)| Some(format!("{}: {}", encoded(word), count.as_u64()?)))
            .collect();
        Some(Printable::from_ours(words?.join("; ")))
    };
    let requests = row.get("requests")?.as_array()?.iter();
    Some(Count {
        name: encoded(row.get("name")?.as_str()?),
        uses: Printable::from_ours(number("uses")?.to_string()),
        records: Printable::from_ours(format!("{}{more}", number("records")?)),
        via: words("approved_via")?,
        outcome: words("outcome")?,
        classification: words("classification")?,
        access: words("access")?,
        destination: words("destination")?,
        requests: requests
            .map(|id| id.as_str()?.parse().ok())
            .collect::<Option<_>>()?,
    })
}

/// The daemon's texts are encoded already, which is not believed: they are taken back and encoded here.
fn encoded(text: &str) -> Printable {
    match decode(text) {
        Ok(bytes) => Printable::exact(&Untrusted::from_bytes(bytes)),
        Err(_) => Printable::exact(&Untrusted::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::console::state::uses::By;

    fn question() -> Question {
        Question {
            serial: 1,
            by: By::Data,
            since: Since::All,
        }
    }

    fn answer() -> Value {
        json!({"schema": 1, "by": "data", "since": null, "until": null, "pruned_before": 7, "usage": [{
            "name": "crm", "uses": 2, "records": 48_211, "uses_without_records": 1, "stated": 2,
            "access": {"export": 2}, "classification": {"pii": 2}, "destination": {"s3://r": 2},
            "outcome": {"succeeded": 2}, "approved_via": {"decision": 2}, "data": ["crm"],
            "agents": ["etl"], "reviewers": ["mika"], "first": null, "last": null,
            "requests": [RequestId::from_bytes([1; 16]).to_string()],
        }]})
    }

    #[test]
    fn the_counts_are_told_as_the_command_line_tells_them() {
        let table = table(question(), &answer(), 3).unwrap();
        assert_eq!((table.left_out, table.remarks.len()), (3, 3));
        let count = &table.counts[0];
        assert_eq!(count.records.as_str(), "48211+");
        assert_eq!(count.classification.as_str(), "pii: 2");
        assert_eq!(count.requests.len(), 1);
    }

    #[test]
    fn an_answer_of_another_shape_is_no_answer() {
        for pointer in [
            "/schema",
            "/by",
            "/usage",
            "/pruned_before",
            "/usage/0/uses",
            "/usage/0/requests/0",
        ] {
            let mut damaged = answer();
            *damaged.pointer_mut(pointer).unwrap() = json!("other");
            assert!(table(question(), &damaged, 0).is_none(), "{pointer}");
        }
    }

    #[test]
    fn what_the_daemon_did_not_encode_is_encoded_here() {
        assert_eq!(encoded("a<U+202E>b").as_str(), "a<U+202E>b");
        assert!(!encoded("a\u{202e}b").as_str().contains('\u{202e}'));
    }
}
