//! The loop: takes what happens in order, updates, performs effects, draws.
//!
//! One task reads keys and stamps each with the time it was read, so that a slow terminal cannot
//! make a burst look like typing; keys are taken before ticks, so that a deciding key whose wait has
//! ended is not released while another key lies unread. Everything else comes through [`Link`],
//! behind which a client talks to the daemon. Nothing here decides.

use std::io;
use std::time::Duration;

use countersign_shared::id::RequestId;
use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt as _;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::layout::Rect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::event::{Effect, Event, News, Request};
use super::model::Detail;
use super::prepare::Prepared;
use super::ring::Ring;
use super::safety::Millis;
use super::state::State;
use super::terminal::{self, Guard};
use super::theme::Theme;
use super::update::update;
use super::view::{Drawn, view};

/// How long comparing the files of one request may take.
const DIFF_TIME: Duration = Duration::from_millis(400);
/// The bell rings at most this often, in milliseconds.
const BELL: u64 = 15_000;

/// The console cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The terminal cannot be used.
    #[error("the terminal cannot be used")]
    Terminal(#[source] io::Error),
    /// A signal cannot be listened for.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// Keys can no longer be read.
    #[error("the keyboard cannot be read")]
    Keyboard,
}

/// How the console shall be.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Only look.
    pub read_only: bool,
    /// Use colours; the caller heeds `NO_COLOR` and `--color`.
    pub color: bool,
    /// Use ASCII symbols.
    pub ascii: bool,
    /// How to call a reviewer who looks elsewhere.
    pub ring: Ring,
}

/// The two ends that a client holds the others of.
#[derive(Debug)]
pub struct Link {
    /// What the console asks for.
    pub requests: mpsc::Sender<Request>,
    /// What the client tells.
    pub news: mpsc::Receiver<News>,
}

/// Why the console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The reviewer left.
    ByReviewer,
    /// A signal asked for it.
    BySignal,
}

/// Runs the console on this process's terminal until it is left.
pub async fn run(options: Options, link: Link) -> Result<Ended, ConsoleError> {
    terminal::give_back_on_panic();
    let guard = Guard::enter().map_err(ConsoleError::Terminal)?;
    let mut screen = terminal::screen().map_err(ConsoleError::Terminal)?;
    let mut host = Host {
        guard: Some(guard),
        ring: options.ring,
    };
    let keys = read_keys();
    run_on(&mut screen, &mut host, keys, options, link).await
}

/// What the loop needs of the process around it, apart from drawing.
pub trait Surroundings {
    /// Rings.
    fn ring(&mut self);
    /// Stops the process as job control does; returns when it goes on.
    fn suspend(&mut self) -> io::Result<()>;
}

/// The process itself.
#[derive(Debug)]
struct Host {
    guard: Option<Guard>,
    ring: Ring,
}

impl Surroundings for Host {
    fn ring(&mut self) {
        // A bell that cannot ring changes nothing.
        let _rung = terminal::ring(self.ring);
    }

    fn suspend(&mut self) -> io::Result<()> {
        drop(self.guard.take());
        let stopped =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        self.guard = Some(Guard::enter()?);
        stopped.map_err(io::Error::from)
    }
}

/// Milliseconds since boot, time asleep included.
pub fn boot_time() -> Millis {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Millis(
        seconds
            .saturating_mul(1_000)
            .saturating_add(nanos / 1_000_000),
    )
}

/// Reads keys in a task of its own, stamped with the time they were read.
fn read_keys() -> mpsc::Receiver<(Millis, TerminalEvent)> {
    let (sender, receiver) = mpsc::channel(1_024);
    tokio::spawn(async move {
        let mut stream = EventStream::new();
        while let Some(Ok(event)) = stream.next().await {
            if sender.send((boot_time(), event)).await.is_err() {
                return;
            }
        }
    });
    receiver
}

struct Signals {
    terminate: Signal,
    hang_up: Signal,
    stop: Signal,
}

impl Signals {
    fn listen() -> Result<Self, ConsoleError> {
        let on = |kind| signal(kind).map_err(ConsoleError::Signals);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
            stop: on(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        })
    }
}

