//! How a run of the daemon's ends: by a reviewer, by its limits, with its asker, with the daemon.

use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_tests::home::Asked;
use countersign_tests::{Running, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use super::{NOBODY, Place};
use crate::asking::show;

/// Leaves behind what would like to live on: a child, one in a session of its own, and one that ignores
/// every signal that can be ignored. Each writes its number.
const FAMILY: &str = "trap 'touch asked' TERM\n\
    sleep 1000 & echo $! >>pids\n\
    setsid sh -c 'echo $$ >>pids; exec sleep 1000' &\n\
    setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >>pids; while :; do sleep 1000; done' &\n\
    while [ \"$(wc -l <pids)\" -lt 3 ]; do sleep 0.02; done\n\
    echo $$ >>pids; touch up\n\
    while :; do sleep 0.05; done";

impl Place {
    /// Waits until a family runs, and returns the numbers of its members.
    #[track_caller]
    fn family(&self) -> Vec<u32> {
        wait_until("the program runs", || self.work().join("up").exists());
        let pids = fs::read_to_string(self.work().join("pids")).expect("the numbers");
        let pids: Vec<u32> = pids
            .lines()
            .map(|pid| pid.parse().expect("a number"))
            .collect();
        assert_eq!(pids.len(), 4);
        assert!(pids.iter().all(|pid| lives(*pid)));
        pids
    }

    #[track_caller]
    fn approved(&self, arguments: &[&str]) -> (Running, Asked) {
        let (agent, asked) = self.held(arguments);
        self.home.approve(&asked).expect_code(0);
        (agent, asked)
    }
}

/// Waits until nobody of a family is left.
#[track_caller]
fn gone(family: &[u32]) {
    wait_until("all of it is gone", || {
        !family.iter().any(|pid| lives(*pid))
    });
}

/// Tells whether a process is there and not only waiting to be taken in.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        state != Some('Z')
    })
}

/// Returns the temporary directories of runs that are there.
fn temporaries() -> Vec<String> {
    let entries = fs::read_dir("/tmp")
        .expect("a directory")
        .filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.len() == "countersign-".len() + 32 && name.starts_with("countersign-"))
        .collect()
}

#[test]
fn a_reviewer_ends_a_run_with_everything_that_came_of_it() {
    let place = Place::new(FAMILY, "");
    let (agent, asked) = place.approved(&["--", "tool"]);
    let family = place.family();
    place.home.wait_until_state(&asked.id, "running");
    place
        .home
        .person(&["kill", &asked.id, "--reason", "wrong database"])
        .expect_code(0);
    let ran = agent.wait();
    assert!(ran.code > 128, "{ran:?}");
    assert!(ran.stderr.contains("a reviewer ended it"), "{ran:?}");
    // It was asked before it was killed.
    assert!(place.work().join("asked").exists());
    gone(&family);
    place.home.wait_until_state(&asked.id, "killed");
    place.home.person(&["verify"]).expect_code(0);
}

#[test]
fn what_lost_its_parent_and_ended_is_taken_in_while_the_program_runs() {
    let script = "for number in 1 2 3 4 5 6 7 8 9; do (true &); done; sleep 0.6; \
                  cat /proc/[0-9]*/stat 2>/dev/null | awk -v warden=$PPID \
                  '$3 == \"Z\" && $4 == warden { left++ } END { print left + 0 }'";
    let place = Place::with_policy(script, "", NOBODY);
    let ran = place.run(&["--", "tool"]).expect_code(0);
    assert_eq!(ran.stdout, "0\n");
}

#[test]
fn a_run_ends_with_its_asker_while_the_log_cannot_be_written() {
    let place = Place::new(FAMILY, "");
    let (agent, _) = place.approved(&["--", "tool"]);
    // Held before its start is written, or soon after.
    let first = place.work().join("pids");
    while !first.exists() {
        std::thread::sleep(Duration::from_micros(100));
    }
    let database = rusqlite::Connection::open(place.home.path().join("state.db")).expect("opens");
    database.busy_timeout(Duration::from_secs(5)).expect("set");
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let family = place.family();
    agent.signal(Signal::KILL);
    drop(agent.wait());
    gone(&family);
    database.execute_batch("ROLLBACK").expect("unlocked");
}

#[test]
fn a_run_ends_with_its_asker() {
    let place = Place::new(FAMILY, "");
    let (agent, asked) = place.approved(&["--", "tool"]);
    let family = place.family();
    agent.signal(Signal::KILL);
    drop(agent.wait());
    gone(&family);
    place.home.wait_until_state(&asked.id, "killed");
}

#[test]
fn a_daemon_that_is_killed_takes_its_runs_along_and_says_that_nobody_knows() {
    let mut place = Place::new(FAMILY, "");
    let (agent, asked) = place.approved(&["--", "tool"]);
    let family = place.family();
    place.home.wait_until_state(&asked.id, "running");
    drop(place.home.kill());
    gone(&family);
    let ran = agent.wait().expect_code(125);
    assert!(ran.stderr.contains(&asked.id), "{ran:?}");
    place.home.start();
    assert_eq!(place.home.look(&asked.id).state, "indeterminate");
    // Whoever asked saw nothing of it, and is not believed.
    let report = ["report", &asked.id, "--outcome", "succeeded"];
    assert_ne!(place.home.agent(&report).code, 0);
    assert_eq!(place.home.look(&asked.id).state, "indeterminate");
    place.home.person(&["verify"]).expect_code(0);
}

