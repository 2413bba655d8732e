//! Page 2, Diff: the contents of changed files, before and after.
//!
//! Every changed row is gated, and so are the row that names a file, the notes about it, and the first
//! bytes of what cannot be read. Unchanged rows are not; those far from a change are folded away
//! until `z` shows them. Nothing is left out for length.

use std::time::Instant;

use countersign_shared::diff::{Change, DiffError, FileDiff, FileKind, Row, RowKind, Side, diff};
use countersign_shared::text::Printable;
use serde_json::{Map, Value};

use super::{Gutter, Line, Look, Page, Writer, line};

/// Writes the page; false beside it when some change could not be read, and so is not shown. With
/// `with_code`, a sheet's code is shown beside the first change. After
/// `deadline`, files are compared with less effort, which the page then says.
pub fn page(
    document: &Map<String, Value>,
    parts: &mut Vec<usize>,
    with_code: bool,
    deadline: Option<Instant>,
) -> (Page, bool) {
    let mut complete = true;
    let mut files = Files::new(parts, Gutter::Agent);
    let changes = document
        .get("action")
        .and_then(|action| action.get("changes"))
        .and_then(Value::as_array);
    for value in changes.into_iter().flatten() {
        complete &= files.change(Change::read(value), deadline);
    }
    if files.writer.at() == 0 {
        files.kept.push(0);
        let nothing = "this request changes no files";
        files.writer.remark(Look::Dim, nothing);
    } else if with_code {
        files.writer.code_at_first_change();
    }
    (files.finish(), complete)
}

/// Writes changes that are no request's, in which nothing is gated.
pub fn of_changes(changes: Vec<Change>, deadline: Option<Instant>) -> Page {
    let mut parts = Vec::new();
    let mut files = Files::new(&mut parts, Gutter::Computed);
    for change in changes {
        files.change(Ok(change), deadline);
    }
    files.finish()
}

/// Writes one file after the other.
struct Files<'a> {
    writer: Writer<'a>,
    /// The lines that stay when unchanged text is folded away.
    kept: Vec<usize>,
    /// Who says what stands in the files.
    says: Gutter,
}

impl<'a> Files<'a> {
    fn new(parts: &'a mut Vec<usize>, says: Gutter) -> Self {
        Self {
            writer: Writer::new(parts, false),
            kept: Vec::new(),
            says,
        }
    }

    fn finish(self) -> Page {
        let folds = self.kept.len() < self.writer.at();
        self.writer.finish(folds.then_some(self.kept))
    }

    /// Writes a change; false when it cannot be read, which the page then says.
    fn change(&mut self, change: Result<Change, DiffError>, deadline: Option<Instant>) -> bool {
        self.writer.file();
        match change.and_then(|change| diff(&change, deadline)) {
            Ok(file) => {
                self.file(&file);
                true
            }
            Err(why) => {
                let text = Printable::from_ours(why.to_string());
                self.put(warning(text), true);
                false
            }
        }
    }

    fn file(&mut self, file: &FileDiff) {
        let verb = match file.kind {
            FileKind::Added => "new file: ",
            FileKind::Removed => "deleted file: ",
            FileKind::Changed => "changed file: ",
            FileKind::Unchanged => "same contents: ",
            FileKind::Mode => "same contents, other permissions: ",
        };
        let heading = Line {
            look: Look::Heading,
            ..line(
                self.says,
                Printable::concat([&Printable::ours(verb), &file.path]),
            )
        };
        self.put(heading, true);
        let counts = format!("{} rows added, {} removed", file.added, file.removed);
        let counts = line(Gutter::Computed, Printable::from_ours(counts));
        self.put(counts, true);
        for note in file.notes() {
            self.put(warning(note), true);
        }
        self.side("before: ", file.before.as_ref());
        self.side("after: ", file.after.as_ref());
        self.rows(file);
    }

    /// What is known of a side that cannot be read.
    fn side(&mut self, name: &'static str, side: Option<&Side>) {
        let Some(side) = side.filter(|side| side.binary) else {
            return;
        };
        let fact = format!("not text, {} bytes", side.size);
        let mut text = Printable::concat([&Printable::ours(name), &Printable::from_ours(fact)]);
        if let Some(digest) = &side.digest {
            text.push(&Printable::from_ours(format!(", {digest}")));
        }
        self.put(warning(text), true);
        for bytes in &side.head {
            self.put(line(Gutter::Computed, bytes.clone()), true);
        }
    }

    /// Writes all rows of a file; those outside of hunks fold.
    fn rows(&mut self, file: &FileDiff) {
        let mut at = 0;
        for hunk in &file.hunks {
            self.folded(file.rows.get(at..hunk.rows.start));
            self.writer.hunk();
            let heading = Line {
                look: Look::Dim,
                ..line(Gutter::Computed, hunk.heading())
            };
            self.put(heading, false);
            for row in file.rows.get(hunk.rows.clone()).unwrap_or_default() {
                self.put(self.row_line(row), row.kind != RowKind::Context);
            }
            at = hunk.rows.end;
        }
        self.folded(file.rows.get(at..));
    }

    fn folded(&mut self, rows: Option<&[Row]>) {
        let rows = rows.unwrap_or_default();
        if rows.is_empty() {
            return;
        }
        for row in rows {
            // A changed row is in a hunk; should one not be, it is neither folded nor left ungated.
            if row.kind == RowKind::Context {
                self.writer.put(self.row_line(row), false);
            } else {
                self.put(self.row_line(row), true);
            }
        }
        let text = format!(
            "... {} unchanged rows above (z shows or folds them)",
            rows.len()
        );
        let mark = Line {
            look: Look::Dim,
            ..line(Gutter::Ours, Printable::from_ours(text))
        };
        self.put(mark, false);
    }

    fn row_line(&self, row: &Row) -> Line {
        let (sign, look) = match row.kind {
            RowKind::Context => (' ', Look::Plain),
            RowKind::Added => ('+', Look::Added),
            RowKind::Removed => ('-', Look::Removed),
        };
        let number = |number: Option<u32>| number.map_or_else(String::new, |n| n.to_string());
        // Narrow enough that the encoder folds no run of blanks.
        let label = format!(
            "{:>4} {:>4} {sign}",
            number(row.old_line),
            number(row.new_line)
        );
        Line {
            look,
            label: Printable::from_ours(label),
            emphasis: row.emphasis.clone(),
            ..line(self.says, row.text.clone())
        }
    }

    fn put(&mut self, line: Line, gated: bool) {
        let from = self.writer.at();
        self.writer.put(line, gated);
        self.kept.extend(from..self.writer.at());
    }
}

fn warning(text: Printable) -> Line {
    Line {
        look: Look::Warning,
        ..line(Gutter::Computed, text)
    }
}
