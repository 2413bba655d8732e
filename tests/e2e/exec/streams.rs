//! What goes in and comes out while the daemon runs something.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use countersign_tests::{Running, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use super::{NOBODY, Place, SECRET};
use crate::asking::{held_as, show};

/// Starts `exec` with its output in a pipe that the test reads when it likes.
#[track_caller]
fn piped(place: &Place, input: Stdio) -> Child {
    let mut command = place
        .home
        .agent_command(&["exec", "--as", "deploy", "--", "tool"]);
    command.stdin(input).stdout(Stdio::piped());
    command.spawn().expect("it starts")
}

#[test]
fn standard_input_is_shown_and_nothing_else_is_fed() {
    let place = Place::new("cat", "");
    let input = place.root().join("input");
    fs::write(&input, "drop nothing\n").unwrap();
    let mut command = place
        .home
        .agent_command(&["exec", "--as", "deploy", "--", "tool"]);
    let file = fs::File::open(&input).unwrap();
    let (agent, asked) = held_as(&place.home, &mut command, Stdio::from(file));
    let shown = show(&place.home, &asked);
    let stdin = &shown["document"]["action"]["arguments"]["stdin"];
    assert_eq!(stdin["text"], "drop nothing\n", "{stdin}");
    fs::write(&input, "drop everything\n").unwrap();
    place.home.approve(&asked).expect_code(0);
    assert_eq!(agent.wait().expect_code(0).stdout, "drop nothing\n");
}

#[test]
fn input_that_is_streamed_is_called_so_and_goes_back_and_forth() {
    let script = "while read -r line; do echo \"<$line>\"; done; echo end";
    let place = Place::with_policy(script, "input = \"streamed\"", NOBODY);
    let mut agent = piped(&place, Stdio::piped());
    let mut stdin = agent.stdin.take().unwrap();
    let mut stdout = agent.stdout.take().unwrap();
    for line in ["one", "two"] {
        writeln!(stdin, "{line}").unwrap();
        let expected = format!("<{line}>\n");
        let mut answer = vec![0; expected.len()];
        stdout.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "end\n");
    assert!(agent.wait().unwrap().success());
    let id = place.home.list()[0]["id"].as_str().unwrap().to_owned();
    let shown = place
        .home
        .person(&["show", &id, "--json"])
        .expect_code(0)
        .json();
    assert_eq!(
        shown["document"]["action"]["arguments"]["profile"]["input"],
        "streamed"
    );
}

#[test]
fn a_slow_reader_makes_the_program_wait_and_gets_every_byte() {
    // Far more than all the buffers on the way.
    let script = "head -c 30000000 /dev/zero | tr '\\0' x; touch written";
    let place = Place::with_policy(script, "", NOBODY);
    let mut agent = piped(&place, Stdio::null());
    let mut stdout = agent.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    place.home.wait_for_state("running");
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(
        !place.work().join("written").exists(),
        "nobody read, and all was written"
    );
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() + 1, 30_000_000);
    assert!(rest.iter().all(|byte| *byte == b'x'));
    assert!(agent.wait().unwrap().success());
    assert!(place.work().join("written").exists());
}

/// Returns how many bytes a process has written, as the kernel counts them.
fn written(process: u32) -> u64 {
    let counts = fs::read_to_string(format!("/proc/{process}/io")).expect("its counts");
    let line = counts.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|count| count.parse().ok()).expect("a count")
}

#[test]
fn output_that_nobody_takes_does_not_keep_a_signal_from_the_program() {
    let script = "trap 'touch told; exit 5' INT; head -c 30000000 /dev/zero & wait";
    let place = Place::with_policy(script, "", NOBODY);
    let mut agent = piped(&place, Stdio::null());
    let mut stdout = agent.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1]).unwrap();
    place.home.wait_for_state("running");
    // More than the pipe to us holds.
    wait_until("the agent waits for its reader", || {
        written(agent.id()) > 60_000
    });
    let pid = i32::try_from(agent.id()).ok().and_then(Pid::from_raw);
    let interrupt = || kill_process(pid.expect("a process"), Signal::INT).expect("it is there");
    interrupt();
    wait_until("the program heard of it", || {
        place.work().join("told").exists()
    });
    // Its end stands behind the output. Whoever asks again does not want that.
    let mut ended = None;
    wait_until("nobody waits for what nobody takes", || {
        interrupt();
        ended = agent.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
    wait_until("it is over", || place.home.list()[0]["state"] != "running");
}

#[test]
fn a_secret_is_masked_however_the_program_writes_it() {
    let script = "printf '%s' \"$TOKEN\" | while IFS= read -r -n1 c; do printf '%s' \"$c\"; sleep 0.02; done\n\
                  echo; printf '%s' \"$TOKEN\" | base64; printf 'user:%s' \"$TOKEN\" | base64\n\
                  cat /proc/$$/environ | tr '\\0' '\\n'; printf '%s' \"$TOKEN\" | od -An -tx1 | tr -d ' \\n'";
    // `read -n1` is not in every sh.
    let place = Place::with_policy("", "", NOBODY);
    fs::write(place.tool(), format!("#!/bin/bash\n{script}\n")).unwrap();
    let ran = place.run(&["--", "tool"]).expect_code(0);
    assert!(!ran.stdout.contains(SECRET), "{ran:?}");
    assert!(!ran.stdout.contains("aHVudGVyMi1odW50ZXIy"), "{ran:?}");
    assert!(!ran.stdout.contains("68756e746572322d"), "{ran:?}");
    assert!(ran.stdout.contains("TOKEN=[masked TOKEN]"), "{ran:?}");
    assert!(ran.stdout.matches("[masked TOKEN]").count() >= 4, "{ran:?}");
}

#[test]
fn a_secret_in_a_file_of_its_own_is_there_for_the_program_alone() {
    let script = "ls -l \"$KEY\" | cut -c1-10; cat \"$KEY\"; env | grep -c hunter2";
    let place = Place::with_policy(script, "", NOBODY);
    let root = place.root().display().to_string();
    let text = format!(
        "[profile.deploy]\nprograms = [\"{root}/tool\"]\ndirectories = [\"{root}/work\"]\n\
         [profile.deploy.secrets]\nKEY = {{ command = [\"/bin/cat\", \"{root}/secret\"], as = \"file\" }}\n"
    );
    place.take_profiles(&text);
    let ran = place.run(&["--", "tool"]);
    assert_eq!(ran.stdout, "-r--------\n[masked KEY]\n0\n", "{ran:?}");
}

#[test]
fn a_signal_to_the_agent_reaches_the_program() {
    let script = "trap 'exit 7' INT\ntouch up\nwhile :; do sleep 0.05; done";
    let place = Place::with_policy(script, "", NOBODY);
    let agent = place.start(&["--", "tool"]);
    wait_until("the program runs", || place.work().join("up").exists());
    agent.signal(Signal::INT);
    agent.wait().expect_code(7);
    assert_eq!(place.home.list()[0]["state"], "failed");
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let place = Place::with_policy("yes", "", NOBODY);
    let mut agent = piped(&place, Stdio::null());
    let mut some = [0; 10];
    agent.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(141));
    place.home.wait_for_state("killed");
}

