//! The log handed out by the real programs, checked where none of them is, and changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_tests::home::Asked;
use countersign_tests::process::run;
use countersign_tests::{Home, Ran};

use crate::asking::{document, redeem};

/// A home whose log tells of a run, a denial and a request that nobody decided.
fn lived() -> Home {
    let mut home = Home::new();
    let ask = |home: &Home, target: &str| {
        let data = format!("{target},access=read,records=7");
        let statement = format!("statement=SELECT * FROM {target}");
        let ran = home.agent(&[
            "request",
            "--kind",
            "sql.exec",
            "--target",
            target,
            "--argument",
            &statement,
            "--agent",
            "report-1",
            "--data",
            &data,
            "--json",
        ]);
        Asked::read(&ran.expect_code(0).json())
    };
    let exported = ask(&home, "crm");
    home.approve(&exported).expect_code(0);
    let exact = document(&home, &exported);
    redeem(&home, &exported, &exact).expect_code(0);
    home.agent(&["report", &exported.id, "--outcome", "succeeded"])
        .expect_code(0);
    let denied = ask(&home, "hr");
    home.deny(&denied, "not in the change window")
        .expect_code(0);
    home.stop();
    // Other rules, so that nobody has time to decide, and the log has a change of them.
    home.configure("ttl = \"2s\"\n");
    home.start();
    let expired = ask(&home, "left");
    home.wait_until_state(&expired.id, "expired");
    home.stop();
    home
}

fn export(home: &Home, format: &str, name: &str) -> PathBuf {
    let output = home.root().join(name);
    let path = output.to_str().expect("a path in UTF-8");
    run(&mut home.person_command(&["export", format, "--output", path])).expect_code(0);
    output
}

/// Runs a pack's script on a PATH with nothing but what it says it needs.
pub(crate) fn verify_by_script(home: &Home, pack: &Path) -> Ran {
    let tools = home.make_dir("tools");
    for name in ["sh", "sha256sum", "ssh-keygen", "python3"] {
        let link = tools.join(name);
        if !link.exists() {
            symlink(installed(name), link).expect("a link");
        }
    }
    let mut command = Command::new(tools.join("sh"));
    command.env_clear().env("PATH", &tools);
    run(command.arg(pack.join("verify.sh")))
}

/// Returns a program on the PATH; where that is a script around python3, what the script runs.
fn installed(name: &str) -> PathBuf {
    if name == "python3" {
        let itself = "import os, sys; print(os.path.realpath(sys.executable))";
        let ran = run(Command::new(name).args(["-c", itself])).expect_code(0);
        return ran.stdout.trim().into();
    }
    let path = std::env::var_os("PATH").expect("a PATH");
    let program = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    fs::canonicalize(program.expect(name)).expect("a path")
}

/// Renews the manifest, as whoever changes a pack would.
fn renew_manifest(pack: &Path) {
    let mut find = Command::new("sh");
    let script = "find . -type f ! -name manifest.sha256 | sed 's|^[.]/||' | xargs sha256sum";
    let ran = run(find.args(["-c", script]).current_dir(pack)).expect_code(0);
    fs::write(pack.join("manifest.sha256"), ran.stdout).expect("to write");
}