/// Runs the console on any backend, with keys from anywhere.
pub async fn run_on<B: Backend>(
    screen: &mut Terminal<B>,
    surroundings: &mut impl Surroundings,
    mut keys: mpsc::Receiver<(Millis, TerminalEvent)>,
    options: Options,
    mut link: Link,
) -> Result<Ended, ConsoleError> {
    let mut signals = Signals::listen()?;
    let (prepared_in, mut prepared) = mpsc::channel::<Event>(8);
    let size = size_of(screen)?;
    let theme = Theme::new(options.color, options.ascii);
    let mut loop_ = Loop {
        state: State::new(boot_time(), size, theme, options.read_only),
        requests: link.requests,
        prepared: prepared_in,
        rung: None,
        redraw: false,
        stop: false,
        quit: false,
    };
    let mut linked = true;
    loop {
        loop_.draw(screen)?;
        let pause = loop_.pause();
        tokio::select! {
            // In this order: no tick while a key lies unread.
            biased;
            _ = signals.terminate.recv() => return Ok(Ended::BySignal),
            _ = signals.hang_up.recv() => return Ok(Ended::BySignal),
            key = keys.recv() => {
                let (at, event) = key.ok_or(ConsoleError::Keyboard)?;
                loop_.terminal_event(at, event);
                while let Ok((at, event)) = keys.try_recv() {
                    loop_.terminal_event(at, event);
                }
            }
            _ = signals.stop.recv() => loop_.stop = true,
            Some(event) = prepared.recv() => loop_.give(boot_time(), event),
            news = link.news.recv(), if linked => {
                if let Some(news) = news {
                    loop_.give(boot_time(), Event::News(news));
                    // A snapshot of thousands of rows is one change of the screen.
                    for _ in 0..1_024 {
                        let Ok(news) = link.news.try_recv() else { break };
                        loop_.give(boot_time(), Event::News(news));
                    }
                } else {
                    linked = false;
                    let news = News::Disconnected { tries: 0 };
                    loop_.give(boot_time(), Event::News(news));
                }
            }
            () = tokio::time::sleep(pause) => loop_.give(boot_time(), Event::Tick),
        }
        if loop_.quit {
            return Ok(Ended::ByReviewer);
        }
        if std::mem::take(&mut loop_.stop) {
            surroundings.suspend().map_err(ConsoleError::Terminal)?;
            loop_.give(boot_time(), Event::Resumed);
        }
        if loop_.wants_to_ring() {
            surroundings.ring();
        }
    }
}

fn size_of<B: Backend>(screen: &Terminal<B>) -> Result<(u16, u16), ConsoleError> {
    let size = screen
        .size()
        .map_err(|why| ConsoleError::Terminal(io::Error::other(why.to_string())))?;
    Ok((size.width, size.height))
}

/// The state and what its effects need.
struct Loop {
    state: State,
    requests: mpsc::Sender<Request>,
    prepared: mpsc::Sender<Event>,
    /// When the bell rang last, and whether it is to ring now.
    rung: Option<(Millis, bool)>,
    redraw: bool,
    stop: bool,
    quit: bool,
}

impl Loop {
    fn give(&mut self, at: Millis, event: Event) {
        for effect in update(&mut self.state, at, event) {
            match effect {
                Effect::Ask(request) => self.ask(request),
                Effect::Prepare(detail) => self.prepare(*detail),
                Effect::Redraw => self.redraw = true,
                Effect::Suspend => self.stop = true,
                Effect::Quit => self.quit = true,
                Effect::Bell => {
                    let now = self.state.now;
                    if self.rung.is_none_or(|(last, _)| now.since(last) >= BELL) {
                        self.rung = Some((now, true));
                    }
                }
            }
        }
    }

