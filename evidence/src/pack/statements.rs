//! What people signed, as files that `ssh-keygen -Y verify` takes.

use data_encoding::BASE64;
use serde_json::Value;

use super::tally::Tally;
use super::wrong;
use crate::export::ExportError;
use crate::record::Record;
use crate::tiles::put;

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    bytes: Vec<u8>,
    sshsig: String,
}

/// Returns what a person signed in an entry, if it rests on that.
pub(super) fn of(record: &Record<'_>) -> Result<Option<Signed>, ExportError> {
    let field = "statement_base64";
    let act = record.value("/act").unwrap_or(&record.body);
    let Some(base64) = act.get(field) else {
        return Ok(None);
    };
    let bytes = base64
        .as_str()
        .and_then(|text| BASE64.decode(text.as_bytes()).ok());
    let sshsig = act.get("sshsig").and_then(Value::as_str);
    Ok(Some(Signed {
        bytes: bytes.ok_or_else(|| wrong(record, field))?,
        sshsig: sshsig.ok_or_else(|| wrong(record, "sshsig"))?.to_owned(),
    }))
}

impl Signed {
    /// Writes `decisions/<seq>.json` and its `.sig`.
    pub(super) fn write(
        &self,
        record: &Record<'_>,
        tally: &mut Tally<'_>,
    ) -> Result<(), ExportError> {
        let name = format!("decisions/{}.json", record.seq);
        put(tally, &name, &self.bytes)?;
        put(tally, &format!("{name}.sig"), self.sshsig.as_bytes())
    }
}
