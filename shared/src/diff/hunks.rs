//! Which rows to draw first: the changed ones and three around them.

use std::ops::Range;

use super::{Hunk, Row, RowKind};

/// Unchanged rows drawn before and behind changed ones.
const CONTEXT: usize = 3;

/// Groups `rows`; also returns how many are collapsed behind the last group.
pub(super) fn hunks(rows: &[Row]) -> (Vec<Hunk>, usize) {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if row.kind == RowKind::Context {
            continue;
        }
        let start = at.saturating_sub(CONTEXT);
        let end = (at + 1 + CONTEXT).min(rows.len());
        match ranges.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    let mut hunks = Vec::with_capacity(ranges.len());
    let mut numbers = Numbers::default();
    let mut drawn = 0;
    for range in ranges {
        let collapsed = rows.get(drawn..range.start).unwrap_or_default();
        numbers.skip(collapsed);
        let before = numbers;
        numbers.skip(rows.get(range.clone()).unwrap_or_default());
        let old_lines = numbers.old - before.old;
        let new_lines = numbers.new - before.new;
        hunks.push(Hunk {
            rows: range.clone(),
            collapsed_before: collapsed.len(),
            old_start: before.old + u32::from(old_lines > 0),
            old_lines,
            new_start: before.new + u32::from(new_lines > 0),
            new_lines,
        });
        drawn = range.end;
    }
    (hunks, rows.len() - drawn)
}

/// The lines passed on each side.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    old: u32,
    new: u32,
}

impl Numbers {
    fn skip(&mut self, rows: &[Row]) {
        for row in rows {
            self.old = row.old_line.unwrap_or(self.old);
            self.new = row.new_line.unwrap_or(self.new);
        }
    }
}
