//! Entries as events of the Open Cybersecurity Schema Framework, version 1.8, one JSON object to a
//! line.
//!
//! OCSF has no class for approvals. What happens to a request is *API Activity* (6003) with the
//! profile `security_control`, whose `action_id` and `disposition_id` say what was decided; a change
//! of rules or of the log's key is *Entity Management* (3004); the daemon's start and stop are
//! *Application Lifecycle* (6002). `metadata.uid` is the entry's leaf in the log's tree and
//! `raw_data` its exact bytes, so a collector can check its events against the log's head.

use std::io::{self, Write};

use countersign_shared::digest::Digest;
use countersign_shared::log::entry::ActorKind;
use countersign_shared::log::tree::leaf_hash;
use serde_json::{Map, Value, json};

use crate::export::Format;
use crate::line::Told;
use crate::meaning::{self, Class, Meaning, Word};
use crate::record::{Record, shown};

/// The version of the schema.
pub const VERSION: &str = "1.8.0";

/// Writes entries as events.
#[derive(Debug)]
pub struct Ocsf<W> {
    out: W,
}

impl<W: Write> Ocsf<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Format for Ocsf<W> {
    fn entry(&mut self, record: &Record<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, &event(record))?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the event that an entry is.
pub fn event(record: &Record<'_>) -> Value {
    let meaning = meaning::of(record);
    let mut event = Map::new();
    common(record, meaning, &mut event);
    match meaning.class {
        Class::Call => call(record, meaning, &mut event),
        Class::Rules => rules(record, &mut event),
        Class::Daemon => drop(event.insert("app".to_owned(), product(record.text("/software")))),
    }
    Value::Object(event)
}

/// Returns the event that a head of the log is: of the class that has the daemon's own.
pub(crate) fn head(told: &Told<'_>) -> Value {
    json!({
        "class_uid": 6002,
        "class_name": "Application Lifecycle",
        "category_uid": 6,
        "category_name": "Application Activity",
        "activity_id": 99,
        "activity_name": "head",
        "type_uid": 600_299,
        "type_name": "Application Lifecycle: Other",
        "time": told.at.as_millis(),
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "message": "head of the log",
        "app": product(None),
        "metadata": {
            "version": VERSION,
            "product": product(None),
            "uid": told.head.root.to_string(),
            "sequence": told.head.size,
            "log_name": shown(told.origin),
            "log_provider": "countersignd",
            "event_code": "head",
        },
        "raw_data": told.note,
        "raw_data_size": told.note.len(),
    })
}

fn common(record: &Record<'_>, meaning: Meaning, event: &mut Map<String, Value>) {
    let (class, class_name, category, category_name) = match meaning.class {
        Class::Call => (6003u32, "API Activity", 6u8, "Application Activity"),
        Class::Rules => (3004, "Entity Management", 3, "Identity & Access Management"),
        Class::Daemon => (6002, "Application Lifecycle", 6, "Application Activity"),
    };
    let (activity, caption) = meaning.activity;
    let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    put("class_uid", json!(class));
    put("class_name", json!(class_name));
    put("category_uid", json!(category));
    put("category_name", json!(category_name));
    put("activity_id", json!(activity));
    // The caption of "Other" is the source's own word.
    let activity_name = if activity == 99 {
        shown(&record.entry_type)
    } else {
        caption.to_owned()
    };
    put("activity_name", json!(activity_name));
    put("type_uid", json!(class * 100 + u32::from(activity)));
    put("type_name", json!(format!("{class_name}: {caption}")));
    put("time", json!(record.time.as_millis()));
    put("severity_id", json!(meaning.severity.0));
    put("severity", json!(meaning.severity.1));
    put("status_id", json!(meaning.status.0));
    put("status", json!(meaning.status.1));
    put("message", json!(message(record, meaning)));
    if let Some(reason) = record.reason().filter(|reason| !reason.is_empty()) {
        put("status_detail", json!(shown(reason)));
    }
    put("metadata", metadata(record, meaning));
    put("raw_data", json!(String::from_utf8_lossy(record.bytes)));
    put("raw_data_size", json!(record.bytes.len()));
    put(
        "raw_data_hash",
        json!({"algorithm": "SHA-256", "algorithm_id": 3, "value": Digest::of(record.bytes).to_hex()}),
    );
}

fn message(record: &Record<'_>, meaning: Meaning) -> String {
    match record.person() {
        Some(person) => format!("{}: {}", meaning.name, shown(person)),
        None => meaning.name.to_owned(),
    }
}

fn metadata(record: &Record<'_>, meaning: Meaning) -> Value {
    let mut metadata = json!({
        "version": VERSION,
        "product": product(None),
        "uid": leaf_hash(record.bytes).to_string(),
        "sequence": record.seq,
        "log_name": shown(&record.log),
        "log_provider": "countersignd",
        "event_code": shown(&record.entry_type),
        "original_time": record.time,
    });
    if let Some(members) = metadata.as_object_mut() {
        if meaning.class == Class::Call {
            members.insert("profiles".to_owned(), json!(["security_control"]));
        }
        if let Some(id) = record.request {
            members.insert("correlation_uid".to_owned(), json!(id));
        }
    }
    metadata
}

fn product(software: Option<&str>) -> Value {
    let mut product = json!({"name": "Countersign", "vendor_name": "Countersign"});
    if let (Some(software), Some(members)) = (software, product.as_object_mut()) {
        members.insert("version".to_owned(), json!(shown(software)));
    }
    product
}

fn call(record: &Record<'_>, meaning: Meaning, event: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    let mut pair = |name: &str, caption: &str, (id, word): Word| {
        put(name, json!(id));
        put(caption, json!(word));
    };
    pair("action_id", "action", meaning.action);
    pair("disposition_id", "disposition", meaning.disposition);
    put("actor", actor(record));
    let mut api = json!({
        "operation": shown(&record.entry_type),
        "service": {"name": "countersignd", "uid": shown(&record.log)},
    });
    if let (Some(id), Some(members)) = (record.request, api.as_object_mut()) {
        members.insert("request".to_owned(), json!({"uid": id}));
        put("resources", resources(record, &id.to_string()));
    }
    put("api", api);
    // Calls come through sockets of the same machine; the log's name tells which one.
    put(
        "src_endpoint",
        json!({"svc_name": "countersignd", "uid": shown(&record.log)}),
    );
    // An alert is what somebody should look at without having searched for it.
    if meaning.severity.0 >= 4 {
        put("is_alert", json!(true));
    }
}

