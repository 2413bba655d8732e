//! Tells a reviewer on the desktop of requests that wait: `countersign notify`.
//!
//! | module | what it is |
//! |---|---|
//! | [`plan`] | what is told, and when: a pure machine |
//! | [`words`] | what a bubble says: our own words and counts |
//! | [`follow`] | the daemon, followed |
//! | [`desktop`] | the bubble on the session bus |
//! | [`open`] | the console, started in a terminal |
//! | [`settings`], [`quiet`] | how this person is called |
//! | [`install`] | the unit for systemd's user manager |
//!
//! It holds no key and can decide nothing: whoever can reach the session bus can press its one
//! button, which opens the console.

pub mod desktop;
pub mod follow;
pub mod install;
pub mod open;
pub mod plan;
pub mod quiet;
pub mod settings;
pub mod words;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use countersign_client::place::Place;
use countersign_shared::id::RequestId;
use countersign_shared::time::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cause::chain;
use crate::console::model::Row;
use crate::console::runner::boot_time;
use crate::console::safety::Millis;
use desktop::{Desktop, Done};
use follow::Heard;
use open::Opener;
use plan::{Act, Plan, Waiting};
use quiet::Quiet;
use words::Words;

/// The longest time without a look at the clock: quiet hours begin and end by it.
const LOOK: u64 = 30_000;

/// It cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for signals")]
pub struct NotifyError(#[source] io::Error);

/// Something for the terminal or the journal of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What a bubble would have said.
    Told(String),
    /// How things stand.
    Notice(String),
}

/// How a person is told.
#[derive(Debug)]
pub struct Options {
    /// When only tier high and above is told.
    pub quiet: Option<Quiet>,
    /// How the console is opened.
    pub opener: Opener,
    /// True when somebody sees what is said: then a bubble that cannot be shown is told there, and
    /// is not tried again.
    pub is_seen: bool,
    /// Where heads are kept.
    pub state_dir: PathBuf,
}

/// Tells until a signal ends it.
///
/// # Errors
///
/// When signals cannot be listened for. A daemon or a bus that is not there is waited for.
pub async fn run(
    place: Place,
    options: Options,
    say: &mut dyn FnMut(Said),
) -> Result<(), NotifyError> {
    let on = |kind| signal(kind).map_err(NotifyError);
    let (mut terminate, mut interrupt, mut hang_up) = (
        on(SignalKind::terminate())?,
        on(SignalKind::interrupt())?,
        on(SignalKind::hangup())?,
    );
    let mut heard = follow::follow(place, options.state_dir.clone());
    let (desktop, mut done) = Desktop::new();
    let mut notifier = Notifier {
        plan: Plan::default(),
        desktop,
        options,
        clock: None,
        opens: None,
        is_unreachable: false,
        say,
    };
    loop {
        notifier.tick().await;
        let pause = notifier.pause();
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => break,
            news = heard.recv() => match news {
                Some(news) => notifier.hear(news, &mut heard).await,
                None => break,
            },
            Some(what) = done.recv() => notifier.done(what).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
    notifier.desktop.close().await;
    Ok(())
}

/// The daemon's clock: its wall time at a moment of ours.
#[derive(Debug, Clone, Copy)]
struct Clock {
    wall: Timestamp,
    at: Millis,
}

struct Notifier<'a> {
    plan: Plan,
    desktop: Desktop,
    options: Options,
    clock: Option<Clock>,
    /// Which request the bubble opens, when it tells of one.
    opens: Option<RequestId>,
    /// True while bubbles cannot be shown; said once.
    is_unreachable: bool,
    say: &'a mut dyn FnMut(Said),
}

