//! The time between the exec and the end: outputs are passed on, signals as well, and whatever ends a
//! run ends it, first by asking, then not.

use std::pin::pin;
use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::machine::RunEnd;
use countersign_shared::time::Deadline;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::child::{Orders, Started};
use super::job::Told;
use super::masker::Patterns;
use super::output::{Allowance, Output, Passed};
use super::run::{Bench, Ended, Event, Feed, FromAgent, outcome, report};
use super::runs::{Piece, Stream, Why};
use super::warden;
use crate::config::ProfileLimits;
use crate::engine::{Brokered, Report};

/// How long a program may take to end once it was asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How long a program must run for its start to be an entry of its own moment: one that is over sooner
/// has both in one.
const SHORT: Duration = Duration::from_millis(10);

/// How long after the end of a program that was ended its output is still taken.
const AFTER_END: Duration = Duration::from_secs(2);

/// The signal that asks a program to end.
const TERM: u8 = 15;

/// What stays the same while a program runs.
#[derive(Debug)]
pub(super) struct During<'a> {
    pub(super) bench: &'a Bench,
    pub(super) id: RequestId,
    pub(super) pid: u32,
    pub(super) until: &'a Deadline,
    pub(super) events: &'a mpsc::Sender<Event>,
    pub(super) limits: &'a ProfileLimits,
    pub(super) patterns: &'a Patterns,
}

/// What others may do to it meanwhile.
#[derive(Debug)]
pub(super) struct Watched {
    /// Why it is to end, once it is.
    pub(super) end: watch::Receiver<Option<Why>>,
    /// Where its output goes beside the agent.
    pub(super) pieces: broadcast::Sender<Piece>,
}

/// When a run is ended, as far as time goes.
#[derive(Debug, Clone, Copy)]
struct Times {
    asked: Instant,
    killed: Instant,
}

impl Times {
    /// Splits the time that is left, so that the end is written before it is over.
    fn of(left: Duration, most: Duration) -> Self {
        let reserve = (left / 16).min(Duration::from_secs(5));
        let hard = left.saturating_sub(reserve).min(most.saturating_add(GRACE));
        let soft = hard.saturating_sub(GRACE.min(hard / 4)).min(most);
        let now = Instant::now();
        Self {
            asked: now + soft,
            killed: now + hard,
        }
    }
}

/// The end that was begun.
#[derive(Debug, Default)]
struct Ending {
    why: Option<Why>,
    kill_at: Option<Instant>,
}

impl Ending {
    /// Asks the program to end; the first reason counts.
    async fn begin(&mut self, why: Why, times: Times, orders: &mut Orders) {
        if self.why.is_none() {
            self.why = Some(why);
            self.kill_at = Some(times.killed.min(Instant::now() + GRACE));
            orders.signal(TERM).await;
        }
    }
}

impl During<'_> {
    /// Stays with the program until it has ended.
    pub(super) async fn stay(
        self,
        mut watched: Watched,
        started: Started,
        from_agent: FromAgent,
    ) -> Ended {
        let Started {
            mut orders,
            mut news,
            mut input,
            output,
            errors,
        } = started;
        let began = Instant::now();
        let times = Times::of(
            self.until.left(&self.bench.clock.now()),
            self.limits.max_run,
        );
        let mut outputs = self.pass_on(
            [(Stream::Output, output), (Stream::Errors, errors)],
            &watched,
        );
        let FromAgent {
            input: pieces,
            mut signals,
        } = from_agent;
        let mut feeding = pin!(feed(&mut input, pieces));
        let mut is_fed = false;
        let mut ending = Ending::default();
        // Until it is written nothing else waits for it: whoever wants the end is heard meanwhile.
        let mut telling = pin!(self.tell_of_start(began));
        let mut is_told = false;
        let told = loop {
            let [out, err] = &mut outputs;
            tokio::select! {
                biased;
                told = news.next() => break told,
                why = wanted(&mut watched.end), if ending.why.is_none() => {
                    ending.begin(why, times, &mut orders).await;
                }
                () = self.events.closed(), if ending.why.is_none() => {
                    ending.begin(Why::AgentGone, times, &mut orders).await;
                }
                () = tokio::time::sleep_until(times.asked), if ending.why.is_none() => {
                    ending.begin(Why::TooLong, times, &mut orders).await;
                }
                () = until(ending.kill_at) => {
                    ending.kill_at = None;
                    orders.signal(warden::KILL).await;
                }
                passed = out.next() => if passed == Passed::TooMuch {
                    ending.begin(Why::TooMuch, times, &mut orders).await;
                },
                passed = err.next() => if passed == Passed::TooMuch {
                    ending.begin(Why::TooMuch, times, &mut orders).await;
                },
                Some(signal) = signals.recv() => {
                    if warden::SIGNALS.iter().any(|(number, _)| *number == signal) {
                        orders.signal(signal).await;
                    }
                }
                fed = &mut feeding, if !is_fed => {
                    is_fed = true;
                    if fed == Fed::CutOff {
                        ending.begin(Why::AgentGone, times, &mut orders).await;
                    }
                }
                () = &mut telling, if !is_told => is_told = true,
            }
        };
        let duration = began.elapsed();
        let Some(Told::Ended { exit, signal }) = told else {
            return Ended::Lost("the process that watched it is gone");
        };
        let last = match ending.why {
            None => times.killed,
            Some(_) => Instant::now() + AFTER_END,
        };
        let [stdout, stderr] = rest(outputs, last).await;
        let why = ending.why.or_else(|| self.cut_short([stdout, stderr]));
        // Nothing may be left of it when this is told.
        drop(orders);
        news.gone().await;
        let digest = |passed| match passed {
            Passed::Whole(digest) => Some(digest),
            Passed::TooMuch | Passed::Broken => None,
        };
        let end = RunEnd {
            outcome: outcome(exit, why.is_some()),
            exit,
            signal,
            stdout: digest(stdout),
            stderr: digest(stderr),
            duration_ms: u64::try_from(duration.as_millis()).ok(),
        };
        Ended::Over(Box::new(end), why)
    }

    /// Begins to pass the outputs on.
    fn pass_on(&self, from: [(Stream, Receiver); 2], watched: &Watched) -> [Passing; 2] {
        let allowance = Allowance::new(self.limits.output);
        from.map(|(stream, from)| {
            let output = Output {
                stream,
                patterns: self.patterns.clone(),
                allowance: allowance.clone(),
                agent: self.events.clone(),
                watchers: watched.pieces.clone(),
            };
            Passing::new(tokio::spawn(output.pass_on(from)))
        })
    }

    /// Writes that it started, once it is clear that it will not end at once.
    async fn tell_of_start(&self, began: Instant) {
        tokio::time::sleep_until(began + SHORT).await;
        let started = Report::Started {
            pid: Some(self.pid),
        };
        report(self.bench, self.id, self.until, Brokered::Told(started)).await;
    }

    /// Tells why a program ended before it could be asked to, when that was ours.
    fn cut_short(&self, passed: [Passed; 2]) -> Option<Why> {
        if passed.contains(&Passed::TooMuch) {
            return Some(Why::TooMuch);
        }
        // What nobody takes any more ends whoever writes it.
        let is_cut_off = passed.contains(&Passed::Broken) && self.events.is_closed();
        is_cut_off.then_some(Why::AgentGone)
    }
}

