//! `countersignd verify` of a long log, beside the least that it could be: reading every entry, hashing it,
//! and checking every signature.
//!
//! The log is made by the real daemon: each request is asked for, and denied with a signature, which
//! is four entries for each decision. `--entries N` says how many (50,000 when it says nothing),
//! and `--full` is 1,200,000 with 300,000 decisions; making that many takes longer than checking them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign::client::{Client, Signed};
use countersign::keys::{FileKey, Signer};
use countersign_client::place::Place;
use countersign_shared::digest::Digest;
use countersign_shared::display;
use countersign_shared::document::Document;
use countersign_shared::log::checkpoint;
use countersign_shared::log::entry::{Body, Entry};
use countersign_shared::log::note::VerifierKey;
use countersign_shared::log::tree::leaf_hash;
use countersign_shared::machine::Event;
use countersign_shared::sshsig;
use countersign_shared::statement::{
    Decision, Display, LogHead, Nonce, Requester, Statement, Verdict,
};
use countersign_shared::wire::pb;
use countersign_tests::calls::{Agent, action};
use countersign_tests::home::REVIEWER;
use countersign_tests::installation::{Installation, Outcome};
use countersign_tests::measure::{bar, millis, now, say};
use countersign_tests::programs::{DAEMON, program};
use countersign_tests::reviewer::wall_time;
use data_encoding::BASE64;

const SETTINGS: &str = "
[limits]
held_per_uid = 1000000
held_per_uid_and_hour = 10000000
pending = 1000000
";

/// How many entries a decision comes with.
const EACH: u64 = 4;

/// How many agents and reviewers there are at once.
const CROWD: u64 = 24;

/// How many signatures are checked to know what one takes.
const SIGNATURES: usize = 4_000;

/// How often the program is asked how much memory it holds.
const LOOKING: Duration = Duration::from_millis(2);

/// How often each side is measured; the best counts.
const TURNS: usize = 3;

fn main() -> Outcome<()> {
    let entries = entries()?;
    countersignd::socket::raise_descriptor_limit()?;
    let (mut installation, _) = Installation::make(SETTINGS)?;
    let database = installation.home.path().join("state.db");
    let vkey = std::fs::read_to_string(installation.home.path().join("log.vkey"))?;
    let vkey: VerifierKey = vkey.trim().parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut first = 0;
    for decisions in [entries / EACH / 2, entries / EACH] {
        runtime.block_on(lengthen(&mut installation, &vkey, first..decisions))?;
        first = decisions;
        let checked = checked(&installation)?;
        say(&format!(
            "verify of {} entries, {} decisions: {:.0} ms, {} KiB of memory at its peak",
            checked.entries,
            checked.decisions,
            millis(checked.took),
            checked.peak
        ));
    }
    compare(&installation, &database)
}

/// Reads the command line; cargo adds words of its own.
fn entries() -> Outcome<u64> {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--full") {
        return Ok(1_200_000);
    }
    match words.iter().position(|word| word == "--entries") {
        None => Ok(50_000),
        Some(at) => {
            let number = words.get(at + 1).ok_or("`--entries` takes a number")?;
            Ok(number.parse()?)
        }
    }
}

/// Measures `verify` and its floor in turns.
fn compare(installation: &Installation, database: &Path) -> Outcome<()> {
    let (mut whole, mut floor) = (Duration::MAX, Duration::MAX);
    let mut decisions = 0;
    for _ in 0..TURNS {
        let begun = now();
        let read = read_and_hash(database)?;
        let reading = begun.elapsed();
        let (sample, took) = signatures(database)?;
        let each = took.as_secs_f64() / f64::from(u32::try_from(sample)?);
        let checked = checked(installation)?;
        if read != checked.entries {
            return Err(format!("read {read} entries, checked {}", checked.entries).into());
        }
        decisions = checked.decisions;
        let signing = each * f64::from(u32::try_from(decisions)?);
        floor = floor.min(reading + Duration::from_secs_f64(signing));
        whole = whole.min(checked.took);
        say(&format!(
            "verify {:>9.0} ms   read and hash {:>9.0} ms   signatures {:>9.0} ms",
            millis(checked.took),
            millis(reading),
            signing * 1e3
        ));
    }
    say(&format!("best of {TURNS}, {decisions} decisions"));
    bar(
        "verify beside reading, hashing and signatures",
        whole.as_secs_f64() / floor.as_secs_f64(),
        1.5,
        "x",
    );
    Ok(())
}

