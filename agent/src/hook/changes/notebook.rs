//! A change of one cell of a Jupyter notebook (nbformat 4).
//!
//! The client writes the whole file anew, with an id of its own making for a new cell, so the file's
//! contents after are not foreseen here. What is shown is the cell: its source before and after,
//! under the file's name and the cell's. The file as it is now is bound by its digest.

use std::path::Path;

use countersign_shared::action::{Change, Contents};
use countersign_shared::digest::Digest;
use serde_json::{Value, json};

use super::{ChangeError, file};

/// What is asked of a notebook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hook) struct NotebookEdit {
    /// The notebook.
    pub(in crate::hook) path: String,
    /// The cell, by its id or as `cell-N`; the first one, or the place before it, when absent.
    pub(in crate::hook) cell: Option<String>,
    /// The new source.
    pub(in crate::hook) source: String,
    /// The new type.
    pub(in crate::hook) cell_type: Option<String>,
    /// `replace` (which is meant when absent), `insert` or `delete`.
    pub(in crate::hook) mode: Option<String>,
}

/// A cell that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hook) struct CellChange {
    /// The cell's source, before and after.
    pub(in crate::hook) change: Change,
    /// What stands in the arguments of the action about it.
    pub(in crate::hook) notebook: Value,
}

/// Returns what would change.
pub(super) fn change(
    path: &Path,
    before: Option<&Contents>,
    edit: &NotebookEdit,
) -> Result<CellChange, ChangeError> {
    let wrong = |problem: &str| ChangeError::Notebook {
        path: path.to_path_buf(),
        problem: problem.to_owned(),
    };
    let text = file::text(path, before)?;
    let notebook: Value =
        serde_json::from_str(text).map_err(|_| wrong("is not JSON, as a notebook is"))?;
    let cells = notebook
        .get("cells")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("has no cells"))?;
    let found = match &edit.cell {
        Some(name) => {
            Some(find(cells, name).ok_or_else(|| wrong(&format!("has no cell `{name}`")))?)
        }
        None => None,
    };
    let mode = edit.mode.as_deref().unwrap_or("replace");
    let name = edit.cell.clone().unwrap_or_else(|| "first".to_owned());
    let at = found.unwrap_or(0);
    let new = || Some(Contents::Text(edit.source.clone()));
    let old = || {
        let cell = cells.get(at).ok_or_else(|| wrong("has no cells"))?;
        source(cell)
            .map(|source| Some(Contents::Text(source)))
            .ok_or_else(|| wrong("has a cell whose source is no text"))
    };
    let (before_cell, after_cell, suffix) = match mode {
        "replace" => (old()?, new(), name),
        "delete" => (old()?, None, name),
        "insert" => (None, new(), format!("new-after-{name}")),
        _ => return Err(wrong(&format!("has no edit mode `{mode}`"))),
    };
    let shown = path.to_string_lossy();
    Ok(CellChange {
        change: Change {
            path: format!("{shown}#{suffix}"),
            before: before_cell,
            after: after_cell,
            mode: None,
        },
        notebook: json!({
            "cell": edit.cell,
            "cell_type": edit.cell_type,
            "mode": mode,
            "sha256": Digest::of(text.as_bytes()).to_hex(),
        }),
    })
}

/// Finds a cell by its id, or by its number as `cell-N`.
fn find(cells: &[Value], name: &str) -> Option<usize> {
    let by_id = cells
        .iter()
        .position(|cell| cell.get("id").and_then(Value::as_str) == Some(name));
    by_id.or_else(|| {
        let number: usize = name.strip_prefix("cell-")?.parse().ok()?;
        (number < cells.len()).then_some(number)
    })
}

/// Returns a cell's source, which is a text or a list of its lines.
fn source(cell: &Value) -> Option<String> {
    match cell.get("source")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => lines.iter().map(Value::as_str).collect::<Option<String>>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