impl Notifier<'_> {
    /// Takes what was heard, and what lies behind it: a burst is one change.
    async fn hear(&mut self, first: Heard, more: &mut mpsc::Receiver<Heard>) {
        let mut next = Some(first);
        while let Some(heard) = next {
            let close = match heard {
                Heard::Snapshot { rows, now } => self.snapshot(&rows, now),
                Heard::Row(row) => self.row(&row),
                Heard::Escalated(id) => {
                    self.plan.escalated(id);
                    None
                }
                Heard::GlassBroken(id) => {
                    (self.say)(Said::Notice(format!("the glass was broken for {id}")));
                    self.plan.glass_broken(id);
                    None
                }
                Heard::Forked(what) => {
                    (self.say)(Said::Notice(format!("the log contradicts itself: {what}")));
                    self.plan.dismissed();
                    self.opens = None;
                    // The line above stands whether a bubble can be shown or not.
                    drop(self.desktop.show(&Words::alarm()).await);
                    None
                }
                Heard::Lost(why) => {
                    (self.say)(Said::Notice(format!("no connection to the daemon: {why}")));
                    None
                }
            };
            if close == Some(Act::Close) {
                self.desktop.close().await;
            }
            next = more.try_recv().ok();
        }
    }

    fn snapshot(&mut self, rows: &[Row], now: Timestamp) -> Option<Act> {
        self.clock = Some(Clock {
            wall: now,
            at: boot_time(),
        });
        let named: BTreeSet<RequestId> = rows
            .iter()
            .filter(|row| row.standing.is_waiting())
            .map(|row| row.id)
            .collect();
        (self.say)(Said::Notice(match named.len() {
            1 => "connected, 1 request waits".to_owned(),
            count => format!("connected, {count} requests wait"),
        }));
        let close = self.plan.only(&named);
        for row in rows {
            // Nothing that is named here is over, so nothing closes.
            self.row(row);
        }
        close
    }

    fn row(&mut self, row: &Row) -> Option<Act> {
        if !row.standing.is_waiting() {
            return self.plan.over(&row.id);
        }
        let clock = self.clock?;
        let millis = |later: Timestamp, sooner: Timestamp| {
            u64::try_from(later.since(sooner).as_millis()).unwrap_or(u64::MAX)
        };
        let waiting = Waiting {
            tier: row.tier,
            kind: words::kind(row.kind.raw_str().unwrap_or_default()),
            target: words::target(row.target_kind.raw_str().unwrap_or_default()),
            ends: clock.at.plus(millis(row.expires_at, clock.wall)),
            lifetime: millis(row.expires_at, row.received_at),
        };
        self.plan.waits(row.id, waiting);
        None
    }

    fn is_quiet(&self) -> bool {
        self.options
            .quiet
            .is_some_and(|quiet| quiet.holds(quiet::local_minute()))
    }

    /// Shows what is due.
    async fn tick(&mut self) {
        let Some(Act::Show(bubble)) = self.plan.tick(boot_time(), self.is_quiet()) else {
            return;
        };
        let words = Words::of(&bubble);
        self.opens = match bubble.told.as_slice() {
            [one] => Some(one.id),
            _ => None,
        };
        match self.desktop.show(&words).await {
            Ok(_) => {
                if std::mem::take(&mut self.is_unreachable) {
                    (self.say)(Said::Notice(
                        "a notification server answers again".to_owned(),
                    ));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_unreachable, true) {
                    let instead = if self.options.is_seen {
                        "what waits is told here"
                    } else {
                        "it is tried again; the console and `countersign watch` need no desktop"
                    };
                    let text = format!("{}; {instead}", chain(&error));
                    (self.say)(Said::Notice(text));
                }
                if self.options.is_seen {
                    self.plan.dismissed();
                    (self.say)(Said::Told(words.plain()));
                } else {
                    self.plan.untold(&bubble);
                }
            }
        }
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let now = boot_time();
        let next = self
            .plan
            .next(self.is_quiet())
            .map_or(LOOK, |at| at.since(now).clamp(1, LOOK));
        Duration::from_millis(next)
    }

    /// A person did something with a bubble.
    async fn done(&mut self, what: Done) {
        if !self.desktop.finish(what).await {
            return;
        }
        self.plan.dismissed();
        if let Done::Open(_) = what
            && let Err(error) = self.options.opener.open(self.opens)
        {
            (self.say)(Said::Notice(chain(&error)));
        }
    }
}
