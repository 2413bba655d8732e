//! Compares the rows of requests with the machines that the log's entries lead to.

use std::collections::BTreeSet;
use std::thread;

use countersign_shared::id::RequestId;
use countersign_shared::log::replay::{Life, Replayed};
use countersign_shared::machine::Request;
use serde_json::Value;

use super::document;
use super::report::{Place, Report};
use crate::store::{Inspection, RawRequest, StoreError};

/// The number of bytes of a sameness key.
const SAMENESS: usize = 32;

/// Compares the rows of requests with what the log says of them; returns those that have no document,
/// of which only the end of the log tells whether they were erased. Reading is the caller's thread's
/// work, all else is that of all processors.
pub(super) fn compare(
    database: &Inspection,
    lives: &[Life],
    origin: &str,
    report: &mut Report,
) -> Result<Vec<RequestId>, StoreError> {
    let mut pairs = Vec::new();
    for life in lives {
        match database.request(life.request.id())? {
            Some(row) => pairs.push((life, row)),
            None => report.found(
                Place::Request(life.request.id()),
                "stands in the log, and has no row",
            ),
        }
    }
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = pairs.len().div_ceil(processors).max(1);
    let found: Vec<Report> = thread::scope(|scope| {
        let workers: Vec<_> = pairs
            .chunks(share)
            .map(|pairs| scope.spawn(move || all(pairs, origin)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| unfinished()))
            .collect()
    });
    for part in found {
        report.add(part);
    }
    let without = pairs.iter().filter(|(_, row)| row.document.is_none());
    Ok(without.map(|(life, _)| life.request.id()).collect())
}

fn all(pairs: &[(&Life, RawRequest)], origin: &str) -> Report {
    let mut report = Report::default();
    for (life, row) in pairs {
        // What the log itself does not agree about was said with the entry.
        if !life.broken {
            machine(life, row, &mut report);
        }
        columns(life, row, &mut report);
        if let Some(bytes) = &row.document {
            document::check(life, bytes, origin, &mut report);
        }
    }
    report
}

/// What is said of rows whose check came to no end.
fn unfinished() -> Report {
    let mut report = Report::default();
    report.found(Place::Database, "some rows could not be checked");
    report
}

/// Compares the documents that are not there with those that the log says were erased.
pub(super) fn erased(
    database: &Inspection,
    without: &[RequestId],
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    for id in without.iter().filter(|id| !replayed.erased.contains(id)) {
        report.found(
            Place::Request(*id),
            "has no document, and no entry says that it was erased",
        );
    }
    for id in &replayed.erased {
        let row = database.request(*id)?;
        if row.is_some_and(|row| row.document.is_some()) {
            report.found(
                Place::Request(*id),
                "has a document that was erased by the log",
            );
        }
    }
    Ok(())
}

/// Finds what stands in tables and belongs to nothing in the log.
pub(super) fn strays(
    database: &Inspection,
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    database.each_request_without_entries(|id| {
        match <[u8; 16]>::try_from(id).map(RequestId::from_bytes) {
            Ok(id) => report.found(Place::Request(id), "has a row, and no entry in the log"),
            Err(_) => report.found(
                Place::Database,
                "a request's row has an id that is not 16 bytes long",
            ),
        }
    })?;
    let stray = database.stray_documents()?;
    if stray > 0 {
        report.found(
            Place::Database,
            format!("{stray} stored documents belong to no request"),
        );
    }
    debts(database, replayed, report)
}

/// Compares what is noted as owed with the debts that the log leaves open.
fn debts(
    database: &Inspection,
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let noted: BTreeSet<Vec<u8>> = database.debts()?.into_iter().collect();
    let owed: BTreeSet<Vec<u8>> = replayed
        .requests
        .iter()
        .filter(|(_, life)| life.request.debt().is_some())
        .map(|(id, _)| id.as_bytes().to_vec())
        .collect();
    if noted != owed {
        let (noted, owed) = (noted.len(), owed.len());
        report.found(
            Place::Database,
            format!(
                "the log leaves {owed} reviews of a broken glass open, and {noted} others are noted"
            ),
        );
    }
    Ok(())
}

fn machine(life: &Life, row: &RawRequest, report: &mut Report) {
    let place = Place::Request(life.request.id());
    let request = &life.request;
    match serde_json::from_slice::<Request>(&row.machine) {
        Err(error) => report.found(place, format!("its stored machine cannot be read: {error}")),
        Ok(stored) if stored != *request => {
            let fields = differences(&stored, request).join(", ");
            report.found(
                place,
                format!("its stored machine differs from the log in: {fields}"),
            );
        }
        Ok(_) => {}
    }
    let state = request.state();
    if row.state != state.word().as_bytes() {
        let found = String::from_utf8_lossy(&row.state);
        report.found(
            place,
            format!("is {state} by the log, and its row says `{found}`"),
        );
    }
    if row.open != i64::from(state.is_live()) {
        report.found(
            place,
            format!("is {state}, and its row says open = {}", row.open),
        );
    }
    if u64::try_from(row.version) != Ok(request.version()) {
        let (version, found) = (request.version(), row.version);
        report.found(
            place,
            format!("is at version {version}, and its row says {found}"),
        );
    }
    if row.changed_ms != life.changed_at.as_millis() {
        let (at, found) = (life.changed_at.as_millis(), row.changed_ms);
        report.found(
            place,
            format!("changed last at {at} ms, and its row says {found}"),
        );
    }
}

/// Compares what intake stored beside the machine, as far as the log holds it.
fn columns(life: &Life, row: &RawRequest, report: &mut Report) {
    let place = Place::Request(life.request.id());
    let mut differs = |column: &str, is: bool| {
        if !is {
            report.found(
                place,
                format!("the column `{column}` of its row is not as received"),
            );
        }
    };
    differs(
        "received_index",
        u64::try_from(row.received_index) == Ok(life.received_index),
    );
    let received_ms = life.request.received_at().wall.as_millis();
    differs("received_ms", row.received_ms == received_ms);
    differs(
        "uid",
        row.uid == i64::from(life.request.received().side.uid),
    );
    differs("principal", row.principal == life.agent.id.as_bytes());
    differs("sameness", row.sameness.len() == SAMENESS);
    // A life that broke before policy spoke says nothing about it.
    differs("held", life.broken || row.held == i64::from(life.is_held));
}

/// Names the fields in which two machines differ.
fn differences(stored: &Request, replayed: &Request) -> Vec<String> {
    let fields = |request: &Request| match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (stored, replayed) = (fields(stored), fields(replayed));
    replayed
        .iter()
        .filter(|(name, value)| stored.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect()
}
