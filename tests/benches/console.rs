//! A key until the console's frame, with 10,000 requests pending, beside filling and flushing as many
//! plain cells through the same backend.
//!
//! The console's own state, update and view run as its loop runs them; the frames go through
//! crossterm's backend to `/dev/null`, so encoding them counts and a terminal's own time does not.

use std::fs::File;
use std::io::BufWriter;

use countersign::console::event::{Event, News};
use countersign::console::model::{Requester, Row, Standing, Tier};
use countersign::console::safety::Millis;
use countersign::console::safety::Signing;
use countersign::console::state::State;
use countersign::console::theme::Theme;
use countersign::console::update::update;
use countersign::console::view::{Drawn, view};
use countersign_shared::digest::Digest;
use countersign_shared::id::RequestId;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use countersign_tests::installation::Outcome;
use countersign_tests::measure::{Samples, bar, beside, millis, now};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::{Terminal, TerminalOptions, Viewport};

/// How many requests are pending.
const PENDING: u32 = 10_000;

/// The screen, in columns and rows.
const SCREEN: (u16, u16) = (200, 50);

/// How many keys are measured.
const KEYS: u64 = 2_000;

/// How many first frames are measured.
const STARTS: usize = 20;

type Screen = Terminal<CrosstermBackend<BufWriter<File>>>;

fn main() -> Outcome<()> {
    let rows: Vec<Row> = (0..PENDING).map(row).collect();
    let (mut firsts, mut plain_firsts) = (Samples::default(), Samples::default());
    for _ in 0..STARTS {
        let news = rows.clone();
        let begun = now();
        let mut screen = screen()?;
        drop(started(news, &mut screen)?);
        firsts.push(begun.elapsed());
        let begun = now();
        plain(&mut self::screen()?, 0)?;
        plain_firsts.push(begun.elapsed());
    }
    let mut on = screen()?;
    let mut state = started(rows, &mut on)?;
    let mut plain_on = screen()?;
    let (mut keys, mut plains) = (Samples::default(), Samples::default());
    let codes = [
        KeyCode::Char('j'),
        KeyCode::PageDown,
        KeyCode::Char('k'),
        KeyCode::Char('G'),
        KeyCode::PageUp,
        KeyCode::Char('g'),
        KeyCode::Char('j'),
        KeyCode::Char('R'),
    ];
    for (number, code) in (0..KEYS).zip(codes.iter().cycle()) {
        let at = Millis(10_000 + number * 200);
        // The queue moves all the while: one arrival and one end for each key.
        let mut arrived = row(PENDING + u32::try_from(number)?);
        give(
            &mut state,
            at,
            Event::News(News::Row(Box::new(arrived.clone()))),
        );
        arrived.standing = Standing::Withdrawn;
        give(&mut state, at, Event::News(News::Row(Box::new(arrived))));
        let begun = now();
        give(
            &mut state,
            at,
            Event::Key(KeyEvent::new(*code, KeyModifiers::NONE)),
        );
        draw(&mut state, at, &mut on)?;
        keys.push(begun.elapsed());
        let begun = now();
        plain(&mut plain_on, number)?;
        plains.push(begun.elapsed());
    }
    beside(
        "key to frame, 10,000 pending",
        &keys,
        "as many plain cells",
        &plains,
    );
    beside(
        "start to first frame, 10,000 pending",
        &firsts,
        "as many plain cells",
        &plain_firsts,
    );
    bar(
        "p99 from key to frame",
        millis(keys.percentile(99)),
        10.0,
        "ms",
    );
    bar(
        "p99 from the first news to the first frame",
        millis(firsts.percentile(99)),
        150.0,
        "ms",
    );
    Ok(())
}

fn screen() -> Outcome<Screen> {
    let backend = CrosstermBackend::new(BufWriter::with_capacity(
        1 << 16,
        File::create("/dev/null")?,
    ));
    let area = Rect::new(0, 0, SCREEN.0, SCREEN.1);
    Ok(Terminal::with_options(
        backend,
        TerminalOptions {
            viewport: Viewport::Fixed(area),
        },
    )?)
}

/// Brings a console from nothing to the frame that shows all pending requests.
fn started(rows: Vec<Row>, screen: &mut Screen) -> Outcome<State> {
    let mut state = State::new(Millis(0), SCREEN, Theme::default(), false);
    give(
        &mut state,
        Millis(0),
        Event::News(News::Signing(Signing::Ready)),
    );
    give(&mut state, Millis(0), Event::News(News::Connected));
    for row in rows {
        give(&mut state, Millis(0), Event::News(News::Row(Box::new(row))));
    }
    let noon = Timestamp::from_millis(1_795_262_400_000);
    let complete = News::SnapshotComplete {
        reviewer: Some(Untrusted::new("mika")),
        now: noon,
        local: noon,
    };
    give(&mut state, Millis(0), Event::News(complete));
    draw(&mut state, Millis(0), screen)?;
    Ok(state)
}

fn give(state: &mut State, at: Millis, event: Event) {
    // Nothing is opened or decided here, so nothing that follows matters.
    drop(update(state, at, event));
}

/// Draws as the console's loop does.
fn draw(state: &mut State, at: Millis, screen: &mut Screen) -> Outcome<()> {
    let mut drawn = Drawn::default();
    screen.draw(|frame| {
        drawn = view(state, frame.buffer_mut());
        if let Some(cursor) = drawn.cursor {
            frame.set_cursor_position(cursor);
        }
    })?;
    give(state, at, Event::Drawn(drawn.frame));
    Ok(())
}

/// Fills and flushes every cell of the screen.
#[expect(
    clippy::disallowed_methods,
    reason = "the floor draws no text of anybody's"
)]
fn plain(screen: &mut Screen, number: u64) -> Outcome<()> {
    let symbol = if number.is_multiple_of(2) { "a" } else { "b" };
    screen.draw(|frame| {
        for cell in &mut frame.buffer_mut().content {
            cell.set_symbol(symbol).set_style(Style::default());
        }
    })?;
    Ok(())
}

fn row(number: u32) -> Row {
    let mut id = [7; 16];
    id.iter_mut()
        .zip(number.to_be_bytes())
        .for_each(|(to, from)| *to = from);
    let received = 1_795_262_400_000 + i64::from(number);
    Row {
        id: RequestId::from_bytes(id),
        digest: Digest::of(&id),
        standing: Standing::Pending,
        tier: match number % 4 {
            0 => Tier::Low,
            1 => Tier::Medium,
            2 => Tier::High,
            _ => Tier::Critical,
        },
        kind: Untrusted::new("sql.exec"),
        target: Untrusted::new(format!("orders_{number}")),
        target_kind: Untrusted::new("database"),
        agent: Untrusted::new("etl-3"),
        requester: Requester {
            uid: 1004,
            user: Untrusted::new("etl"),
            pid: 8812,
            program: Untrusted::new("/opt/etl/run"),
            unit: Untrusted::new("etl.service"),
            container: Untrusted::default(),
        },
        received_at: Timestamp::from_millis(received),
        expires_at: Timestamp::from_millis(received + 3_600_000),
        claimed_by: None,
        self_attested: false,
        reason: Untrusted::default(),
        waiter_present: true,
        break_glass: false,
        owed_by: None,
        escalated: false,
        escalate_to: Vec::new(),
    }
}
