//! Hostile text in every field of a request, through the real daemon, onto a real terminal.
//!
//! Nothing that an agent writes may reach a person's terminal, or a pipe, other than as printable
//! characters, and none of it may stand where our own words stand.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use countersign_shared::text::{Printable, Untrusted};
use countersign_tests::home::Asked;
use countersign_tests::wait::wait_at_most;
use countersign_tests::{Home, Running, Terminal, wait_until};
use rustix::process::Signal;
use serde_json::{Map, Value, json};

mod corpus;
mod emitted;

use corpus::FORGED;
use emitted::offences_of_lines;

/// How many texts of the corpus one request carries in each of its fields.
const PER_REQUEST: usize = 9;

/// How long the console may take to draw what a key asks for before a page counts as ended. A
/// screen that is missed for it is judged all the same: every byte is.
const A_FRAME: Duration = Duration::from_millis(150);

/// A pause that no frame has in it.
const BETWEEN_WRITES: Duration = Duration::from_millis(20);

/// The modes that a terminal has set before anybody takes it over: lines wrap, the cursor is seen.
const FOUND: [u16; 2] = [7, 25];

/// Lets one user ask more than a person would look at in a day.
const MORE_ROOM: &str = "\n[limits]\nheld_per_uid = 100\nheld_per_uid_and_hour = 100\n";

#[test]
fn no_console_screen_lets_hostile_text_act_hide_or_pretend() {
    let home = Home::with(MORE_ROOM);
    let ids = ask_everything(&home);
    let mut terminal = Terminal::start(&console(&home), 110, 30);
    terminal.wait_for("in the queue");
    terminal.wait_for(&format!("{} in the queue", ids.len()));
    let mut screens = vec![settled(&terminal)];
    terminal.resize(200, 50);
    terminal.wait_for("nothing is decided from here");
    screens.push(settled(&terminal));
    terminal.resize(110, 30);
    terminal.paste("g");
    for at in 0..ids.len() {
        visit(&mut terminal, &mut screens, at == 0);
        terminal.paste("j");
    }
    terminal.paste("q");
    let (code, written) = terminal.end();
    assert_eq!(code, 0);

    judge(&written);
    let seen = screens.concat();
    for marker in [
        "<U+001B>",
        "<U+009B>",
        "<U+202E",
        "<U+200B>",
        "<U+E0001>",
        "<U+0301",
        "<0xFF>",
        "<U+003C>",
        "<U+0020 x900>",
        "<U+000A x300>",
        "<U+3164>",
        "<U+FE0F>",
        "<U+05D0>",
        "<U+000D>",
    ] {
        assert!(seen.contains(marker), "{marker} was never on the screen");
    }
    for screen in &screens {
        for row in screen.lines().filter(|row| row.contains(FORGED)) {
            assert!(is_behind_a_gutter(row), "{row:?} on\n{screen}");
        }
        let armed = screen
            .lines()
            .skip(1)
            .find(|row| row.trim_end().ends_with("  ARMED"));
        assert!(armed.is_none_or(is_behind_a_gutter), "{screen}");
    }
}

#[test]
fn no_command_line_output_lets_hostile_text_act_or_hide() {
    let home = Home::with(MORE_ROOM);
    let watch = Running::start(&mut home.person_command(&["watch"]), Stdio::null());
    let watch_json = Running::start(
        &mut home.person_command(&["watch", "--json"]),
        Stdio::null(),
    );
    let ids = ask_everything(&home);
    for id in &ids {
        let shown = home.person(&["show", id]).expect_code(0);
        clean(&format!("show {id}"), &shown.stdout);
        clean(&format!("show {id}, messages"), &shown.stderr);
        clean(
            "show --json",
            &home.person(&["show", "--json", id]).expect_code(0).stdout,
        );
        let diff = home.person(&["diff", id]);
        clean(&format!("diff {id}"), &(diff.stdout + &diff.stderr));
    }
    for arguments in [
        &["list", "--all"][..],
        &["list", "--json"],
        &["log"],
        &["log", "--json"],
    ] {
        let listed = home.person(arguments).expect_code(0);
        clean(&format!("{arguments:?}"), &listed.stdout);
        assert!(listed.stdout.lines().count() > 0);
    }
    for (name, watch) in [("watch", watch), ("watch --json", watch_json)] {
        watch.signal(Signal::TERM);
        let watched = watch.wait();
        assert!(
            watched.stdout.lines().count() >= ids.len(),
            "{name}: {watched:?}"
        );
        clean(name, &watched.stdout);
    }
}