#[test]
fn a_daemon_that_is_stopped_ends_its_runs_first_and_says_how() {
    let mut place = Place::new(FAMILY, "");
    let (agent, asked) = place.approved(&["--", "tool"]);
    let family = place.family();
    place.home.stop();
    assert!(!family.iter().any(|pid| lives(*pid)));
    drop(agent.wait());
    place.home.start();
    assert_eq!(place.home.look(&asked.id).state, "killed");
}

#[test]
fn what_a_program_leaves_behind_ends_with_it_and_so_does_its_temporary_directory() {
    let script = "setsid sh -c 'echo $$ >>pids; exec sleep 1000' >/dev/null 2>&1 &\n\
                  while [ ! -s pids ]; do sleep 0.02; done\n\
                  touch \"$TMPDIR/x\"; ls -ld \"$TMPDIR\"; basename \"$TMPDIR\" >name";
    let place = Place::with_policy(script, "", NOBODY);
    let ran = place.run(&["--", "tool"]).expect_code(0);
    assert!(ran.stdout.starts_with("drwx------"), "{ran:?}");
    let pid = fs::read_to_string(place.work().join("pids")).unwrap();
    assert!(!lives(pid.trim().parse().unwrap()));
    let name = fs::read_to_string(place.work().join("name")).unwrap();
    assert!(!temporaries().contains(&name.trim().to_owned()));
}

#[test]
fn a_run_ends_at_its_limits() {
    let script = "case $1 in\n\
        time) sleep 1000;;\n\
        output) yes;;\n\
        files) ulimit -n;;\n\
        cpu) while :; do :; done;;\n\
        core) ulimit -c;;\n\
        esac";
    let lines = "limits = { max_run = \"1s\", output = 100000, files = 20, cpu = \"1s\" }";
    let place = Place::with_policy(script, lines, NOBODY);
    let ran = place.run(&["--", "tool", "time"]).expect_code(143);
    assert!(ran.stderr.contains("too long"), "{ran:?}");
    let ran = place.run(&["--", "tool", "output"]);
    assert!(ran.stderr.contains("wrote too much"), "{ran:?}");
    assert!(ran.stdout.len() <= 100_000);
    assert_eq!(
        place.run(&["--", "tool", "files"]).expect_code(0).stdout,
        "20\n"
    );
    assert_eq!(
        place.run(&["--", "tool", "core"]).expect_code(0).stdout,
        "0\n"
    );
    assert!(place.run(&["--", "tool", "cpu"]).code > 128);
    let states: Vec<String> = place
        .home
        .list()
        .iter()
        .map(|listed| listed["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        states,
        ["killed", "succeeded", "succeeded", "killed", "killed"]
    );
}

#[test]
fn a_program_that_the_kernel_does_not_start_is_called_not_run() {
    let place = Place::with_policy("", "", NOBODY);
    fs::write(place.tool(), "#!/no/such/interpreter\n").unwrap();
    let ran = place.run(&["--", "tool"]).expect_code(126);
    assert!(ran.stderr.contains("could not be started"), "{ran:?}");
    assert_eq!(place.home.list()[0]["state"], "not-run");
}

#[test]
fn a_program_can_neither_gain_rights_nor_look_at_what_the_daemon_has_open() {
    let script =
        "grep NoNewPrivs /proc/self/status; ls -l /proc/$$/fd | grep -c -e socket -e state";
    let place = Place::with_policy(script, "", NOBODY);
    let ran = place.run(&["--", "tool"]);
    assert_eq!(ran.stdout, "NoNewPrivs:\t1\n0\n", "{ran:?}");
}

#[test]
fn an_end_before_the_exec_is_an_end_without_a_run() {
    let place = Place::new("touch ran", "");
    let (agent, asked) = place.held(&["--", "tool"]);
    agent.signal(Signal::TERM);
    agent.wait().expect_code(130);
    place.home.wait_until_state(&asked.id, "withdrawn");
    place.home.approve(&asked).expect_code(6);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!place.work().join("ran").exists());
    let shown = show(&place.home, &asked);
    assert!(shown["execution"].is_null());
}

/// Returns the processes of the daemon that wait for a program to run, or watch one.
fn wardens(place: &Place) -> Vec<u32> {
    let daemon = place.home.daemon_pid();
    let children = fs::read_dir(format!("/proc/{daemon}/task")).expect("a daemon");
    let children = children.flatten().filter_map(|task| {
        let listed = fs::read_to_string(task.path().join("children")).ok()?;
        Some(
            listed
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    });
    let is_warden = |pid: &String| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline"));
        arguments.is_ok_and(|text| text.ends_with(b"\0_warden\0"))
    };
    let found = children.flatten().filter(is_warden);
    found.map(|pid| pid.parse().expect("a number")).collect()
}

#[test]
fn processes_wait_for_the_next_runs_which_do_not_depend_on_them_and_they_go_with_the_daemon() {
    let mut place = Place::with_policy("echo ran", "", NOBODY);
    assert!(wardens(&place).is_empty(), "before anything ran");
    let spares = || {
        wait_until("the next ones are there", || wardens(&place).len() == 2);
        wardens(&place)
    };
    let mut before = Vec::new();
    for _ in 0..3 {
        assert_eq!(place.run(&["--", "tool"]).expect_code(0).stdout, "ran\n");
        let now = spares();
        let stay = now.iter().filter(|spare| before.contains(*spare)).count();
        assert!(stay <= 1, "a process of one run has another");
        before = now;
    }
    for spare in before {
        let spare = i32::try_from(spare).ok().and_then(Pid::from_raw);
        kill_process(spare.expect("a number"), Signal::KILL).expect("it is there");
    }
    assert_eq!(place.run(&["--", "tool"]).expect_code(0).stdout, "ran\n");
    let last = spares();
    drop(place.home.kill());
    gone(&last);
}
