//! A page of a request: its rows, made once when the request is loaded, and the way to scroll them.
//!
//! A page is independent of the width of the screen; wrapping happens row by row while drawing, so
//! a frame costs what is on the screen and not what is in the request. A place on a page is a line
//! and a row within it, so no page is ever laid out whole. Nothing here draws.

pub mod diff;
pub mod leaves;
pub mod what;
pub mod who;
pub mod why;
mod worked_out;

use std::ops::Range;

use countersign_shared::text::{Printable, Untrusted};

/// The longest text of one line, in cells; longer ones are continued on further lines.
const CHUNK: usize = 2_000;

/// Who says what a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gutter {
    /// We do: chrome.
    Ours,
    /// The agent wrote it.
    Agent,
    /// It was worked out from bytes.
    Computed,
    /// The kernel states it.
    Kernel,
}

/// What a row is, for its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// Text.
    Plain,
    /// A heading.
    Heading,
    /// Less important.
    Dim,
    /// Something that was found and should be looked at.
    Warning,
    /// An added line of a file.
    Added,
    /// A removed line of a file.
    Removed,
}

/// A row of a page, before wrapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who says it.
    pub gutter: Gutter,
    /// What it is.
    pub look: Look,
    /// What stands before the text: a line number or a place in a list.
    pub label: Printable,
    /// The text.
    pub text: Printable,
    /// Byte ranges of the text that differ from the line it replaces.
    pub emphasis: Vec<Range<usize>>,
    /// Its number among the gated parts; `None` when it need not be seen.
    pub part: Option<usize>,
    /// True where the code of a sheet is shown.
    pub code_here: bool,
    /// True when it goes on with the text of the line before.
    pub continued: bool,
}

/// A place on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line, among those that are not folded away.
    pub line: usize,
    /// The row of that line once it is wrapped.
    pub row: usize,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    lines: Vec<Line>,
    /// The lines that stay when unchanged text is folded away; `None` when nothing folds.
    folded: Option<Vec<usize>>,
    /// The lines at which hunks start.
    hunks: Vec<usize>,
    /// The lines at which files start.
    files: Vec<usize>,
    /// The width of the widest label, in cells.
    label_width: usize,
}

impl Page {
    /// Makes an empty page whose labels are this wide, in cells, to be appended to.
    pub fn labelled(label_width: usize) -> Self {
        Self {
            label_width,
            ..Self::default()
        }
    }

    /// Puts a line at the end. Nothing has to be seen of such a line.
    pub fn append(&mut self, line: &Line) {
        for (at, text) in line.text.wrap(CHUNK).into_iter().enumerate() {
            let label = if at == 0 {
                line.label.clone()
            } else {
                Printable::default()
            };
            self.lines.push(Line {
                text,
                label,
                emphasis: Vec::new(),
                part: None,
                code_here: false,
                continued: at > 0,
                ..*line
            });
        }
    }

    /// Drops lines at the beginning of a page that was only appended to.
    pub fn forget(&mut self, lines: usize) {
        self.lines.drain(..lines.min(self.lines.len()));
    }

    /// Returns the number of lines that are not folded away.
    pub fn len(&self, unfold: bool) -> usize {
        match &self.folded {
            Some(folded) if !unfold => folded.len(),
            _ => self.lines.len(),
        }
    }

    /// Tells whether the page has no lines.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the line at this position among those that are not folded away.
    pub fn line(&self, at: usize, unfold: bool) -> Option<&Line> {
        match &self.folded {
            Some(folded) if !unfold => self.lines.get(*folded.get(at)?),
            _ => self.lines.get(at),
        }
    }

    /// Returns how many cells stand before the text: gutter, label, and the gaps behind them.
    pub const fn indent(&self) -> usize {
        if self.label_width == 0 {
            2
        } else {
            3 + self.label_width
        }
    }

    /// Returns how many hunks there are.
    pub const fn hunks(&self) -> usize {
        self.hunks.len()
    }

    /// Returns the first place behind `from` at which a hunk (or a file) starts.
    pub fn next_start(&self, from: Place, files: bool, unfold: bool) -> Option<Place> {
        self.starts(files)
            .filter_map(|line| self.position(line, unfold))
            .find(|line| *line > from.line)
            .map(|line| Place { line, row: 0 })
    }