#[test]
fn a_pack_of_a_lived_log_is_good_without_our_programs_and_refused_once_it_was_changed() {
    let home = lived();
    let pack = export(&home, "evidence", "pack");
    let good = verify_by_script(&home, &pack).expect_code(0);
    assert!(
        good.stdout.contains("the log's key is believed"),
        "{good:?}"
    );
    let vkey = home.path().join("log.vkey");
    let path = pack.to_str().unwrap();
    let ours = home.person(&["verify", path]).expect_code(0).stdout;
    assert!(
        ours.contains("3 requests, 2 decisions by 1 people"),
        "{ours}"
    );
    // Our program believes a key that was noted elsewhere, on a machine without a home as well.
    let elsewhere = run(
        Command::new(countersign_tests::programs::program("countersignd"))
            .env_clear()
            .env("HOME", home.make_dir("elsewhere"))
            .args(["verify", path, "--vkey", vkey.to_str().unwrap()]),
    );
    elsewhere.expect_code(0);

    let whole = |name: &str| fs::read_to_string(pack.join(name)).unwrap();
    let population = whole("population.csv");
    assert_eq!(population.lines().count(), 4, "{population}");
    for state in ["succeeded", "denied", "expired"] {
        assert!(population.contains(state), "{population}");
    }
    let usage = whole("usage.csv");
    assert!(usage.contains("crm") && !usage.contains("hr"), "{usage}");

    let entries = whole("entries.jsonl");
    let line = |kind: &str| {
        let mark = format!("\"type\":\"{kind}\"");
        entries.lines().find(|line| line.contains(&mark)).unwrap()
    };
    let without_denial = entries.replace(&format!("{}\n", line("request.denied")), "");
    let row = population
        .lines()
        .find(|row| row.contains(",denied,"))
        .unwrap();
    let allowed: PathBuf = fs::read_dir(pack.join("allowed_signers"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .next()
        .unwrap();
    let allowed = allowed.strip_prefix(&pack).unwrap().to_str().unwrap();
    for (name, changed, place) in [
        (
            "entries.jsonl",
            entries.replace("not in the change window", "never mind"),
            "entry ",
        ),
        ("entries.jsonl", without_denial, "entry "),
        (
            "population.csv",
            population.replace(&format!("{row}\r\n"), ""),
            "population.csv",
        ),
        (
            "checkpoint",
            whole("checkpoint").replacen('\n', "\n1", 1),
            "",
        ),
        (allowed, String::new(), allowed),
    ] {
        let before = whole(name);
        assert_ne!(before, changed, "nothing of `{name}` was changed");
        fs::write(pack.join(name), changed).unwrap();
        renew_manifest(&pack);
        let refused = verify_by_script(&home, &pack).expect_code(9);
        assert!(refused.stderr.contains("NOT GOOD"), "{refused:?}");
        assert!(refused.stderr.contains(place), "{name}: {refused:?}");
        fs::write(pack.join(name), before).unwrap();
    }
    renew_manifest(&pack);
    verify_by_script(&home, &pack).expect_code(0);
}

#[test]
fn tiles_and_files_are_exported_counted_and_checked() {
    let home = lived();
    let tiles = export(&home, "tiles", "log");
    let path = tiles.to_str().unwrap();
    home.person(&["verify", path]).expect_code(0);
    for (format, mark) in [
        ("jsonl", "\"type\":\"data.accessed\""),
        ("csv", "data.accessed"),
        ("ocsf", "\"class_uid\":6003"),
        ("cef", "CEF:0|"),
    ] {
        let file = export(&home, format, &format!("log.{format}"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(mark), "{format}: {text}");
        // What is there is left alone.
        let path = file.to_str().unwrap();
        run(&mut home.person_command(&["export", format, "--output", path])).expect_code(1);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    let usage = run(&mut home.person_command(&["usage", "--by", "data", "--json"]));
    let usage = usage.expect_code(0).json();
    assert_eq!(usage["usage"].as_array().unwrap().len(), 1);
    assert_eq!(usage["usage"][0]["name"], "crm");
    assert_eq!(usage["usage"][0]["agents"][0], "report-1");
    assert_eq!(usage["usage"][0]["outcome"]["succeeded"], 1);
    let since = run(&mut home.person_command(&["usage", "--by", "agent", "--since", "2100-01-01"]));
    assert_eq!(since.expect_code(0).stdout, "no data was used\n");

    let bundle = tiles.join("tile/entries");
    let file = fs::read_dir(&bundle)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let file = if file.is_dir() {
        fs::read_dir(&file).unwrap().next().unwrap().unwrap().path()
    } else {
        file
    };
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = home.person(&["verify", path]).expect_code(9);
    assert!(refused.stdout.contains("entry "), "{refused:?}");
    let nothing = home.make_dir("nothing");
    home.person(&["verify", nothing.to_str().unwrap()])
        .expect_code(1);
}

#[test]
fn a_log_that_was_tampered_with_is_not_exported() {
    let home = lived();
    let database = rusqlite::Connection::open(home.path().join("state.db")).unwrap();
    let changed = database
        .execute(
            "UPDATE audit_leaf SET data = CAST(replace(CAST(data AS TEXT), 'change window', 'ch4nge window')
             AS BLOB) WHERE data LIKE '%change window%'",
            [],
        )
        .unwrap();
    assert!(changed > 0);
    drop(database);
    for (format, name) in [
        ("jsonl", "log.jsonl"),
        ("evidence", "pack"),
        ("tiles", "log"),
    ] {
        let output = home.root().join(name);
        let path = output.to_str().unwrap();
        run(&mut home.person_command(&["export", format, "--output", path])).expect_code(9);
        assert!(!output.exists(), "{format}");
    }
}

#[test]
fn the_key_that_a_pack_names_itself_is_believed_only_where_no_home_is() {
    let home = lived();
    let pack = export(&home, "evidence", "pack");
    let path = pack.to_str().expect("a path in UTF-8");
    let own = home.person(&["verify", path, "--json"]).expect_code(0);
    assert_eq!(own.json()["key"], "home");
    let stranger = Home::new();
    let nowhere = stranger.root().join("nowhere");
    let mut alone = stranger.command(countersign_tests::programs::DAEMON);
    alone
        .env_remove("COUNTERSIGN_HOME")
        .env("HOME", &nowhere)
        .env("XDG_CONFIG_HOME", &nowhere)
        .env("XDG_DATA_HOME", &nowhere);
    let alone = run(alone.args(["verify", path, "--json"])).expect_code(0);
    assert_eq!(alone.json()["key"], "pack");
    // A home of another log, and one that cannot be read, are no reason to believe the pack.
    let mut other = stranger.command(countersign_tests::programs::DAEMON);
    other
        .arg("--home")
        .arg(stranger.path())
        .args(["verify", path]);
    let other = run(&mut other).expect_code(1);
    assert!(other.stderr.contains("is of another log"), "{other:?}");
    let config = home.path().join("countersign.toml");
    fs::write(&config, "mode = \"neither\"\n").expect("to write");
    home.person(&["verify", path, "--json"]).expect_code(1);
}
