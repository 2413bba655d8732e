//! A screen as a picture: a buffer of cells becomes one self-contained SVG.
//!
//! For documentation that cannot drift: a test renders fixtures and compares. Characters are
//! escaped, control characters are refused, and every cell has its place, so the picture does not
//! depend on the font's widths; lines are drawn as lines, so that they meet. No network, no script,
//! no external font.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr as _;

/// The screen holds what must not be in a picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// A cell holds a control character.
    #[error("the cell at column {column}, row {row} holds a control character")]
    Control {
        /// The column, from 0.
        column: u16,
        /// The row, from 0.
        row: u16,
    },
}

/// The width and height of a cell, in pixels.
const CELL: (u32, u32) = (9, 18);
/// The space around the screen, in pixels.
const MARGIN: u32 = 14;
/// The height of the window's bar, in pixels.
const BAR: u32 = 36;
const PAPER: &str = "#16181d";
const INK: &str = "#d7dae0";
/// The bar of the window, what is written on it, and the edge around everything.
const FRAME: (&str, &str, &str) = ("#23262d", "#9aa0ac", "#3a3f4a");
/// The three buttons every reader of a picture knows as "this is a window".
const BUTTONS: [(u32, &str); 3] = [(22, "#f0717a"), (42, "#e5c76b"), (62, "#8ccf7e")];

/// Draws a screen in a window with this title.
pub fn svg(buffer: &Buffer, title: &str) -> Result<String, PictureError> {
    let area = buffer.area();
    let width = u32::from(area.width) * CELL.0 + 2 * MARGIN;
    let height = u32::from(area.height) * CELL.1 + 2 * MARGIN + BAR;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, 'SF Mono', \
         'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"15\">\n"
    );
    write_window(&mut svg, width, height, title);
    for row in 0..area.height {
        let mut column = 0;
        while column < area.width {
            let Some(run) = run_at(buffer, column, row)? else {
                column = column.saturating_add(1);
                continue;
            };
            write_run(&mut svg, &run, column, row);
            column = column.saturating_add(run.cells);
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn write_window(svg: &mut String, width: u32, height: u32, title: &str) {
    let (bar, ink, edge) = FRAME;
    // Writing to a string cannot fail.
    let mut put = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).unwrap_or_default();
    put(format_args!("<title>{}</title>\n", escaped(title)));
    put(format_args!(
        "<rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"{bar}\"/>\n\
         <path d=\"M0 {BAR}h{width}v{}a10 10 0 0 1 -10 10h-{}a10 10 0 0 1 -10 -10z\" \
         fill=\"{PAPER}\"/>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"9.5\" fill=\"none\" \
         stroke=\"{edge}\"/>\n",
        height - BAR - 10,
        width - 20,
        width - 1,
        height - 1
    ));
    for (x, colour) in BUTTONS {
        put(format_args!(
            "<circle cx=\"{x}\" cy=\"{}\" r=\"6\" fill=\"{colour}\"/>\n",
            BAR / 2
        ));
    }
    put(format_args!(
        "<text x=\"{}\" y=\"{}\" font-size=\"13\" text-anchor=\"middle\" fill=\"{ink}\">{}</text>\n",
        width / 2,
        BAR / 2 + 5,
        escaped(title)
    ));
}

/// What a cell shows: a letter, or a piece of a line that has to meet its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Upright,
    Level,
}

fn shape(cell: &Cell) -> Shape {
    match cell.symbol() {
        "│" | "┃" => Shape::Upright,
        "─" => Shape::Level,
        _ => Shape::Text,
    }
}

/// Neighbouring cells of one look.
struct Run {
    text: String,
    cells: u16,
    shape: Shape,
    foreground: &'static str,
    background: &'static str,
    modifier: Modifier,
}