#[test]
fn many_run_at_once_and_each_has_its_own_output() {
    let place = Place::with_policy("sleep 0.1; echo \"$1\"", "", NOBODY);
    let all: Vec<(String, Running)> = (0..12)
        .map(|number| {
            let word = format!("run-{number}");
            let running = place.start(&["--", "tool", &word]);
            (word, running)
        })
        .collect();
    for (word, running) in all {
        assert_eq!(running.wait().expect_code(0).stdout, format!("{word}\n"));
    }
}

#[test]
fn a_server_that_the_daemon_runs_works_with_a_token_that_its_client_never_sees() {
    let script = "while read -r line; do case $line in\n\
        *initialize*) echo '{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"token\":\"'\"$TOKEN\"'\"}}';;\n\
        *) echo \"$line\" >>called;; esac; done";
    let place = Place::with_policy(script, "input = \"streamed\"", NOBODY);
    let mut command = place
        .home
        .agent_command(&["mcp", "--as", "deploy", "--name", "db", "--", "tool"]);
    let mut client = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    let mut answered = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    writeln!(
        stdin,
        r#"{{"id":1,"jsonrpc":"2.0","method":"initialize","params":{{}}}}"#
    )
    .unwrap();
    let answer = answered();
    assert!(answer.contains("[masked TOKEN]"), "{answer}");
    // Running the server is one thing, calling its tools another.
    let call =
        r#"{"id":2,"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop","arguments":{}}}"#;
    writeln!(stdin, "{call}").unwrap();
    let asked = place.home.wait_for_state("pending");
    place.home.deny(&asked, "not this one").expect_code(0);
    let answer = answered();
    assert!(
        answer.contains("not this one") && answer.contains("isError"),
        "{answer}"
    );
    drop(stdin);
    assert!(client.wait().unwrap().success());
    assert!(!place.work().join("called").exists());
    let server = place
        .home
        .list()
        .into_iter()
        .find(|listed| listed["kind"] == "exec.run")
        .unwrap();
    assert_eq!(server["state"], "succeeded");
}

#[test]
fn a_reviewer_watches_what_runs_without_its_secrets_and_nothing_of_it_acts() {
    let script = "touch up; while [ ! -e end ]; do printf 'a \\033[31m%s\\n' \"$TOKEN\"; \
                  printf 'e\\n' >&2; sleep 0.05; done";
    let place = Place::with_policy(script, "", NOBODY);
    let agent = place.start(&["--", "tool"]);
    wait_until("the program runs", || place.work().join("up").exists());
    let id = place.home.list()[0]["id"].as_str().unwrap().to_owned();
    let mut command = place.home.person_command(&["output", &id]);
    let mut watching = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut watched = BufReader::new(watching.stdout.take().unwrap());
    let mut seen = String::new();
    while !(seen.contains("a ") && seen.contains("stderr: e")) {
        assert_ne!(watched.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    fs::write(place.work().join("end"), "").unwrap();
    watched.read_to_string(&mut seen).unwrap();
    // It ends with the run, and well.
    assert!(watching.wait().unwrap().success());
    assert!(
        seen.contains("[masked TOKEN]") && !seen.contains(SECRET),
        "{seen}"
    );
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
    let ran = agent.wait().expect_code(0);
    assert!(
        ran.stdout.contains("a \u{1b}[31m[masked TOKEN]\n"),
        "{ran:?}"
    );
    let late = place.home.person(&["output", &id]);
    assert_ne!(late.code, 0);
    assert!(late.stderr.contains("does not run it now"), "{late:?}");
}