    /// Returns the last place before `from` at which a hunk (or a file) starts.
    pub fn previous_start(&self, from: Place, files: bool, unfold: bool) -> Option<Place> {
        self.starts(files)
            .filter_map(|line| self.position(line, unfold))
            .take_while(|line| *line < from.line || (*line == from.line && from.row > 0))
            .last()
            .map(|line| Place { line, row: 0 })
    }

    /// Returns the place of a gated part.
    pub fn place_of_part(&self, part: usize, unfold: bool) -> Option<Place> {
        self.find(unfold, |line| line.part == Some(part))
    }

    /// Returns the place where a sheet's code is shown.
    pub fn place_of_code(&self, unfold: bool) -> Option<Place> {
        self.find(unfold, |line| line.code_here)
    }

    /// Returns the same place with text folded or unfolded.
    pub fn after_folding(&self, place: Place, was_unfolded: bool) -> Place {
        let line = match &self.folded {
            None => return place,
            Some(folded) if was_unfolded => folded.partition_point(|line| *line < place.line),
            Some(folded) => folded.get(place.line).copied().unwrap_or(0),
        };
        Place { line, row: 0 }
    }

    /// Moves a place by rows of a screen whose text is `cells` wide, within the page.
    pub fn step(&self, from: Place, rows: isize, cells: usize, unfold: bool) -> Place {
        let mut place = from;
        let mut left = rows.unsigned_abs();
        while left > 0 {
            let next = if rows > 0 {
                self.below(place, left, cells, unfold)
            } else {
                self.above(place, left, cells, unfold)
            };
            let Some((next, moved)) = next else {
                break;
            };
            place = next;
            left = left.saturating_sub(moved);
        }
        place
    }

    /// Returns the last place from which a screen of `height` rows is still full.
    pub fn last_top(&self, height: usize, cells: usize, unfold: bool) -> Place {
        let Some(line) = self.len(unfold).checked_sub(1) else {
            return Place::default();
        };
        let row = self.rows(line, cells, unfold).saturating_sub(1);
        let up = isize::try_from(height.saturating_sub(1)).unwrap_or(isize::MAX);
        self.step(Place { line, row }, -up, cells, unfold)
    }

    fn below(
        &self,
        from: Place,
        wanted: usize,
        cells: usize,
        unfold: bool,
    ) -> Option<(Place, usize)> {
        let rows = self.rows(from.line, cells, unfold);
        let here = rows.saturating_sub(1).saturating_sub(from.row);
        if wanted <= here {
            let row = from.row.saturating_add(wanted);
            return Some((Place { row, ..from }, wanted));
        }
        let line = from.line.checked_add(1)?;
        (line < self.len(unfold)).then_some((Place { line, row: 0 }, here.saturating_add(1)))
    }

    fn above(
        &self,
        from: Place,
        wanted: usize,
        cells: usize,
        unfold: bool,
    ) -> Option<(Place, usize)> {
        if wanted <= from.row {
            let row = from.row.saturating_sub(wanted);
            return Some((Place { row, ..from }, wanted));
        }
        match from.line.checked_sub(1) {
            Some(line) => {
                let row = self.rows(line, cells, unfold).saturating_sub(1);
                Some((Place { line, row }, from.row.saturating_add(1)))
            }
            None if from.row > 0 => Some((Place::default(), wanted)),
            None => None,
        }
    }

    fn rows(&self, line: usize, cells: usize, unfold: bool) -> usize {
        self.line(line, unfold)
            .map_or(1, |line| line.text.wrap(cells).len())
    }

    fn starts(&self, files: bool) -> impl Iterator<Item = usize> {
        let starts = if files { &self.files } else { &self.hunks };
        starts.iter().copied()
    }

    /// Where a line stands among those that are not folded away.
    fn position(&self, line: usize, unfold: bool) -> Option<usize> {
        match &self.folded {
            Some(folded) if !unfold => folded.binary_search(&line).ok(),
            _ => Some(line),
        }
    }

    fn find(&self, unfold: bool, wanted: impl Fn(&Line) -> bool) -> Option<Place> {
        (0..self.len(unfold))
            .find(|at| self.line(*at, unfold).is_some_and(&wanted))
            .map(|line| Place { line, row: 0 })
    }
}

/// Builds a page, and numbers the parts that have to be seen.
#[derive(Debug)]
pub struct Writer<'a> {
    page: Page,
    parts: &'a mut Vec<usize>,
    gated: bool,
}