/// The cells from here on that look alike; `None` when there is nothing to see.
fn run_at(buffer: &Buffer, column: u16, row: u16) -> Result<Option<Run>, PictureError> {
    let Some(first) = cell(buffer, column, row) else {
        return Ok(None);
    };
    let (foreground, background) = colours(first);
    let mut run = Run {
        text: String::new(),
        cells: 0,
        shape: shape(first),
        foreground,
        background,
        modifier: first.modifier,
    };
    let mut at = column;
    while let Some(next) = cell(buffer, at, row) {
        let alike = colours(next) == (foreground, background)
            && next.modifier == first.modifier
            && shape(next) == run.shape;
        if !alike {
            break;
        }
        if next.symbol().chars().any(char::is_control) {
            return Err(PictureError::Control { column: at, row });
        }
        let cells = u16::try_from(next.symbol().width()).unwrap_or(1).max(1);
        run.text.push_str(next.symbol());
        run.cells = run.cells.saturating_add(cells);
        at = at.saturating_add(cells);
    }
    let blank = run.text.trim().is_empty() && background == PAPER;
    let underlined = run.modifier.contains(Modifier::UNDERLINED);
    Ok((!blank || underlined).then_some(run))
}

fn cell(buffer: &Buffer, column: u16, row: u16) -> Option<&Cell> {
    let area = buffer.area();
    buffer.cell((area.x.checked_add(column)?, area.y.checked_add(row)?))
}

fn write_run(svg: &mut String, run: &Run, column: u16, row: u16) {
    let x = MARGIN + u32::from(column) * CELL.0;
    let y = BAR + MARGIN + u32::from(row) * CELL.1;
    let width = u32::from(run.cells) * CELL.0;
    // Writing to a string cannot fail.
    let mut put = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).unwrap_or_default();
    if run.background != PAPER {
        put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\" fill=\"{}\"/>\n",
            CELL.1, run.background
        ));
    }
    let weight = if run.modifier.contains(Modifier::BOLD) {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let line = if run.modifier.contains(Modifier::UNDERLINED) {
        " text-decoration=\"underline\""
    } else {
        ""
    };
    let faint = if run.modifier.contains(Modifier::DIM) {
        " opacity=\"0.65\""
    } else {
        ""
    };
    if run.shape == Shape::Level {
        put(format_args!(
            "<rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"1.4\" fill=\"{}\"{faint}/>\n",
            y + CELL.1 / 2,
            run.foreground
        ));
        return;
    }
    if run.shape == Shape::Upright {
        for cell in 0..u32::from(run.cells) {
            put(format_args!(
                "<rect x=\"{}\" y=\"{y}\" width=\"1.4\" height=\"{}\" fill=\"{}\"{faint}/>\n",
                x + cell * CELL.0 + CELL.0 / 2,
                CELL.1,
                run.foreground
            ));
        }
        return;
    }
    put(format_args!(
        "<text x=\"{x}\" y=\"{}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\" fill=\"{}\"{weight}{line}{faint}>{}</text>\n",
        y + CELL.1 - 4,
        run.foreground,
        escaped(&run.text)
    ));
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

/// Foreground and background, turned round where the cell is reversed.
fn colours(cell: &Cell) -> (&'static str, &'static str) {
    let (foreground, background) = (colour(cell.fg, INK), colour(cell.bg, PAPER));
    if cell.modifier.contains(Modifier::REVERSED) {
        (background, foreground)
    } else {
        (foreground, background)
    }
}

const fn colour(colour: Color, default: &'static str) -> &'static str {
    match colour {
        Color::Black => "#16181d",
        Color::Red | Color::LightRed => "#f0717a",
        Color::Green | Color::LightGreen => "#8ccf7e",
        Color::Yellow | Color::LightYellow => "#e5c76b",
        Color::Blue | Color::LightBlue => "#67b0e8",
        Color::Magenta | Color::LightMagenta => "#c47fd5",
        Color::Cyan | Color::LightCyan => "#6cbfbf",
        Color::Gray | Color::White => "#d7dae0",
        Color::DarkGray => "#7c818c",
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => default,
    }
}

#[cfg(test)]
mod tests;