#[test]
fn what_an_agent_is_told_of_a_denial_or_a_failed_start_cannot_act_on_its_terminal() {
    let home = Home::with(MORE_ROOM);
    let refused = "no \u{1b}]0;PWNED\u{7}\u{9b}2J\rF0RGED";
    let reason =
        "no \u{202e}\u{200b}\u{e0041}\u{ad} F0RGED <U+001B>\u{301}\u{301}\u{301}\u{301}\u{5d0}";
    let asked = ask(
        &home,
        &json!({
            "v": 1, "kind": "file.read", "target": {"kind": "repository", "name": "web"}, "arguments": {},
        }),
    );
    let denied = home.deny(&asked, refused);
    clean("deny, refused", &(denied.stdout.clone() + &denied.stderr));
    assert_ne!(denied.code, 0);
    let denied = home.deny(&asked, reason);
    clean("deny", &(denied.stdout.clone() + &denied.stderr));
    denied.expect_code(0);
    let told = home.agent(&["wait", &asked.id]);
    assert_eq!(told.code, 3, "{told:?}");
    assert!(told.stderr.contains("<U+202E><U+200B>"), "{told:?}");
    clean("wait", &(told.stdout + &told.stderr));
    clean(
        "wait --json",
        &home.agent(&["wait", "--json", &asked.id]).stdout,
    );

    let missing = home.agent(&["run", "--", "/nowhere/\u{1b}[2J\u{202e}x"]);
    assert_ne!(missing.code, 0);
    assert!(
        missing.stderr.contains("<U+001B>[2J<U+202E>"),
        "{missing:?}"
    );
    clean("run", &(missing.stdout + &missing.stderr));
    clean("list", &home.person(&["list", "--all"]).stdout);
    clean("log", &home.person(&["log"]).stdout);
}

#[test]
fn the_terminal_is_given_back_however_the_console_ends() {
    let home = Home::new();
    for signal in [Signal::TERM, Signal::HUP] {
        let terminal = Terminal::start(&console(&home), 80, 24);
        terminal.wait_for("Queue clear");
        terminal.signal(signal);
        let (_, written) = terminal.end();
        given_back(&written);
    }
    let mut terminal = Terminal::start(&console(&home), 80, 24);
    terminal.wait_for("Queue clear");
    terminal.paste("\u{1a}");
    wait_until("the console stops and gives the terminal back", || {
        emitted::Terminal::read(&terminal.raw())
            .modes
            .iter()
            .all(|mode| FOUND.contains(mode))
    });
    terminal.signal(Signal::CONT);
    wait_until("the console takes the terminal again", || {
        emitted::Terminal::read(&terminal.raw())
            .modes
            .contains(&1049)
    });
    terminal.wait_for("Queue clear");
    terminal.type_slowly("q");
    given_back(&terminal.end().1);
}

/// Opens the selected request, looks at each of its pages to the end, at both sheets, and goes back.
fn visit(terminal: &mut Terminal, screens: &mut Vec<String>, thoroughly: bool) {
    terminal.paste("\r");
    terminal.wait_for("1 What");
    for tab in ["1", "2", "3", "4", "5"] {
        let before = terminal.raw().len();
        terminal.paste(tab);
        terminal.paste("g");
        wait_until("the page is drawn", || {
            terminal.raw().len() > before || tab == "1"
        });
        screens.push(settled(terminal));
        let pages = if thoroughly { 30 } else { 8 };
        for _ in 0..pages {
            let before = terminal.screen();
            terminal.paste(" ");
            let page = |screen: &str| screen.lines().skip(3).collect::<Vec<_>>().join("\n");
            let next = wait_at_most(A_FRAME, || {
                Some(terminal.screen()).filter(|screen| page(screen) != page(&before))
            });
            if next.is_none() {
                break;
            }
            screens.push(settled(terminal));
        }
    }
    if thoroughly {
        terminal.type_slowly("D");
        terminal.wait_for("the agent reads the reason");
        // A reviewer's own paste is no safer.
        terminal.paste("\u{1b}[200~x\u{1b}]0;PWNED\u{7}\u{202e}\r\n\u{1b}[201~");
        terminal.type_slowly("3");
        screens.push(settled(terminal));
        terminal.type_slowly("\u{1b}");
    }
    terminal.paste("\u{1b}");
    terminal.wait_for("in the queue");
}

/// Returns the screen once no more of a frame is being written.
fn settled(terminal: &Terminal) -> String {
    let mut length = 0;
    wait_until("the frame is whole", || {
        let before = std::mem::replace(&mut length, terminal.raw().len());
        std::thread::sleep(BETWEEN_WRITES);
        before == length && terminal.raw().len() == length
    });
    terminal.screen()
}

fn console(home: &Home) -> std::process::Command {
    let mut command = home.person_command(&["--key"]);
    command.arg(home.key());
    command
}

/// Asks for an action and returns what the daemon made of it.
fn ask(home: &Home, action: &Value) -> Asked {
    let file = home.root().join("action.json");
    let action = countersign_shared::json::canonical(action).expect("an action");
    std::fs::write(&file, action).expect("to write");
    let asked = home
        .agent(&["request", "--json", "--document", name_of(&file)])
        .expect_code(0);
    Asked::read(&asked.json())
}

fn name_of(path: &Path) -> &str {
    path.to_str().expect("a name")
}

/// Puts every text of the corpus into every field of some request.
fn ask_everything(home: &Home) -> Vec<String> {
    let texts: Vec<String> = corpus::texts().into_iter().map(|(_, text)| text).collect();
    assert!(texts.len() >= 40);
    let mut actions: Vec<Value> = texts.chunks(PER_REQUEST).flat_map(actions).collect();
    actions.push(bytes_everywhere());
    actions.iter().map(|action| ask(home, action).id).collect()
}

