//! Who used which data, counted for reviewers as the command line counts it: from the log itself, whose
//! root is computed and compared with the signed head first.
//!
//! It reads a snapshot of the database on a thread of its own, one count at a time: the whole log is
//! read for it, and neither the engine nor another caller waits.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_evidence::source::Period;
use countersign_evidence::usage::{By, Usage};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;
use serde_json::Value;
use tonic::{Code, Status};

use super::status;
use crate::export::Snapshot;

/// How many counts one answer holds.
const MOST: usize = 1_000;

/// Counts uses of data from a database.
#[derive(Debug)]
pub(super) struct Counting {
    database: PathBuf,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

/// The uses could not be counted.
#[derive(Debug, thiserror::Error)]
enum CountError {
    #[error("the database cannot be read")]
    Database(#[from] crate::store::StoreError),
    #[error("the log could not be counted")]
    Log(#[from] countersign_evidence::export::ExportError),
    #[error("the log's key cannot be read")]
    Key,
}

impl Counting {
    pub(super) fn new(database: PathBuf) -> Self {
        Self {
            database,
            one_at_a_time: Arc::default(),
        }
    }

    /// Counts.
    pub(super) async fn count(
        &self,
        vkey: &str,
        request: pb::UsageRequest,
    ) -> Result<pb::UsageResponse, Status> {
        let by = By::ALL
            .into_iter()
            .find(|by| by.word() == request.by)
            .ok_or_else(|| {
                status::malformed("by", "must be `data`, `agent`, `reviewer` or `destination`")
            })?;
        let from: Option<Timestamp> = (!request.since.is_empty())
            .then(|| request.since.parse())
            .transpose()
            .map_err(|error| status::malformed("since", &format!("{error}")))?;
        let turn = Arc::clone(&self.one_at_a_time).lock_owned().await;
        let (database, vkey) = (self.database.clone(), vkey.to_owned());
        let counted = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let key: VerifierKey = vkey.parse().map_err(|_| CountError::Key)?;
            let source = Snapshot::open(&database)?;
            Ok::<_, CountError>(Usage::of(&source, &key, by, Period { from, until: None })?)
        });
        let usage = counted
            .await
            .map_err(|_| Status::internal("the count ended"))?
            .map_err(|error| refused(&error))?;
        let (usage, left_out) = fitting(usage.to_json());
        Ok(pb::UsageResponse {
            usage: usage.to_string().into_bytes(),
            left_out,
        })
    }
}

fn refused(error: &CountError) -> Status {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "uses of data could not be counted"
    );
    let message = "the uses could not be counted from the log; `countersign verify` says more";
    status::status(Code::DataLoss, "not-counted", message, [])
}

/// Leaves counts out where there are too many, those of the fewest uses; returns how many.
fn fitting(mut usage: Value) -> (Value, u64) {
    let Some(counts) = usage.get_mut("usage").and_then(Value::as_array_mut) else {
        return (usage, 0);
    };
    let left_out = counts.len().saturating_sub(MOST);
    if left_out > 0 {
        counts.sort_by_key(|count| Reverse(count.get("uses").and_then(Value::as_u64)));
        counts.truncate(MOST);
    }
    (usage, u64::try_from(left_out).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_counts_of_the_fewest_uses_are_left_out_and_counted() {
        let counts: Vec<Value> = (0..MOST + 2)
            .map(|uses| json!({"name": uses.to_string(), "uses": uses}))
            .collect();
        let (usage, left_out) = fitting(json!({"usage": counts}));
        assert_eq!(left_out, 2);
        let kept = usage["usage"].as_array().unwrap();
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept.last().unwrap()["uses"], 2);
    }

    #[tokio::test]
    async fn what_cannot_be_counted_is_refused() {
        let counting = Counting::new(PathBuf::from("/nonexistent/state.db"));
        let asked = |by: &str, since: &str| pb::UsageRequest {
            by: by.to_owned(),
            since: since.to_owned(),
        };
        for (request, code) in [
            (asked("colour", ""), Code::InvalidArgument),
            (asked("data", "yesterday"), Code::InvalidArgument),
            (asked("data", ""), Code::DataLoss),
        ] {
            let refused = counting.count("no key", request).await.unwrap_err();
            assert_eq!(refused.code(), code);
        }
    }
}
