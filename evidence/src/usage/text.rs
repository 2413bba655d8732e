//! The counts as lines for a terminal.

use super::{Usage, counted};

/// The names of the columns after the first.
const COLUMNS: [&str; 7] = [
    "USES",
    "RECORDS",
    "ACCESS",
    "CLASSIFICATION",
    "DESTINATION",
    "OUTCOME",
    "APPROVED",
];

impl Usage {
    /// Returns the counts as a table for a terminal, and below it what must be known to read it.
    pub fn to_text(&self) -> String {
        let mut names = vec![self.by().word().to_uppercase()];
        names.extend(COLUMNS.map(str::to_owned));
        let mut lines = vec![names];
        let (mut stated, mut uncounted) = (0u64, 0u64);
        for (name, uses) in self.rows() {
            stated = stated.saturating_add(uses.stated);
            uncounted = uncounted.saturating_add(uses.unknown_records);
            let more = if uses.unknown_records > 0 { "+" } else { "" };
            lines.push(vec![
                name.to_owned(),
                uses.count.to_string(),
                format!("{}{more}", uses.records),
                counted(&uses.access),
                counted(&uses.classification),
                counted(&uses.destination),
                counted(&uses.outcome),
                counted(&uses.via),
            ]);
        }
        if lines.len() == 1 {
            return format!("no data was used{}", self.gone());
        }
        let mut text = aligned(&lines);
        if uncounted > 0 {
            text.push_str("\n+ some uses did not say how many records");
        }
        if stated > 0 {
            text.push_str("\nclassifications are the agents' word where the catalogue lists none");
        }
        text.push_str(&self.gone());
        text
    }

    /// Says what cannot be counted any more.
    fn gone(&self) -> String {
        match self.pruned_before {
            0 => String::new(),
            before => format!(
                "\nthe log was pruned before entry {before}: what was used then is counted in older packs"
            ),
        }
    }
}

/// Puts the cells of each column below each other.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &Vec<String>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}