/// What one run of the program said, and took.
struct Checked {
    entries: u64,
    decisions: u64,
    took: Duration,
    /// The most memory it held at once, in KiB.
    peak: u64,
}

/// Runs the real program.
fn checked(installation: &Installation) -> Outcome<Checked> {
    let begun = now();
    let mut verify = Command::new(program(DAEMON))
        .arg("--home")
        .arg(installation.home.path())
        .args(["verify", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut peak = 0;
    while verify.try_wait()?.is_none() {
        // One that has just ended tells nothing any more.
        peak = memory(verify.id()).unwrap_or(0).max(peak);
        std::thread::sleep(LOOKING);
    }
    let took = begun.elapsed();
    let said = verify.wait_with_output()?.stdout;
    let report: serde_json::Value = serde_json::from_slice(&said)?;
    if report.get("ok") != Some(&true.into()) {
        return Err(format!("the log is not good: {report}").into());
    }
    let number = |name: &str| report.get(name).and_then(serde_json::Value::as_u64);
    Ok(Checked {
        entries: number("entries").ok_or("no number of entries")?,
        decisions: number("decisions").ok_or("no number of decisions")?,
        took,
        peak,
    })
}

/// Returns the peak of a process's memory in KiB so far.
fn memory(process: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.split_whitespace().next())
        .ok_or("the kernel tells no peak of memory")?
        .parse()?;
    Ok(peak)
}

/// Reads every entry on one thread, and hashes them on the others.
fn read_and_hash(database: &Path) -> Outcome<u64> {
    let workers = processors();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers)
        .map(|_| std::sync::mpsc::sync_channel::<Vec<Vec<u8>>>(4))
        .unzip();
    let hashed = AtomicU64::new(0);
    std::thread::scope(|scope| -> Outcome<()> {
        for pieces in receivers {
            let hashed = &hashed;
            scope.spawn(move || {
                for piece in pieces {
                    for bytes in &piece {
                        std::hint::black_box(leaf_hash(bytes));
                        hashed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let conn = open(database)?;
        let mut query = conn.prepare("SELECT data FROM audit_leaf ORDER BY idx")?;
        let mut rows = query.query([])?;
        let mut turn = senders.iter().cycle();
        let mut piece = Vec::new();
        while let Some(row) = rows.next()? {
            piece.push(row.get_ref(0)?.as_blob()?.to_vec());
            if piece.len() == 128 {
                let worker = turn.next().ok_or("nobody hashes")?;
                worker.send(std::mem::take(&mut piece))?;
            }
        }
        turn.next().ok_or("nobody hashes")?.send(piece)?;
        drop(senders);
        Ok(())
    })?;
    Ok(hashed.into_inner())
}

/// Checks some signatures on all processors; returns how many, and how long it took.
fn signatures(database: &Path) -> Outcome<(usize, Duration)> {
    let conn = open(database)?;
    let mut query = conn.prepare(
        "SELECT data FROM audit_leaf WHERE data LIKE '%\"type\":\"decision.recorded\"%' LIMIT ?1",
    )?;
    let mut rows = query.query([i64::try_from(SIGNATURES)?])?;
    let mut sample = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = Entry::read(row.get_ref(0)?.as_blob()?)?;
        if let Body::Request(Event::Decided(decision)) = entry.body {
            let message = BASE64.decode(decision.statement_base64.as_bytes())?;
            sample.push((decision.sshsig, message));
        }
    }
    let share = sample.len().div_ceil(processors()).max(1);
    let begun = now();
    let good = std::thread::scope(|scope| {
        let workers: Vec<_> = sample
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let is_good = |(armored, message): &&(String, Vec<u8>)| {
                        sshsig::Checked::of(armored, Decision::NAMESPACE, message)
                            .is_ok_and(|checked| checked.by_its_own_key().is_ok())
                    };
                    part.iter().filter(is_good).count()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(0))
            .sum::<usize>()
    });
    let took = begun.elapsed();
    if good == 0 || good != sample.len() {
        return Err(format!("{good} of {} signatures are good", sample.len()).into());
    }
    Ok((good, took))
}

fn open(database: &Path) -> rusqlite::Result<rusqlite::Connection> {
    use rusqlite::OpenFlags;

    rusqlite::Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Asks and denies, many at once, with the daemon running for as long as it takes.
async fn lengthen(
    installation: &mut Installation,
    vkey: &VerifierKey,
    numbers: std::ops::Range<u64>,
) -> Outcome<()> {
    installation.start()?;
    let mut client = installation.ready().await?;
    let rules: Digest = client.rules().await?.digest.parse()?;
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let asker = Asker {
            place: installation.place()?,
            key: installation.home.key(),
            vkey: vkey.clone(),
            rules,
        };
        let next = Arc::clone(&next);
        let end = numbers.end;
        crowd.spawn(async move { asker.work(&next, end).await });
    }
    while let Some(done) = crowd.join_next().await {
        done??;
    }
    installation.kill()
}

/// An agent and a reviewer, with what they know.
struct Asker {
    place: Place,
    key: PathBuf,
    vkey: VerifierKey,
    rules: Digest,
}

impl Asker {
    async fn work(self, next: &AtomicU64, end: u64) -> Outcome<()> {
        let mut agent = Agent::connect(&self.place).await?;
        let mut client = Client::connect(&self.place).await?;
        let mut signer = Signer::File(FileKey::open(&self.key)?);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(());
            }
            let answer = agent
                .submit(pb::SubmitRequest {
                    action: action(number),
                    submission: u128::from(number).to_be_bytes().to_vec(),
                    ask_key: String::new(),
                    attached: false,
                    known_size: 0,
                    use_at_once: None,
                })
                .await?;
            let statement = self.denial(&answer, &signer, number)?;
            let bytes = statement.to_bytes()?;
            let sshsig = signer.sign(statement.namespace(), &bytes)?.armored;
            let word = Signed {
                statement: bytes,
                sshsig,
            };
            client.decide(answer.id.parse()?, word, 0).await?;
        }
    }

    fn denial(
        &self,
        answer: &pb::SubmitResponse,
        signer: &Signer,
        number: u64,
    ) -> Outcome<Statement> {
        let document = Document::read(&answer.document)?;
        let rendering = display::render(document.bytes())?;
        let note = answer.head.as_ref().ok_or("no head")?;
        let head = checkpoint::open(
            &note.note,
            std::slice::from_ref(&self.vkey),
            self.vkey.name(),
        )?;
        let requester = document.requester();
        let text = |name: &str| {
            let found = requester.get(name).and_then(serde_json::Value::as_str);
            found.map(str::to_owned)
        };
        let uid = requester.get("uid").and_then(serde_json::Value::as_u64);
        Ok(Statement::Decision(Decision {
            request: document.id(),
            digest: document.digest(),
            verdict: Verdict::Deny,
            reason: "measured".to_owned(),
            reviewer: REVIEWER.to_owned(),
            assurance: signer.assurance(),
            // One person asks and decides here: the home is one of user mode.
            self_attested: true,
            requester: Requester {
                uid: u32::try_from(uid.ok_or("no uid")?)?,
                user: text("user").unwrap_or_default(),
                unit: text("unit"),
                container: text("container"),
            },
            rules: self.rules,
            display: Display {
                sha256: rendering.digest(),
                complete: rendering.complete,
                masked: rendering.masked.iter().map(ToString::to_string).collect(),
            },
            issued_at: wall_time(),
            expires_at: wall_time().plus(Duration::from_secs(120)),
            nonce: Nonce::from_bytes(u128::from(number).to_be_bytes()),
            log: LogHead {
                origin: self.vkey.name().to_owned(),
                size: head.size(),
                root: Digest::from_bytes(*head.head().root.as_bytes()),
            },
        }))
    }
}
