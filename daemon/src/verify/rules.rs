//! Compares the rules that were kept with the entries that put them in force: the log names a digest,
//! the database has the bytes that it is of, and the files that these name.

use std::collections::BTreeSet;

use countersign_shared::digest::Digest;
use countersign_shared::log::replay::Replayed;
use countersign_shared::machine::{Mode, RulesChanged, RulesVia, Signing};

use super::report::{Place, Report};
use crate::rules::Written;
use crate::store::{Inspection, KeptRules, StoreError};

/// Checks the rules of every digest that was ever in force.
pub(super) fn check(
    database: &Inspection,
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for (index, change) in &replayed.changes {
        seen.insert(change.rules);
        let place = Place::Entry(*index);
        match database.kept_rules(change.rules)? {
            None => report.found(place, format!("its rules {} were not kept", change.rules)),
            Some(kept) => {
                for problem in problems(change, &kept) {
                    report.found(place, problem);
                }
            }
        }
    }
    check_removals(database, replayed, report)?;
    if database.adopted()? != replayed.adopted {
        report.found(
            Place::Database,
            "which adoption of rules is to be acknowledged is not what the log says",
        );
    }
    let stray = database.stray_rules(seen.len())?;
    if stray > 0 {
        report.found(
            Place::Database,
            format!("{stray} rules or files of rules are kept that were never in force"),
        );
    }
    Ok(())
}

/// Checks that rules that took force as a removal differ from those before in nothing but people:
/// what stands in no entry, such as policies, stands in what was kept.
fn check_removals(
    database: &Inspection,
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let read = |digest| -> Result<Option<Written>, StoreError> {
        let kept = database.kept_rules(digest)?;
        Ok(kept.and_then(|kept| Written::read(&kept.bytes).ok()))
    };
    for (index, change) in &replayed.changes {
        if change.via != Some(RulesVia::Removal {}) {
            continue;
        }
        // Those that cannot be read were told.
        if let (Some(before), Some(after)) = (read(change.previous)?, read(change.rules)?)
            && !after.differs_in_people_only(&before)
        {
            report.found(
                Place::Entry(*index),
                "took force as a removal of people or keys, and changes more of the rules",
            );
        }
    }
    Ok(())
}

/// Returns what is wrong with the kept rules of one change.
fn problems(change: &RulesChanged, kept: &KeptRules) -> Vec<String> {
    let found = Digest::of(&kept.bytes);
    if found != change.rules {
        return vec![format!(
            "its rules have the digest {}, kept are some with {found}",
            change.rules
        )];
    }
    let written = match Written::read(&kept.bytes) {
        Ok(written) => written,
        Err(error) => return vec![format!("its rules cannot be read: {error}")],
    };
    let mut problems = Vec::new();
    for (name, sha256) in &written.files {
        let text = kept.files.get(name);
        if text.map(|text| Digest::of(text.as_bytes()).to_hex()) != Some(sha256.clone()) {
            problems.push(format!(
                "the file `{}` of its rules is missing, or another one",
                name.escape_default()
            ));
        }
    }
    match written.people() {
        Err(error) => problems.push(format!("the people of its rules: {error}")),
        Ok((roster, members)) => {
            if members != change.members || roster.allowed_signers() != change.allowed_signers {
                problems.push("names other people or keys than its rules".to_owned());
            }
        }
    }
    let signing = Signing {
        signers: written.signers,
        assurance: written.default_requirement.assurance,
    };
    let expected = match written.mode {
        Mode::User => None,
        Mode::System => Some(signing),
    };
    if change.signing != expected {
        problems.push("asks for other signatures than its rules".to_owned());
    }
    if written.break_glass != change.break_glass {
        problems.push("names others who may break the glass than its rules".to_owned());
    }
    problems
}
