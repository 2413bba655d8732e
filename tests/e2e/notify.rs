//! Telling on the desktop: a real session bus, a notification server, the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_tests::desktop::{self, Desktop};
use countersign_tests::process::run;
use countersign_tests::{Home, Running, Terminal, wait_until};
use rustix::process::Signal;

use crate::asking::request;

/// `countersign notify` for a home, at the bus whose socket lies in a directory.
fn command(home: &Home, bus: &Path) -> Command {
    let mut command = home.person_command(&["notify", "--config"]);
    command.arg(home.root().join("notify.toml"));
    command.env("DBUS_SESSION_BUS_ADDRESS", desktop::address(bus));
    // Quiet hours are of the local day.
    command.env("TZ", "UTC");
    command
}

/// The hour of the day that is so many hours from now.
fn hour_from_now(hours: i64) -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    (now.tv_sec / 3600 + hours) % 24
}

/// Where a program started by [`start`] writes what it has to say.
fn journal(home: &Home) -> PathBuf {
    home.root().join("notify.log")
}

/// Starts it as a service would be, and waits until it follows the daemon.
#[track_caller]
fn start(home: &Home, bus: &Path) -> Running {
    let inner = command(home, bus);
    let mut through = Command::new("sh");
    home.furnish(&mut through);
    for (name, value) in inner.get_envs() {
        through.env(name, value.expect("nothing is taken out"));
    }
    through
        .args(["-c", "exec 2>\"$1\"; shift; exec \"$@\"", "-"])
        .arg(journal(home))
        .arg(inner.get_program())
        .args(inner.get_args());
    let running = Running::start(&mut through, Stdio::null());
    wait_until_it_says(home, "connected");
    running
}

#[track_caller]
fn wait_until_it_says(home: &Home, text: &str) {
    wait_until(text, || {
        fs::read_to_string(journal(home)).is_ok_and(|said| said.contains(text))
    });
}

