//! What calls would change, against files that are really there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use super::*;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> String {
        let root = self.0.path().canonicalize().unwrap();
        root.to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn with<T>(&self, look: impl FnOnce(Workspace<'_>) -> T) -> T {
        let root = self.root();
        look(Workspace {
            cwd: &root,
            limit: 1024 * 1024,
        })
    }

    fn edit(&self, name: &str, all: &[Replacement]) -> Result<Change, ChangeError> {
        self.with(|workspace| workspace.edit(name, all))
    }

    fn patch(&self, lines: &[&str]) -> Result<Vec<Change>, ChangeError> {
        let text = ["*** Begin Patch"]
            .iter()
            .chain(lines)
            .chain(&["*** End Patch"])
            .copied()
            .collect::<Vec<_>>()
            .join("\n");
        self.with(|workspace| workspace.patch(&text))
    }
}

fn text(contents: Option<&Contents>) -> &str {
    match contents {
        Some(Contents::Text(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

fn one(old: &str, new: &str) -> Replacement {
    Replacement {
        old: old.to_owned(),
        new: new.to_owned(),
        all: false,
        expected: None,
    }
}

#[test]
fn an_edit_is_shown_against_the_file_as_it_is() {
    let dir = Dir::new();
    dir.write("a", "one\ntwo\nthree\n");
    let change = dir
        .edit("a", &[one("two", "TWO"), one("TWO\n", "2\n")])
        .unwrap();
    assert_eq!(change.path, format!("{}/a", dir.root()));
    assert_eq!(text(change.before.as_ref()), "one\ntwo\nthree\n");
    assert_eq!(text(change.after.as_ref()), "one\n2\nthree\n");
}

#[test]
fn an_edit_that_does_not_fit_is_named_and_not_guessed() {
    let dir = Dir::new();
    dir.write("a", "x\nx\n");
    dir.write("mixed", "x\r\ny\n");
    fs::write(dir.0.path().join("bytes"), [0xff]).unwrap();
    let found = |name: &str, replacement: Replacement| dir.edit(name, &[replacement]).unwrap_err();
    assert!(matches!(
        found("a", one("z", "y")),
        ChangeError::NotFound { .. }
    ));
    assert!(matches!(
        found("a", one("x", "y")),
        ChangeError::Ambiguous {
            found: 2,
            expected: 1,
            ..
        }
    ));
    assert!(matches!(
        found("a", one("x", "x")),
        ChangeError::Same { .. }
    ));
    assert!(matches!(
        found("a", one("", "y")),
        ChangeError::Exists { .. }
    ));
    assert!(matches!(
        found("b", one("x", "y")),
        ChangeError::Absent { .. }
    ));
    assert!(matches!(
        found("bytes", one("x", "y")),
        ChangeError::NotText { .. }
    ));
    assert!(matches!(
        found("mixed", one("y", "z")),
        ChangeError::LineEnds { .. }
    ));
    let twice = Replacement {
        expected: Some(2),
        ..one("x", "y")
    };
    let all = Replacement {
        all: true,
        ..one("x", "y")
    };
    for replacement in [twice, all] {
        let change = dir.edit("a", &[replacement]).unwrap();
        assert_eq!(text(change.after.as_ref()), "y\ny\n");
    }
}

#[test]
fn an_empty_text_makes_a_file_that_is_not_there() {
    let dir = Dir::new();
    let change = dir.edit("new", &[one("", "hello\n")]).unwrap();
    assert_eq!(change.before, None);
    assert_eq!(text(change.after.as_ref()), "hello\n");
}

#[test]
fn line_ends_of_the_file_are_kept() {
    let dir = Dir::new();
    dir.write("a", "one\r\ntwo\r\n");
    let change = dir.edit("a", &[one("one\ntwo", "1\n2\n3")]).unwrap();
    assert_eq!(text(change.after.as_ref()), "1\r\n2\r\n3\r\n");
}

#[test]
fn a_path_leads_where_its_links_lead() {
    let dir = Dir::new();
    dir.write("real", "x");
    symlink(dir.0.path().join("real"), dir.0.path().join("link")).unwrap();
    let change = dir.with(|workspace| workspace.write("link", "y")).unwrap();
    assert_eq!(change.path, format!("{}/real", dir.root()));
    let change = dir
        .with(|workspace| workspace.write("new/deep/file", "y"))
        .unwrap();
    assert_eq!(change.path, format!("{}/new/deep/file", dir.root()));
    assert_eq!(change.before, None);
}

#[test]
fn a_path_that_could_mean_another_file_is_refused() {
    let dir = Dir::new();
    symlink("nowhere", dir.0.path().join("dangling")).unwrap();
    for path in ["", "~/x", "~root/x", "dangling", "absent/../x", "a\0b"] {
        let error = dir
            .with(|workspace| workspace.write(path, "y"))
            .unwrap_err();
        assert!(matches!(error, ChangeError::Path { .. }), "{path}: {error}");
    }
    let error = dir.with(|workspace| workspace.write(".", "y")).unwrap_err();
    assert!(matches!(error, ChangeError::NotAFile { .. }), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_refused_and_not_cut() {
    let dir = Dir::new();
    dir.write("a", &"x".repeat(11));
    let root = dir.root();
    let workspace = Workspace {
        cwd: &root,
        limit: 10,
    };
    let error = workspace.write("a", "y").unwrap_err();
    assert!(matches!(error, ChangeError::TooLarge { .. }), "{error}");
}

#[test]
fn a_patch_adds_deletes_updates_and_moves() {
    let dir = Dir::new();
    dir.write("gone", "x\n");
    dir.write("kept", "fn a() {\n    1\n}\nfn b() {\n    1\n}\n");
    dir.write("old", "one\ntwo\n");
    let changes = dir
        .patch(&[
            "*** Add File: new",
            "+alpha",
            "+beta",
            "*** Delete File: gone",
            "*** Update File: kept",
            "@@ fn b() {",
            "-    1",
            "+    2",
            "*** Update File: old",
            "*** Move to: moved",
            "@@",
            " one",
            "-two",
            "+2",
            "*** End of File",
        ])
        .unwrap();
    let root = dir.root();
    let shown: Vec<_> = changes
        .iter()
        .map(|change| {
            let path = change.path.strip_prefix(&root).unwrap();
            let side =
                |side: &Option<Contents>| side.as_ref().map(|side| text(Some(side)).to_owned());
            (path, side(&change.before), side(&change.after))
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            ("/new", None, some("alpha\nbeta\n")),
            ("/gone", some("x\n"), None),
            (
                "/kept",
                some("fn a() {\n    1\n}\nfn b() {\n    1\n}\n"),
                some("fn a() {\n    1\n}\nfn b() {\n    2\n}\n")
            ),
            ("/old", some("one\ntwo\n"), None),
            ("/moved", None, some("one\n2\n")),
        ]
    );
}

#[test]
fn a_hunk_is_found_as_the_tool_finds_it() {
    let dir = Dir::new();
    for (before, hunk, after) in [
        // Exactly, before anything more lenient, wherever that is.
        ("  x\nx\n", &["@@", "-x", "+y"][..], "  x\ny\n"),
        // Other white space at the end, at both ends, and typographic marks.
        ("x  \n", &["@@", "-x", "+y"], "y\n"),
        ("\tx\n", &["@@", "-x", "+y"], "y\n"),
        (
            "\u{201c}x\u{201d} \u{2013} z\n",
            &["@@", "-\"x\" - z", "+y"],
            "y\n",
        ),
        // Lines only added stand at the end.
        ("x\n", &["@@", "+y"], "x\ny\n"),
        ("x", &["@@", "+y"], "x\ny\n"),
        // The last of several, when the end of the file is named.
        ("x\nx\n", &["@@", "-x", "+y", "*** End of File"], "x\ny\n"),
        // Two hunks, the second below the first.
        ("x\nx\n", &["@@", "-x", "+1", "@@", "-x", "+2"], "1\n2\n"),
        // A first hunk may do without its mark, and an empty line stands for an empty one.
        ("a\n\nb\n", &[" a", "", "-b", "+c"], "a\n\nc\n"),
    ] {
        dir.write("f", before);
        let lines = [&["*** Update File: f"], hunk].concat();
        let changes = dir.patch(&lines).unwrap();
        assert_eq!(text(changes[0].after.as_ref()), after, "{hunk:?}");
    }
}

#[test]
fn a_patch_that_is_none_or_does_not_fit_is_refused() {
    let dir = Dir::new();
    dir.write("f", "x\n");
    for lines in [
        &[][..],
        &["*** Change File: f"],
        &["*** Update File: f"],
        &["*** Update File: f", "@@"],
        &["*** Update File: f", "@@", "?x"],
        &["*** Update File: f", "@@", "-x", "+y", "-- no sign"],
        &["*** Update File: f", "@@", "-z", "+y"],
        &["*** Update File: f", "@@ z", "-x", "+y"],
        &["*** Update File: absent", "@@", "-x", "+y"],
        &["*** Delete File: absent"],
        &["*** Delete File: f", "*** Add File: f", "+y"],
        &["*** Update File: f", "*** Move to: f", "@@", "-x", "+y"],
    ] {
        assert!(dir.patch(lines).is_err(), "{lines:?}");
    }
    for text in ["", "*** Begin Patch", "*** End Patch", "x\n*** End Patch"] {
        assert!(
            dir.with(|workspace| workspace.patch(text)).is_err(),
            "{text}"
        );
    }
}

/// Does something that must not take long, in a build that is not made to be fast.
fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    done.recv_timeout(Duration::from_secs(20))
        .expect("it takes too long")
}

#[test]
fn a_patch_whose_lines_nearly_stand_everywhere_is_looked_for_only_once() {
    let dir = Dir::new();
    dir.write("f", &"a\n".repeat(120_000));
    let hunk = format!("*** Update File: f\n@@\n{}-b\n+c", "-a\n".repeat(60_000));
    let error = soon(move || dir.patch(&[&hunk])).unwrap_err();
    assert!(matches!(error, ChangeError::DoesNotFit { .. }), "{error}");
}

#[test]
fn lines_that_begin_again_inside_themselves_are_found() {
    let dir = Dir::new();
    for (before, old, after) in [
        ("a\na\na\nb\n", &["-a", "-a", "-b"][..], "a\nx\n"),
        ("a\nb\na\nb\na\nc\n", &["-a", "-b", "-a", "-c"], "a\nb\nx\n"),
        (
            "a\na\nb\na\na\na\nb\na\na\nc\n",
            &["-a", "-a", "-b", "-a", "-a", "-c"],
            "a\na\nb\na\nx\n",
        ),
    ] {
        dir.write("f", before);
        let lines = [&["*** Update File: f", "@@"], old, &["+x"]].concat();
        let changes = dir.patch(&lines).unwrap();
        assert_eq!(text(changes[0].after.as_ref()), after, "{old:?}");
    }
}

#[test]
fn what_takes_too_much_work_is_said_to_be_too_much_to_show() {
    let too_much = |result: Result<Vec<Change>, ChangeError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, ChangeError::TooMuch), "{error}");
        assert!(error.to_string().contains("too much to show"), "{error}");
    };
    // Each hunk is looked for in the whole file before it is found with other blanks.
    let dir = Dir::new();
    dir.write("f", &"  a\n".repeat(100_000));
    let hunks = format!("*** Update File: f\n{}", "@@\n-a\n+b\n".repeat(90_000));
    too_much(soon(move || dir.patch(&[hunks.trim_end()])));
    // Each hunk is found at once, and moves all that is behind it.
    let dir = Dir::new();
    dir.write("f", &"a\n".repeat(100_000));
    let hunks = format!("*** Update File: f\n{}", "@@\n-a\n+b\n+c\n".repeat(90_000));
    too_much(soon(move || dir.patch(&[hunks.trim_end()])));
    // Each file is small.
    let dir = Dir::new();
    let half = "x".repeat(600 * 1024);
    let files = format!("*** Add File: a\n+{half}\n*** Add File: b\n+{half}");
    too_much(soon(move || dir.patch(&[&files])));
}

#[test]
fn edits_that_make_a_text_grow_without_end_are_too_much_to_show() {
    let dir = Dir::new();
    dir.write("f", "x");
    let double = Replacement {
        all: true,
        ..one("x", "xx")
    };
    let error = soon(move || dir.edit("f", &vec![double; 60])).unwrap_err();
    assert!(matches!(error, ChangeError::TooMuch), "{error}");
    let dir = Dir::new();
    dir.write("f", &format!("a{}", "x".repeat(1_000_000)));
    let back_and_forth: Vec<_> = (0..100_000)
        .map(|turn| match turn % 2 {
            0 => one("a", "b"),
            _ => one("b", "a"),
        })
        .collect();
    let error = soon(move || dir.edit("f", &back_and_forth)).unwrap_err();
    assert!(matches!(error, ChangeError::TooMuch), "{error}");
}

#[test]
fn a_patch_in_a_shells_text_is_found_when_it_is_all_there_is() {
    let dir = Dir::new();
    fs::create_dir(dir.0.path().join("sub")).unwrap();
    let patch = "*** Begin Patch\n*** Add File: b\n+$x\n*** End Patch";
    let find = |command: String| dir.with(|workspace| workspace.patch_in_shell(&command));
    let root = dir.root();
    for (command, path) in [
        (format!("apply_patch <<'EOF'\n{patch}\nEOF"), "b"),
        (format!("apply_patch <<\"P\"\n{patch}\nP\n"), "b"),
        (
            format!("cd sub && apply_patch <<'EOF'\n{patch}\nEOF"),
            "sub/b",
        ),
        (
            format!("cd 'sub' && applypatch << 'EOF'\n{patch}\nEOF"),
            "sub/b",
        ),
    ] {
        let changes = find(command.clone()).unwrap().unwrap();
        assert_eq!(changes[0].path, format!("{root}/{path}"), "{command}");
        assert_eq!(text(changes[0].after.as_ref()), "$x\n");
    }
    for command in [
        "make".to_owned(),
        // The shell would expand `$x` first.
        format!("apply_patch <<EOF\n{patch}\nEOF"),
        format!("apply_patch <<'EOF'\n{patch}\nEOF\nrm -rf /"),
        format!("make && apply_patch <<'EOF'\n{patch}\nEOF"),
        format!("apply_patch <<'EOF' | sh\n{patch}\nEOF"),
        format!("cd $HOME && apply_patch <<'EOF'\n{patch}\nEOF"),
        format!("cd sub; apply_patch <<'EOF'\n{patch}\nEOF"),
        format!("apply_patch <<'EOF'\nEOF\nrm -rf /\n{patch}\nEOF"),
    ] {
        assert!(matches!(find(command.clone()), Ok(None)), "{command}");
    }
}

fn notebook(cells: &serde_json::Value) -> String {
    json!({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}).to_string()
}

fn cell_edit(cell: Option<&str>, mode: Option<&str>) -> NotebookEdit {
    NotebookEdit {
        path: "n.ipynb".to_owned(),
        cell: cell.map(str::to_owned),
        source: "new".to_owned(),
        cell_type: None,
        mode: mode.map(str::to_owned),
    }
}

#[test]
fn a_cell_is_shown_under_its_name_and_the_notebook_is_bound() {
    let dir = Dir::new();
    let cells = json!([
        {"id": "aa", "cell_type": "code", "source": ["one\n", "two"]},
        {"id": "bb", "cell_type": "markdown", "source": "text"},
    ]);
    dir.write("n.ipynb", &notebook(&cells));
    let look = |cell, mode| {
        dir.with(|workspace| workspace.notebook(&cell_edit(cell, mode)))
            .unwrap()
    };
    let root = dir.root();
    for (cell, mode, name, before, after) in [
        (Some("aa"), None, "aa", Some("one\ntwo"), Some("new")),
        (None, None, "first", Some("one\ntwo"), Some("new")),
        (
            Some("cell-1"),
            Some("replace"),
            "cell-1",
            Some("text"),
            Some("new"),
        ),
        (Some("bb"), Some("delete"), "bb", Some("text"), None),
        (
            Some("bb"),
            Some("insert"),
            "new-after-bb",
            None,
            Some("new"),
        ),
    ] {
        let found = look(cell, mode);
        assert_eq!(found.change.path, format!("{root}/n.ipynb#{name}"));
        assert_eq!(
            found.change.before.as_ref().map(|side| text(Some(side))),
            before
        );
        assert_eq!(
            found.change.after.as_ref().map(|side| text(Some(side))),
            after
        );
    }
    let bound = look(Some("aa"), None).notebook["sha256"].clone();
    dir.write(
        "n.ipynb",
        &notebook(&json!([cells[0], {"source": "other"}])),
    );
    assert_ne!(look(Some("aa"), None).notebook["sha256"], bound);
}

#[test]
fn a_cell_that_is_not_there_is_not_another() {
    let dir = Dir::new();
    dir.write("n.ipynb", &notebook(&json!([{"id": "aa", "source": "x"}])));
    for (cell, mode) in [
        (Some("bb"), None),
        (Some("cell-1"), None),
        (Some("aa"), Some("explode")),
    ] {
        let error = dir
            .with(|workspace| workspace.notebook(&cell_edit(cell, mode)))
            .unwrap_err();
        assert!(matches!(error, ChangeError::Notebook { .. }), "{error}");
    }
    for broken in ["", "[]", "{\"cells\": 7}"] {
        dir.write("n.ipynb", broken);
        let error = dir
            .with(|workspace| workspace.notebook(&cell_edit(None, None)))
            .unwrap_err();
        assert!(matches!(error, ChangeError::Notebook { .. }), "{error}");
    }
    assert!(Path::new(&dir.root()).exists());
}