    fn terminal_event(&mut self, at: Millis, event: TerminalEvent) {
        let event = match event {
            TerminalEvent::Key(key) => Event::Key(key),
            TerminalEvent::Paste(text) => Event::Paste(text),
            TerminalEvent::Resize(width, height) => Event::Resized { width, height },
            TerminalEvent::FocusGained => Event::FocusGained,
            // Losing the focus must not block: some multiplexers report nothing after it. The mouse
            // is never asked for; should something send it all the same, it does nothing.
            TerminalEvent::FocusLost | TerminalEvent::Mouse(_) => return,
        };
        self.give(at, event);
    }

    /// Passes a request on. The client must keep up; a decision that cannot be passed on was not made.
    fn ask(&mut self, request: Request) {
        let Err(refused) = self.requests.try_send(request) else {
            return;
        };
        let why = || "the client is not there to send it".to_owned();
        let news = refused
            .into_inner()
            .refused(why())
            .unwrap_or_else(|| News::Notice { text: why() });
        let at = self.state.now;
        self.give(at, Event::News(news));
    }

    /// Makes a request ready to be drawn on another thread.
    fn prepare(&mut self, detail: Detail) {
        let id = detail.row.id;
        let mut nonce = [0; 16];
        if let Err(why) = getrandom::fill(&mut nonce) {
            self.not_prepared(id, format!("no random bytes: {why}"));
            return;
        }
        let sender = self.prepared.clone();
        tokio::task::spawn_blocking(move || {
            let event = match Prepared::build(detail, &nonce, deadline()) {
                Ok(prepared) => Event::Prepared(Box::new(prepared)),
                Err(why) => Event::NotPrepared {
                    id,
                    why: why.to_string(),
                },
            };
            // A console that has ended has nobody to tell.
            let _sent = sender.blocking_send(event);
        });
    }

    fn not_prepared(&mut self, id: RequestId, why: String) {
        let at = self.state.now;
        self.give(at, Event::NotPrepared { id, why });
    }

    fn wants_to_ring(&mut self) -> bool {
        self.rung
            .as_mut()
            .is_some_and(|(_, wanted)| std::mem::take(wanted))
    }

    /// How long nothing changes by itself: until a key's wait ends, a notice goes, or a second of a
    /// countdown has passed.
    fn pause(&self) -> Duration {
        let now = boot_time();
        let notice = self.state.notice.as_ref().map(|notice| notice.until);
        let second = now.plus(1_000 - now.0 % 1_000);
        let next = self
            .state
            .safety
            .wants_tick(now)
            .into_iter()
            .chain(notice)
            .chain([second])
            .min()
            .unwrap_or(second);
        Duration::from_millis(next.since(now).max(1))
    }

    /// Draws, and tells the state what was drawn once the terminal has it.
    fn draw<B: Backend>(&mut self, screen: &mut Terminal<B>) -> Result<(), ConsoleError> {
        let error = |why: B::Error| ConsoleError::Terminal(io::Error::other(why.to_string()));
        let (width, height) = size_of(screen)?;
        if std::mem::take(&mut self.redraw) {
            // Not `clear`, which asks the terminal for its cursor: the task that reads keys would
            // take the answer.
            screen
                .resize(Rect::new(0, 0, width, height))
                .map_err(error)?;
        }
        if (width, height) != self.state.size {
            self.give(boot_time(), Event::Resized { width, height });
        }
        // Marks change what the screen says of them: a second frame says so at once.
        for _ in 0..2 {
            let before = self.state.safety.seen().missing();
            let mut drawn = Drawn::default();
            let state = &self.state;
            screen
                .draw(|frame| {
                    drawn = view(state, frame.buffer_mut());
                    if let Some(cursor) = drawn.cursor {
                        frame.set_cursor_position(cursor);
                    }
                })
                .map_err(error)?;
            self.give(boot_time(), Event::Drawn(drawn.frame));
            if self.state.safety.seen().missing() == before {
                break;
            }
        }
        Ok(())
    }
}

/// When comparing files has to be done with less effort.
#[expect(
    clippy::disallowed_methods,
    reason = "a limit on effort, not a time that anything depends on"
)]
fn deadline() -> Option<std::time::Instant> {
    std::time::Instant::now().checked_add(DIFF_TIME)
}

#[cfg(test)]
mod tests;