/// Two actions with these texts wherever a text may stand.
fn actions(texts: &[String]) -> [Value; 2] {
    let all = texts.join(" ");
    let first = texts.first().expect("a text");
    // Names hold at most 4096 bytes.
    let name: String = all.chars().take(900).collect();
    let named: Map<String, Value> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| {
            (
                format!("{at}{text}"),
                json!({ "nested": [text, { beginning(text): text }] }),
            )
        })
        .collect();
    let environment: Map<String, Value> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| {
            (
                format!("{at}{}", beginning(text).replace('=', "-")),
                json!(text),
            )
        })
        .collect();
    let context = json!({ "cwd": name, "ticket": name, "environment": environment });
    let claims = json!({ "agent": name, "reason": texts.join("\n"), "model": all });
    let data = json!([{
        "name": name, "classification": name, "access": "export", "records": 3, "destination": name,
    }]);
    let changed = json!([
        { "path": name, "before": { "text": format!("same\n{first}\n") }, "after": { "text": texts.join("\n") }, "mode": "0755" },
        { "path": first, "before": null, "after": { "text": all }, "mode": null },
    ]);
    let mut argv = vec!["psql".to_owned()];
    argv.extend_from_slice(texts);
    [
        json!({
            "v": 1, "kind": "file.write", "target": { "kind": "repository", "name": name },
            "arguments": named, "changes": changed, "data": data, "context": context, "claims": claims,
        }),
        json!({
            "v": 1, "kind": "exec.run", "target": { "kind": "host", "name": first.chars().take(900).collect::<String>() },
            "arguments": {
                "argv": argv,
                "program": { "path": format!("/usr/bin/{name}"), "sha256": "ab".repeat(32) },
                "stdin": { "text": all },
            },
            "context": context, "claims": claims,
        }),
    ]
}

/// What of a text fits in a name of an argument.
fn beginning(text: &str) -> String {
    text.chars().take(50).collect()
}

/// An action with bytes that are not text wherever bytes may stand.
fn bytes_everywhere() -> Value {
    let encoded: Vec<Value> = corpus::bytes()
        .iter()
        .map(|bytes| json!({ "base64": data_encoding::BASE64.encode(bytes) }))
        .collect();
    let contents = |bytes: &[u8]| json!({ "base64": data_encoding::BASE64.encode(bytes), "size": bytes.len() });
    let hostile = b"\xff\x1b[2J\n\x9b\x00\x07".as_slice();
    let mut argv = vec![json!("cat")];
    argv.extend(encoded.clone());
    json!({
        "v": 1, "kind": "exec.run", "target": { "kind": "host", "name": "bytes" },
        "arguments": {
            "argv": argv,
            "program": { "path": "/usr/bin/cat", "sha256": "ab".repeat(32) },
            "stdin": contents(hostile),
        },
        "changes": [{ "path": "b", "before": contents(b"\xfe\x1b]0;x\x07"), "after": contents(hostile), "mode": null }],
        "context": { "environment": { "BYTES": encoded.first() } },
    })
}

/// Tells whether a row begins with the gutter of agent text, or has it behind the queue's columns.
fn is_behind_a_gutter(row: &str) -> bool {
    let behind = |mark: &str| {
        row.split_once(mark)
            .is_some_and(|(before, _)| !before.contains(FORGED))
    };
    row.starts_with('│') || (row.contains(" req_") && behind("│")) || behind("┃ │")
}

/// Fails for anything that a terminal could obey, or that cannot be seen.
fn judge(written: &[u8]) {
    let terminal = emitted::Terminal::read(written);
    let first: Vec<_> = terminal.offences.iter().take(20).collect();
    assert!(
        first.is_empty(),
        "{} offences: {first:#?}",
        terminal.offences.len()
    );
    assert!(terminal.drawn > 1_000);
    // At most one for each quarter of a minute, whatever arrives.
    assert!(terminal.bells <= 12, "{} bells", terminal.bells);
    given_back(written);
}

/// Fails when a terminal was not left as it was found.
fn given_back(written: &[u8]) {
    let terminal = emitted::Terminal::read(written);
    assert_eq!(terminal.offences, Vec::<String>::new());
    let mut modes = terminal.modes;
    modes.sort_unstable();
    assert_eq!(modes, FOUND, "the modes in the end");
}

fn clean(what: &str, output: &str) {
    let offences = offences_of_lines(output);
    let first: Vec<_> = offences.iter().take(10).collect();
    assert!(
        first.is_empty(),
        "{what}: {} offences: {first:#?}",
        offences.len()
    );
}

#[test]
fn the_corpus_is_hostile() {
    for (name, text) in corpus::texts() {
        let plain = ["homoglyphs", "markup", "wide letters"].contains(&name);
        let changed = Printable::exact(&Untrusted::new(text.clone())).as_str() != text;
        assert!(changed || plain || text.contains(FORGED), "{name}");
    }
}
