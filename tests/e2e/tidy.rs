//! What holds for the repository as a whole, and nothing else looks after.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_shared::digest::Digest;
use countersign_tests::programs::{AGENT, PERSON, program, workspace};

/// How long a Rust source file may be, in lines.
const LONGEST: usize = 600;

/// What nobody but the module for it may use: everything that puts text into a screen unchecked.
const BANNED: [&str; 12] = [
    "ratatui::buffer::Buffer::set_string",
    "ratatui::buffer::Buffer::set_stringn",
    "ratatui::buffer::Buffer::set_span",
    "ratatui::buffer::Buffer::set_line",
    "ratatui::buffer::Cell::set_symbol",
    "ratatui::buffer::Cell::set_char",
    "ratatui::text::Span",
    "ratatui::text::Line",
    "ratatui::text::Text",
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "std::env::set_var",
];

#[test]
fn every_test_that_the_documentation_of_attacks_names_exists() {
    let attacks = read(&workspace().join("docs/attacks.md"));
    let tests = tests_of_the_workspace();
    let mut named = 0;
    let mut missing = Vec::new();
    for row in attacks.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').collect();
        let last = cells.last().copied().unwrap_or_default();
        // Tests are named in sentences; one word is a command or a program.
        for name in quoted(last).filter(|name| name.contains('_')) {
            // `module::name` is as good as `name`.
            let short = name.rsplit("::").next().unwrap_or(name);
            if !tests.contains(short) {
                missing.push(name);
            }
            named += 1;
        }
    }
    assert!(
        missing.is_empty(),
        "docs/attacks.md names tests that do not exist: {missing:#?}"
    );
    assert!(named >= 20, "only {named} tests are named");
}

#[test]
fn every_file_that_the_readme_links_to_exists() {
    let readme = read(&workspace().join("README.md"));
    let mut links = 0;
    for part in readme
        .split("](")
        .skip(1)
        .chain(readme.split("src=\"").skip(1))
    {
        let end = part.find([')', '"', '#', ' ']).unwrap_or(part.len());
        let target = part.get(..end).unwrap_or_default();
        if target.is_empty() || target.contains("://") {
            continue;
        }
        assert!(
            workspace().join(target).exists(),
            "README.md links to `{target}`"
        );
        links += 1;
    }
    assert!(links > 0, "no link was found");
}

#[test]
fn the_documentation_of_the_protocol_is_about_these_protos() {
    let documentation = read(&workspace().join("docs/protocol.md"));
    let protos: Vec<PathBuf> = files()
        .into_iter()
        .filter(|path| has_extension(path, "proto"))
        .collect();
    assert!(!protos.is_empty());
    for path in protos {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let digest = Digest::of(&fs::read(&path).expect("a file")).to_hex();
        let stated = documentation.lines().any(|line| {
            line.contains("proto sha256:") && line.contains(name) && line.contains(&digest)
        });
        assert!(
            stated,
            "{name} changed: read docs/protocol.md again, then renew its line\n    proto sha256: {name} {digest}"
        );
    }
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    let needles = ["/work", "/root"].map(|path| format!("{path}/"));
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for needle in &needles {
            // A directory of that name elsewhere is no machine's.
            let found = text.match_indices(needle.as_str()).any(|(at, _)| {
                let before = text.get(..at).and_then(|before| before.chars().next_back());
                before.is_none_or(|c| !c.is_alphanumeric() && !".}_-".contains(c))
            });
            assert!(!found, "{} names {needle}", path.display());
        }
    }
}

#[test]
fn no_source_file_is_too_long_to_read() {
    let mut sources = 0;
    for path in sources_of_the_workspace() {
        let lines = read(&path).lines().count();
        assert!(lines < LONGEST, "{} has {lines} lines", path.display());
        sources += 1;
    }
    assert!(sources > 100);
}

#[test]
fn the_lints_that_keep_unchecked_text_off_the_screen_are_in_place() {
    let clippy: toml::Table = read(&workspace().join("clippy.toml"))
        .parse()
        .expect("TOML");
    let banned: HashSet<&str> = ["disallowed-methods", "disallowed-types"]
        .into_iter()
        .filter_map(|list| clippy.get(list)?.as_array())
        .flatten()
        .filter_map(|entry| entry.get("path")?.as_str())
        .collect();
    for path in BANNED {
        assert!(banned.contains(path), "clippy.toml no longer bans `{path}`");
    }
    // Whoever lifts a ban on drawing is the one module that the bans point to.
    for path in sources_of_the_workspace()
        .iter()
        .filter(|path| path.components().any(|part| part.as_os_str() == "console"))
    {
        let text = read(path);
        let lifted =
            text.contains("#![expect(\n    clippy::disallowed") || text.contains("#![allow");
        let is_the_one = path.ends_with("console/safe_line.rs");
        assert!(
            !lifted || is_the_one,
            "{} lifts a ban for a whole file",
            path.display()
        );
    }
    let lints: toml::Table = read(&workspace().join("Cargo.toml")).parse().expect("TOML");
    let rust = lints
        .get("workspace")
        .and_then(|it| it.get("lints")?.get("rust")?.get("unsafe_code"));
    assert!(
        rust.is_some_and(|level| ["deny", "forbid"].contains(&level.as_str().unwrap_or_default()))
    );
}

#[test]
fn the_agents_program_does_not_even_hold_the_name_of_the_reviewers_service() {
    let service = b"ReviewService".as_slice();
    assert!(!holds(&program(AGENT), service));
    // The search itself finds what is there.
    assert!(holds(&program(PERSON), service));
    assert!(holds(&program(AGENT), b"AgentService"));
}

fn holds(program: &Path, needle: &[u8]) -> bool {
    let bytes = fs::read(program).expect("a program");
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// The names of all functions that are tests.
fn tests_of_the_workspace() -> HashSet<String> {
    let mut names = HashSet::new();
    for path in sources_of_the_workspace() {
        let text = read(&path);
        let mut lines = text.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            let is_test = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            if !is_test {
                continue;
            }
            let function = lines.by_ref().find(|line| line.contains("fn "));
            let name = function.and_then(|line| line.split("fn ").nth(1)?.split('(').next());
            names.extend(name.map(|name| name.trim().to_owned()));
        }
    }
    names
}

/// The parts of a table's cell between back quotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn sources_of_the_workspace() -> Vec<PathBuf> {
    files()
        .into_iter()
        .filter(|path| has_extension(path, "rs"))
        .collect()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// All files of the repository, and those that are about to be added to it.
fn files() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = git.current_dir(workspace()).output().expect("git runs");
    assert!(listed.status.success(), "{listed:?}");
    let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let paths = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| workspace().join(name));
    paths.filter(|path| path.is_file()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
