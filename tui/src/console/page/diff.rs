//! Page 2, Diff: the contents of changed files, before and after.
//!
//! Every changed row is gated, and so are the row that names a file, the notes about it, and the first
//! bytes of what cannot be read. Unchanged rows are not; those far from a change are folded away
//! until `z` shows them. Nothing is left out for length.

use std::time::Instant;

use countersign_shared::diff::{Change, FileDiff, FileKind, Row, RowKind, Side, diff};
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
    let mut writer = Writer::new(parts, false);
    let changes = document
        .get("action")
        .and_then(|action| action.get("changes"))
        .and_then(Value::as_array);
    let mut kept = Vec::new();
    for value in changes.into_iter().flatten() {
        writer.file();
        match Change::read(value).and_then(|change| diff(&change, deadline)) {
            Ok(file) => write_file(&mut writer, &mut kept, &file),
            Err(why) => {
                complete = false;
                let text = Printable::from_ours(why.to_string());
                put(&mut writer, &mut kept, warning(text), true);
            }
        }
    }
    if writer.at() == 0 {
        kept.push(0);
        writer.remark(Look::Dim, "this request changes no files");
    } else if with_code {
        writer.code_at_first_change();
    }
    let folds = kept.len() < writer.at();
    (writer.finish(folds.then_some(kept)), complete)
}

fn write_file(writer: &mut Writer<'_>, kept: &mut Vec<usize>, file: &FileDiff) {
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
            Gutter::Agent,
            Printable::concat([&Printable::ours(verb), &file.path]),
        )
    };
    put(writer, kept, heading, true);
    let counts = format!("{} rows added, {} removed", file.added, file.removed);
    let counts = line(Gutter::Computed, Printable::from_ours(counts));
    put(writer, kept, counts, true);
    for note in file.notes() {
        put(writer, kept, warning(note), true);
    }
    side(writer, kept, "before: ", file.before.as_ref());
    side(writer, kept, "after: ", file.after.as_ref());
    rows(writer, kept, file);
}

/// What is known of a side that cannot be read.
fn side(writer: &mut Writer<'_>, kept: &mut Vec<usize>, name: &'static str, side: Option<&Side>) {
    let Some(side) = side.filter(|side| side.binary) else {
        return;
    };
    let fact = format!("not text, {} bytes", side.size);
    let mut text = Printable::concat([&Printable::ours(name), &Printable::from_ours(fact)]);
    if let Some(digest) = &side.digest {
        text.push(&Printable::from_ours(format!(", {digest}")));
    }
    put(writer, kept, warning(text), true);
    for bytes in &side.head {
        put(writer, kept, line(Gutter::Computed, bytes.clone()), true);
    }
}

/// Writes all rows of a file; those outside of hunks fold.
fn rows(writer: &mut Writer<'_>, kept: &mut Vec<usize>, file: &FileDiff) {
    let mut at = 0;
    for hunk in &file.hunks {
        folded(writer, kept, file.rows.get(at..hunk.rows.start));
        writer.hunk();
        let heading = Line {
            look: Look::Dim,
            ..line(Gutter::Computed, hunk.heading())
        };
        put(writer, kept, heading, false);
        for row in file.rows.get(hunk.rows.clone()).unwrap_or_default() {
            put(writer, kept, row_line(row), row.kind != RowKind::Context);
        }
        at = hunk.rows.end;
    }
    folded(writer, kept, file.rows.get(at..));
}

fn folded(writer: &mut Writer<'_>, kept: &mut Vec<usize>, rows: Option<&[Row]>) {
    let rows = rows.unwrap_or_default();
    if rows.is_empty() {
        return;
    }
    for row in rows {
        // A changed row is in a hunk; should one not be, it is neither folded nor left ungated.
        if row.kind == RowKind::Context {
            writer.put(row_line(row), false);
        } else {
            put(writer, kept, row_line(row), true);
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
    put(writer, kept, mark, false);
}

fn row_line(row: &Row) -> Line {
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
        ..line(Gutter::Agent, row.text.clone())
    }
}

fn put(writer: &mut Writer<'_>, kept: &mut Vec<usize>, line: Line, gated: bool) {
    let from = writer.at();
    writer.put(line, gated);
    kept.extend(from..writer.at());
}

fn warning(text: Printable) -> Line {
    Line {
        look: Look::Warning,
        ..line(Gutter::Computed, text)
    }
}
