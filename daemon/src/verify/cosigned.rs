//! Checks what witnesses wrote: each kept head is one of this log, and each line below it is a good
//! signature over it. With a policy, which is the largest head that a quorum has cosigned.
//!
//! A line that was removed is not missed; one that is there holds the entries before it, whoever
//! owns the database.

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::cosignature;
use countersign_shared::log::note::WitnessKey;
use countersign_shared::log::replay::Replayed;
use countersign_shared::log::tree::TreeHead;

use super::report::{Place, Report};
use super::{Trust, said};
use crate::store::{Inspection, RawCosigned, StoreError};

/// Checks the cosigned heads.
pub(super) fn check(
    database: &Inspection,
    replayed: &Replayed,
    trust: &Trust,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut quorum = trust.policy.as_ref().map(|_| 0u64);
    // Good cosignatures of the head that is being read; heads come one after another.
    let mut size = 0u64;
    let mut cosigned: Vec<WitnessKey> = Vec::new();
    database.each_cosigned(|row| {
        let Ok(at) = u64::try_from(row.size) else {
            report.found(Place::Database, "a cosigned head has a negative size");
            return;
        };
        if at != size {
            size = at;
            cosigned.clear();
        }
        match one(&row, at, replayed, trust) {
            Ok(by) => cosigned.extend(by),
            Err(problem) => report.found(Place::Cosigned(at), problem),
        }
        if let (Some(policy), Some(quorum)) = (&trust.policy, &mut quorum)
            && !cosigned.is_empty()
            && policy.is_quorum(&cosigned)
        {
            *quorum = at;
        }
    })?;
    report.quorum = quorum;
    report.witnessed = report.witnessed.max(quorum.unwrap_or(0));
    Ok(())
}

/// Checks one row; returns the witness whose good cosignature it holds.
fn one(
    row: &RawCosigned,
    size: u64,
    replayed: &Replayed,
    trust: &Trust,
) -> Result<Option<WitnessKey>, String> {
    let root = replayed
        .root_at(size)
        .ok_or_else(|| format!("a head of {size} entries was cosigned, here are fewer"))?;
    let head = TreeHead { size, root };
    let note = row
        .note
        .as_deref()
        .ok_or("there is a cosignature, and no head that it is over")?;
    let sent = replayed.keys.open(note).map_err(|error| said(&error))?;
    if *sent.head() != head {
        return Err("the head that was sent to witnesses has another size or root".to_owned());
    }
    let Some((vkey, line)) = &row.cosignature else {
        return Ok(None);
    };
    let key: WitnessKey = vkey.parse().map_err(|error| said(&error))?;
    let head = Checkpoint::new(&trust.origin, head).map_err(|error| said(&error))?;
    let whole = format!("{}\n{line}", head.to_text());
    let found = cosignature::verify(&whole, std::slice::from_ref(&key))
        .map_err(|error| said(&error))?
        .into_iter()
        .next()
        .filter(|found| found.to_line() == *line)
        .ok_or_else(|| format!("what stands there is no cosignature of `{}`", key.name()))?;
    Ok(Some(found.by().clone()))
}