impl<'a> Writer<'a> {
    /// Starts a page. With `gated`, every row of it that is not ours has to be seen.
    pub fn new(parts: &'a mut Vec<usize>, gated: bool) -> Self {
        Self {
            page: Page::default(),
            parts,
            gated,
        }
    }

    /// Writes a heading of our own.
    pub fn heading(&mut self, text: &'static str) {
        self.push(Line {
            look: Look::Heading,
            ..line(Gutter::Ours, Printable::ours(text))
        });
    }

    /// Writes a remark of our own.
    pub fn remark(&mut self, look: Look, text: &'static str) {
        self.push(Line {
            look,
            ..line(Gutter::Ours, Printable::ours(text))
        });
    }

    /// Writes a text exactly, one row for each of its lines, behind a name.
    pub fn text(&mut self, gutter: Gutter, label: &Printable, text: &Untrusted) {
        for (at, row) in Printable::exact_rows(text).into_iter().enumerate() {
            let mut text = Printable::default();
            if at == 0 && !label.is_empty() {
                text.push(label);
                text.push(&Printable::ours(" = "));
            } else if at > 0 {
                text.push(&Printable::ours("    "));
            }
            text.push(&row.text);
            self.push(line(gutter, text));
        }
    }

    /// Writes a line. It becomes a gated part when the page is gated and the line is not ours.
    pub fn push(&mut self, line: Line) {
        let gated = self.gated && line.gutter != Gutter::Ours;
        self.put(line, gated);
    }

    /// Writes a line and says whether it has to be seen.
    pub fn put(&mut self, line: Line, gated: bool) {
        self.page.label_width = self.page.label_width.max(line.label.width());
        let chunks = line.text.wrap(CHUNK);
        if chunks.len() <= 1 {
            let part = gated.then(|| self.part(line.text.as_str().len()));
            self.page.lines.push(Line { part, ..line });
            return;
        }
        let mut start = 0_usize;
        for (at, text) in chunks.into_iter().enumerate() {
            let end = start.saturating_add(text.as_str().len());
            let emphasis = line
                .emphasis
                .iter()
                .map(|range| range.start.max(start)..range.end.min(end))
                .filter(|range| range.start < range.end)
                .map(|range| range.start.saturating_sub(start)..range.end.saturating_sub(start))
                .collect();
            start = end;
            let part = gated.then(|| self.part(text.as_str().len()));
            self.page.lines.push(Line {
                text,
                emphasis,
                part,
                label: if at == 0 {
                    line.label.clone()
                } else {
                    Printable::default()
                },
                code_here: line.code_here && at == 0,
                continued: at > 0,
                ..line
            });
        }
    }

    /// Marks the next line as the start of a hunk.
    pub fn hunk(&mut self) {
        self.page.hunks.push(self.page.lines.len());
    }

    /// Marks the next line as the start of a file.
    pub fn file(&mut self) {
        self.page.files.push(self.page.lines.len());
    }

    /// Returns how many lines there are so far.
    pub const fn at(&self) -> usize {
        self.page.lines.len()
    }

    /// Ends the page; `folded` names the lines that stay when unchanged text is folded away.
    pub fn finish(mut self, folded: Option<Vec<usize>>) -> Page {
        self.page.folded = folded;
        self.page
    }

    /// Shows the code of a sheet beside the first line from `from` on that is not ours.
    pub fn code_at_first_from(&mut self, from: usize) -> bool {
        let found = self
            .page
            .lines
            .iter_mut()
            .skip(from)
            .find(|line| line.gutter != Gutter::Ours);
        match found {
            Some(line) => {
                line.code_here = true;
                true
            }
            None => false,
        }
    }

    /// Shows the code of a sheet beside the first changed line of a file, or else beside the first
    /// line that is not ours.
    pub fn code_at_first_change(&mut self) {
        let changed = |line: &Line| matches!(line.look, Look::Added | Look::Removed);
        match self.page.lines.iter_mut().find(|line| changed(line)) {
            Some(line) => line.code_here = true,
            None => {
                self.code_at_first_from(0);
            }
        }
    }

    fn part(&mut self, length: usize) -> usize {
        self.parts.push(length);
        self.parts.len().saturating_sub(1)
    }
}

/// A plain line without a label.
pub fn line(gutter: Gutter, text: Printable) -> Line {
    Line {
        gutter,
        look: Look::Plain,
        label: Printable::default(),
        text,
        emphasis: Vec::new(),
        part: None,
        code_here: false,
        continued: false,
    }
}

#[cfg(test)]
mod tests;