/// One output on its way, and how it ended, once it has.
struct Passing {
    task: JoinHandle<Passed>,
    passed: Option<Passed>,
}

impl Passing {
    const fn new(task: JoinHandle<Passed>) -> Self {
        Self { task, passed: None }
    }

    /// Waits for its end; for ever once that was told.
    async fn next(&mut self) -> Passed {
        if self.passed.is_some() {
            std::future::pending::<()>().await;
        }
        let passed = (&mut self.task).await.unwrap_or(Passed::Broken);
        self.passed = Some(passed);
        passed
    }

    /// Waits for its end until `last`.
    async fn end(mut self, last: Instant) -> Passed {
        if let Some(passed) = self.passed {
            return passed;
        }
        let stop = self.task.abort_handle();
        if let Ok(passed) = tokio::time::timeout_at(last, self.next()).await {
            return passed;
        }
        stop.abort();
        Passed::Broken
    }
}

async fn rest(outputs: [Passing; 2], last: Instant) -> [Passed; 2] {
    let [out, err] = outputs;
    let (out, err) = tokio::join!(out.end(last), err.end(last));
    [out, err]
}

/// Waits until somebody wants the end.
async fn wanted(end: &mut watch::Receiver<Option<Why>>) -> Why {
    // Whoever could say it is there as long as the run has its seat.
    match end.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// How the input of a program came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// The agent said that this is all, or the program wants no more.
    Whole,
    /// The agent says nothing more. The input stays open, because its end would be taken for its own.
    CutOff,
}

/// Writes what the agent sends into the program's standard input, and closes it where the agent says so.
async fn feed(to: &mut Option<Sender>, mut pieces: mpsc::Receiver<Feed>) -> Fed {
    let Some(input) = to else {
        return Fed::Whole;
    };
    loop {
        let is_open = match pieces.recv().await {
            // A program that closed its input wants no more of it.
            Some(Feed::Piece(piece)) => input.write_all(&piece).await.is_ok(),
            Some(Feed::End) => false,
            None => return Fed::CutOff,
        };
        if !is_open {
            *to = None;
            return Fed::Whole;
        }
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_ended_before_its_time_is_over_however_short_it_is() {
        for left_ms in [0, 1, 100, 1_000, 10_000, 3_600_000] {
            let (left, now) = (Duration::from_millis(left_ms), Instant::now());
            let times = Times::of(left, Duration::from_secs(3_600));
            assert!(times.asked <= times.killed, "{left_ms}");
            let latest = Instant::now() + left;
            assert!(times.killed <= latest, "{left_ms}");
            assert!(left_ms < 100 || times.asked > now + left / 2, "{left_ms}");
        }
        let now = Instant::now();
        let times = Times::of(Duration::from_secs(3_600), Duration::from_secs(2));
        assert!(times.asked <= now + Duration::from_millis(2_500));
        assert!(times.killed <= now + Duration::from_millis(7_500));
    }
}
