//! Which entries and files support evidence for which control of which framework.
//!
//! A map for whoever has to find something, in the words of this project: what a control asks for
//! stands in the framework, and whether it is met is the auditor's to say.

use std::collections::BTreeMap;

use crate::record::Record;

mod table;

pub use table::CONTROLS;

/// A control, and what supports evidence for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The framework.
    pub framework: &'static str,
    /// The control's number in it.
    pub id: &'static str,
    /// What it is about, in short.
    pub about: &'static str,
    /// What of the log supports evidence for it.
    pub supports: &'static str,
    /// The entry types to look at.
    pub types: &'static [&'static str],
    /// The files of an evidence pack to look at.
    pub files: &'static [&'static str],
}

/// The names of the columns.
pub const COLUMNS: [&str; 9] = [
    "framework",
    "control",
    "about",
    "supports_evidence_for_it",
    "entry_types",
    "files",
    "entries",
    "first_seq",
    "last_seq",
];

/// How many entries of each type there are, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    types: BTreeMap<String, (u64, u64, u64)>,
}

impl Counts {
    /// Counts an entry.
    pub fn take(&mut self, record: &Record<'_>) {
        let seq = record.seq;
        let found = self
            .types
            .entry(record.entry_type.clone())
            .or_insert((0, seq, seq));
        found.0 = found.0.saturating_add(1);
        found.2 = seq;
    }

    /// Returns how many entries of a type there are.
    pub fn of(&self, entry_type: &str) -> u64 {
        self.types.get(entry_type).map_or(0, |(count, ..)| *count)
    }

    /// Returns the row of a control.
    pub fn row(&self, control: &Control) -> [String; COLUMNS.len()] {
        let found = control
            .types
            .iter()
            .filter_map(|name| self.types.get(*name));
        let sum = found
            .copied()
            .reduce(|a, b| (a.0 + b.0, a.1.min(b.1), a.2.max(b.2)));
        let (count, first, last) = match sum {
            Some((count, first, last)) => (count, first.to_string(), last.to_string()),
            None => (0, String::new(), String::new()),
        };
        [
            control.framework.to_owned(),
            control.id.to_owned(),
            control.about.to_owned(),
            control.supports.to_owned(),
            control.types.join(" "),
            control.files.join(" "),
            count.to_string(),
            first,
            last,
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use countersign_shared::log::entry::Body;

    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn no_control_stands_twice_and_each_points_to_something() {
        let mut seen = BTreeSet::new();
        for control in CONTROLS {
            assert!(seen.insert((control.framework, control.id)), "{control:?}");
            assert!(
                !control.types.is_empty() && !control.files.is_empty(),
                "{control:?}"
            );
            for entry_type in control.types {
                assert!(
                    Body::entry_types().any(|there| there == *entry_type),
                    "{control:?}"
                );
            }
            let text = format!("{}{}", control.about, control.supports);
            assert!(!text.to_lowercase().contains("complian"), "{control:?}");
        }
        let frameworks: BTreeSet<&str> = CONTROLS.iter().map(|it| it.framework).collect();
        assert_eq!(frameworks.len(), 5);
    }

    #[test]
    fn a_row_counts_the_entries_it_points_to() {
        let log = Fixture::story();
        let mut counts = Counts::default();
        for (at, bytes) in (0u64..).zip(&log.entries) {
            counts.take(&Record::read(at, bytes).unwrap());
        }
        assert_eq!(counts.of("decision.recorded"), 5);
        let control = Control {
            framework: "",
            id: "",
            about: "",
            supports: "",
            types: &["log.genesis", "rules.changed", "key.rotated", "key.retired"],
            files: &[],
        };
        let row = counts.row(&control);
        assert_eq!(row[6..8], ["2", "0"]);
        assert!(row[8].parse::<u64>().unwrap() > 20);
    }
}