fn actor(record: &Record<'_>) -> Value {
    let mut user = json!({"name": shown(&record.actor.id)});
    if let (Some(uid), Some(members)) = (record.actor.uid, user.as_object_mut()) {
        members.insert("uid".to_owned(), json!(uid.to_string()));
    }
    let mut actor = match record.actor.kind {
        ActorKind::Agent => json!({"user": user, "app_name": "countersign-agent"}),
        ActorKind::Reviewer => json!({"user": user, "app_name": "countersign"}),
        ActorKind::Daemon => json!({"app_name": "countersignd"}),
    };
    let decision = record.text("/verdict").or_else(|| record.text("/via"));
    if let (Some(decision), Some(members)) = (decision, actor.as_object_mut()) {
        let mut authorization = json!({"decision": shown(decision)});
        if let (Some(assurance), Some(members)) =
            (record.text("/assurance"), authorization.as_object_mut())
        {
            let policy = json!({"name": "assurance", "desc": shown(assurance)});
            members.insert("policy".to_owned(), policy);
        }
        members.insert("authorizations".to_owned(), json!([authorization]));
    }
    actor
}

/// The request, and the data sets that were touched.
fn resources(record: &Record<'_>, id: &str) -> Value {
    let mut request = json!({"uid": id, "type": "request"});
    if let (Some(digest), Some(members)) = (record.text("/digest"), request.as_object_mut()) {
        members.insert("version".to_owned(), json!(shown(digest)));
    }
    let mut resources = vec![request];
    if record.entry_type == "data.accessed" {
        let sets = record.value("/data").and_then(Value::as_array);
        for set in sets.into_iter().flatten() {
            let text = |name: &str| set.get(name).and_then(Value::as_str).map(shown);
            let Some(name) = text("name") else { continue };
            let labels: Vec<String> = ["classification", "access", "destination"]
                .into_iter()
                .filter_map(|label| Some(format!("{label}: {}", text(label)?)))
                .collect();
            resources.push(json!({"name": name, "type": "data", "labels": labels}));
        }
    }
    Value::Array(resources)
}

fn rules(record: &Record<'_>, event: &mut Map<String, Value>) {
    let digest = record
        .text("/rules")
        .or_else(|| record.text("/rules/rules"));
    let mut entity = json!({"type": "Policy", "type_id": 5, "name": "rules"});
    if let (Some(digest), Some(members)) = (digest, entity.as_object_mut()) {
        members.insert("uid".to_owned(), json!(shown(digest)));
        let policy = json!({"name": "rules", "uid": shown(digest)});
        members.insert("policy".to_owned(), policy);
    }
    event.insert("entity".to_owned(), entity);
    event.insert("actor".to_owned(), actor(record));
}

#[cfg(test)]
mod tests;
