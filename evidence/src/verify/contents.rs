//! What lies in a pack beside the entries: documents, and the manifest.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use countersign_shared::digest::Digest;
use countersign_shared::display;
use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use countersign_shared::log::accessed::DataAccessed;
use countersign_shared::log::replay::Life;
use countersign_shared::machine::Received;

use super::{Report, VerifyError};
use crate::sink::is_plain;

/// Holds the document of a request against what was received, if the pack has it, and against the data
/// that its run used. Which ones were erased is compared by the pack's own script.
pub(super) fn document(root: &Path, is_pack: bool, life: &Life, report: &mut Report) {
    if !is_pack {
        return;
    }
    let id = life.request.id();
    let Some(document) = received(root, id, life.request.received(), report) else {
        return;
    };
    let told = !life.request.state().may_have_run()
        || DataAccessed::are_those_of(&document, &life.accessed);
    if !told && !life.broken {
        report.found(
            name_of(id),
            "lists other data than the entries about its run",
        );
    }
}

fn name_of(id: RequestId) -> String {
    format!("documents/{id}.json")
}

/// Holds the document of a request against what was received; returns it, if the pack has it.
pub(super) fn received(
    root: &Path,
    id: RequestId,
    received: &Received,
    report: &mut Report,
) -> Option<Document> {
    let name = name_of(id);
    let bytes = match fs::read(root.join(&name)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            report.found(name, format!("cannot be read: {error}"));
            return None;
        }
    };
    if Digest::of(&bytes) != received.digest {
        report.found(name, "has not the digest that was received");
        return None;
    }
    match display::render(&bytes) {
        Err(error) => report.found(name.clone(), format!("cannot be shown: {error}")),
        Ok(shown) if shown.digest() != received.display => {
            report.found(name.clone(), "is shown otherwise than it was");
        }
        Ok(_) => {}
    }
    match Document::read(&bytes) {
        Err(error) => report.found(name, error.to_string()),
        Ok(document) if document.id() != id => report.found(name, "is of another request"),
        Ok(document) => return Some(document),
    }
    None
}

/// Holds every file of the manifest against its digest.
pub(super) fn manifest(root: &Path, report: &mut Report) -> Result<(), VerifyError> {
    const NAME: &str = "manifest.sha256";
    let failed = |cause| VerifyError::Read {
        name: NAME.to_owned(),
        cause,
    };
    let file = fs::File::open(root.join(NAME)).map_err(failed)?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed)?;
        let Some((digest, name)) = line.split_once("  ").filter(|(_, name)| is_plain(name)) else {
            report.found(NAME, "has a line that names no file");
            continue;
        };
        let found = fs::read(root.join(name)).map(|bytes| Digest::of(&bytes).to_hex());
        if !found.is_ok_and(|found| found == digest) {
            report.found(name, "is not the file that the manifest names");
        }
    }
    Ok(())
}