#[test]
fn a_bubble_tells_tier_kind_and_class_and_goes_when_somebody_else_decided() {
    let home = Home::new();
    let desktop = Desktop::start(&home.make_dir("bus"));
    let notify = start(&home, &home.root().join("bus"));
    // Everything an agent can write where a bubble might show it.
    let evil = "<b>x</b>&\u{1b}]0;PWNED\u{7}";
    let hostile = home.agent(&[
        "request",
        "--kind",
        "data.export",
        "--target",
        evil,
        "--reason",
        evil,
        "--json",
    ]);
    let asked = countersign_tests::home::Asked::read(&hostile.expect_code(0).json());
    let bubble = desktop.wait_for(1);
    // The target hides characters, which raises the tier.
    assert_eq!(bubble.summary, "HIGH: data.export waits for a decision");
    assert!(bubble.body.starts_with("Target: "), "{}", bubble.body);
    for text in ["x</b>", "PWNED", "<", "\u{1b}", asked.id.as_str()] {
        let all = format!("{}{}", bubble.summary, bubble.body);
        assert!(!all.contains(text), "{all}");
    }
    assert_eq!(
        (bubble.app.as_str(), bubble.urgency),
        ("Countersign", Some(2))
    );
    // There is nothing to approve with.
    assert_eq!(bubble.actions, ["default", "Open", "open", "Open"]);
    home.deny(&asked, "not now").expect_code(0);
    desktop.wait_until_closed(bubble.id);
    notify.signal(Signal::TERM);
    let ran = notify.wait().expect_code(0);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_burst_is_one_more_bubble_with_counts_and_an_escalation_is_told() {
    let home = Home::new();
    let desktop = Desktop::start(&home.make_dir("bus"));
    let notify = start(&home, &home.root().join("bus"));
    let first = request(&home, "orders");
    desktop.wait_for(1);
    for number in 0..4 {
        request(&home, &format!("orders-{number}"));
    }
    home.person(&["escalate", &first.id, "--reason", "two pairs of eyes"])
        .expect_code(0);
    let bubble = desktop.wait_for(2);
    assert_eq!(bubble.summary, "5 requests need you");
    assert_eq!(bubble.body, "5 medium, 1 escalated.");
    let paced = bubble.at.duration_since(desktop.bubbles()[0].at);
    assert!(paced.as_millis() >= 14_900, "{paced:?}");
    // The first was taken away for it.
    desktop.wait_until_closed(1);
    // With the program, its bubble goes.
    notify.signal(Signal::INT);
    notify.wait().expect_code(0);
    desktop.wait_until_closed(bubble.id);
}

#[test]
fn in_quiet_hours_only_what_is_high_is_told() {
    let home = Home::new();
    let desktop = Desktop::start(&home.make_dir("bus"));
    let quiet = format!(
        "quiet_hours = \"{:02}:00-{:02}:00\"\n",
        hour_from_now(23),
        hour_from_now(2)
    );
    fs::write(home.root().join("notify.toml"), quiet).expect("settings");
    let notify = start(&home, &home.root().join("bus"));
    request(&home, "orders");
    // A target that hides characters raises the tier.
    request(&home, "orders\u{202e}");
    let bubble = desktop.wait_for(1);
    assert_eq!(bubble.summary, "HIGH: data.export waits for a decision");
    assert!(bubble.body.ends_with("1 more waits."), "{}", bubble.body);
    notify.signal(Signal::TERM);
    notify.wait().expect_code(0);
    assert_eq!(desktop.bubbles().len(), 1);
}

#[test]
fn what_is_about_to_expire_is_told_once_more() {
    let home = Home::with("ttl = \"18s\"\n");
    let desktop = Desktop::start(&home.make_dir("bus"));
    let notify = start(&home, &home.root().join("bus"));
    request(&home, "orders");
    let new = desktop.wait_for(1);
    assert_eq!(new.summary, "MED: data.export waits for a decision");
    let last = desktop.wait_for(2);
    assert_eq!(last.summary, "MED: data.export is about to expire");
    // Bubbles come once in 15 s: by then less than a quarter of its time is left, and that more eyes
    // were called for at half of it goes with that.
    let after = last.at.duration_since(new.at).as_millis();
    assert!((14_900..18_000).contains(&after), "{after}");
    // When its time is over there is nothing left to look at.
    desktop.wait_until_closed(last.id);
    notify.signal(Signal::TERM);
    notify.wait().expect_code(0);
}

#[test]
fn open_starts_the_console_on_that_request_in_the_configured_terminal() {
    let home = Home::new();
    let script = home.root().join("terminal");
    let words = home.root().join("words");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >'{0}.new'\nmv '{0}.new' '{0}'\n",
        words.display()
    );
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a script");
    let settings = format!("terminal = [\"{}\", \"-e\"]\n", script.display());
    fs::write(home.root().join("notify.toml"), settings).expect("settings");
    let desktop = Desktop::start(&home.make_dir("bus"));
    let notify = start(&home, &home.root().join("bus"));
    request(&home, "customers");
    let asked = request(&home, "orders");
    // Whichever of the two was told first: it is the one that opens.
    let bubble = desktop.wait_for(1);
    // The program begins to listen a moment after the bubble stands; a person takes longer.
    let started = countersign_tests::wait::wait_at_most(std::time::Duration::from_secs(10), || {
        desktop.press(&bubble, "open");
        words.exists().then_some(())
    });
    assert!(
        started.is_some(),
        "{}",
        fs::read_to_string(journal(&home)).expect("a journal")
    );
    // This server, as some do, leaves the bubble to the program.
    desktop.wait_until_closed(bubble.id);
    let words = fs::read_to_string(&words).expect("what the terminal was given");
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(words.first(), Some(&"-e"), "{words:?}");
    let at = words
        .iter()
        .position(|word| *word == "--open")
        .expect("a request");
    let opened = words.get(at + 1).expect("its id");
    assert!(
        home.list().iter().any(|listed| listed["id"] == *opened),
        "{words:?}"
    );
    drop(notify);
    // And so the console begins.
    let mut console = home.person_command(&["--open", &asked.id, "--quiet", "--key"]);
    let console = Terminal::start(console.arg(home.key()), 100, 30);
    let screen = console.wait_for("1 What");
    assert!(
        screen.contains(&asked.id) && screen.contains("NOT ARMED"),
        "{screen}"
    );
}

#[test]
fn bus_and_daemon_may_go_and_come_back() {
    let mut home = Home::new();
    let directory = home.make_dir("bus");
    // Neither is there at first.
    home.stop();
    let inner = command(&home, &directory);
    let mut through = Command::new("sh");
    home.furnish(&mut through);
    for (name, value) in inner.get_envs() {
        through.env(name, value.expect("nothing is taken out"));
    }
    through
        .args(["-c", "exec 2>\"$1\"; shift; exec \"$@\"", "-"])
        .arg(journal(&home))
        .arg(inner.get_program())
        .args(inner.get_args());
    let mut notify = Running::start(&mut through, Stdio::null());
    wait_until_it_says(&home, "no connection to the daemon");
    home.start();
    let asked = request(&home, "orders");
    wait_until_it_says(&home, "no notification server answers on the session bus");
    let desktop = Desktop::start(&directory);
    // What could not be shown is shown once it can be.
    let bubble = desktop.wait_for(1);
    assert_eq!(bubble.summary, "MED: data.export waits for a decision");
    wait_until_it_says(&home, "a notification server answers again");
    desktop.bus().signal(Signal::KILL);
    drop(desktop);
    home.kill();
    home.start();
    let desktop = Desktop::start(&directory);
    request(&home, "customers");
    let bubble = desktop.wait_for(1);
    // What was told already is not told again because the daemon was away.
    assert_eq!(bubble.summary, "MED: data.export waits for a decision");
    assert!(bubble.body.ends_with("1 more waits."), "{}", bubble.body);
    assert_eq!(home.look(&asked.id).state, "pending");
    assert!(!notify.has_ended());
    let said = fs::read_to_string(journal(&home)).expect("a journal");
    let complaints = said.matches("no notification server").count();
    assert_eq!(complaints, 1, "{said}");
}

#[test]
fn without_a_bus_one_line_says_so_and_the_terminal_is_told() {
    let home = Home::new();
    let nowhere = home.make_dir("nowhere");
    let terminal = Terminal::start(&command(&home, &nowhere), 120, 20);
    terminal.wait_for("connected, 0 requests wait");
    request(&home, "orders");
    let screen = terminal.wait_for("MED: data.export waits for a decision");
    let says = "no notification server answers on the session bus";
    assert_eq!(screen.matches(says).count(), 1, "{screen}");
    assert!(screen.contains("what waits is told here"), "{screen}");
    assert!(terminal.raw().contains(&0x07));
    let doctor = home.person(&["doctor"]).expect_code(1).stdout;
    assert!(doctor.contains("ok   notifications: "), "{doctor}");
}

#[test]
fn test_and_install_say_what_they_did() {
    let home = Home::new();
    let directory = home.make_dir("bus");
    let with = |more: &str| {
        let mut command = command(&home, &directory);
        command.env("XDG_CONFIG_HOME", home.root().join("config"));
        // No manager of the machine that runs this test is to take the unit up.
        command.env("PATH", home.root());
        command.arg(more);
        command
    };
    let refused = run(&mut with("--test")).expect_code(1);
    assert!(
        refused.stderr.contains("no notification server answers"),
        "{}",
        refused.stderr
    );
    let desktop = Desktop::start(&directory);
    let shown = Running::start(&mut with("--test"), Stdio::null());
    let bubble = desktop.wait_for(1);
    assert_eq!(bubble.summary, "Countersign can reach you");
    wait_until("the test ends", || {
        desktop.press(&bubble, "open");
        desktop.bubbles()[0].is_closed
    });
    let ran = shown.wait().expect_code(0);
    for says in [
        "server: remembering 1.0",
        "a bubble was shown",
        "the daemon answers",
    ] {
        assert!(ran.stdout.contains(says), "{}", ran.stdout);
    }
    let installed = run(&mut with("--install")).expect_code(0);
    let unit = home
        .root()
        .join("config/systemd/user/countersign-notify.service");
    assert!(
        installed
            .stdout
            .contains(unit.to_str().expect("a path in UTF-8")),
        "{}",
        installed.stdout
    );
    assert!(
        installed.stderr.contains("enable --now"),
        "{}",
        installed.stderr
    );
    let text = fs::read_to_string(unit).expect("the unit");
    let starts = text
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .expect("a command");
    assert!(starts.ends_with(" notify"), "{starts}");
    fs::write(
        home.root().join("notify.toml"),
        "ring = \"bell\"\nquiet = true\n",
    )
    .expect("settings");
    let wrong = run(&mut with("--test")).expect_code(2);
    assert!(
        wrong
            .stderr
            .contains("notify.toml:2: unknown field `quiet`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn the_console_rings_as_it_is_told_to_and_not_at_all_when_quiet() {
    let home = Home::new();
    let config = home.make_dir("config/countersign");
    fs::write(config.join("notify.toml"), "ring = \"osc777\"\n").expect("settings");
    let console = |more: &[&str], tmux: Option<&str>| {
        let mut command = home.person_command(more);
        command.arg("--key").arg(home.key());
        command.env("XDG_CONFIG_HOME", home.root().join("config"));
        if let Some(tmux) = tmux {
            command.env("TMUX", tmux);
        }
        Terminal::start(&command, 100, 30)
    };
    let plain = console(&[], None);
    let wrapped = console(&[], Some("/tmp/tmux,1,0"));
    let quiet = console(&["--quiet"], None);
    for terminal in [&plain, &wrapped, &quiet] {
        terminal.wait_for("Queue clear.");
    }
    request(&home, "orders");
    for terminal in [&plain, &wrapped, &quiet] {
        terminal.wait_for("data.export");
    }
    let holds = |terminal: &Terminal, bytes: &[u8]| {
        let raw = terminal.raw();
        raw.windows(bytes.len()).any(|window| window == bytes)
    };
    let text = "777;notify;Countersign;a request waits for a decision\x07";
    let (bare, inside) = (
        format!("\x1b]{text}"),
        format!("\x1bPtmux;\x1b\x1b]{text}\x1b\\"),
    );
    wait_until("it rings", || {
        holds(&plain, bare.as_bytes()) && holds(&wrapped, inside.as_bytes())
    });
    assert!(!holds(&plain, inside.as_bytes()));
    assert!(!holds(&quiet, b"777") && !holds(&quiet, b"\x07"));
}
