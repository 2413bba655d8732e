//! Colours and symbols: the terminal's own 16 colours, or none; Unicode symbols, or ASCII ones.
//!
//! Colour is never the only sign of anything. Nothing here knows what it decorates.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of the screen is, for its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    Text,
    /// Less important.
    Dim,
    /// A heading or a bar.
    Title,
    /// A marker the encoder wrote for something that is not drawn.
    Marker,
    /// A line that is added.
    Added,
    /// A line that is removed.
    Removed,
    /// A changed word inside such a line.
    Emphasis,
    /// The selected row.
    Selected,
    /// A deciding key is live.
    Armed,
    /// No deciding key is live.
    NotArmed,
    /// Something to notice.
    Warning,
    /// Something wrong.
    Alarm,
}

/// The symbols of the chrome. Everything else it draws is ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Before every row of text that an agent wrote.
    pub agent: &'static str,
    /// Before a fact that was computed.
    pub computed: &'static str,
    /// Before a fact that the kernel states.
    pub kernel: &'static str,
    /// Before a row that goes on with the text of the row above, so that wrapped text cannot pass
    /// for a row of its own.
    pub wrapped: &'static str,
    /// At the end of a row that is cut on the right.
    pub cut: &'static str,
    /// Before the number of arrivals.
    pub arrivals: &'static str,
    /// Before a request that waits.
    pub waiting: &'static str,
    /// Before a request that somebody is on.
    pub claimed: &'static str,
    /// Before a request that ended.
    pub ended: &'static str,
    /// Before what was decided and is not over.
    pub going: &'static str,
    /// Between two facts on a row.
    pub between: &'static str,
    /// A horizontal line.
    pub rule: &'static str,
    /// A vertical line between panes.
    pub bar: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    agent: "│",
    computed: "=",
    kernel: "✓",
    wrapped: "↪",
    cut: "→",
    arrivals: "▲",
    waiting: "●",
    claimed: "◐",
    going: "»",
    ended: "×",
    between: " · ",
    rule: "─",
    bar: "┃",
};

const ASCII: Glyphs = Glyphs {
    agent: "|",
    computed: "=",
    kernel: "+",
    wrapped: "\\",
    cut: ">",
    arrivals: "^",
    waiting: "*",
    claimed: "c",
    going: ">",
    ended: "x",
    between: " - ",
    rule: "-",
    bar: "#",
};

/// The look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    color: bool,
    /// The symbols.
    pub glyphs: Glyphs,
}

impl Theme {
    /// Chooses the look.
    pub const fn new(color: bool, ascii: bool) -> Self {
        Self {
            color,
            glyphs: if ascii { ASCII } else { UNICODE },
        }
    }

    /// Returns the style of `role`.
    pub fn style(&self, role: Role) -> Style {
        let (color, modifier) = match role {
            Role::Text => (None, Modifier::empty()),
            Role::Dim => (None, Modifier::DIM),
            Role::Title => (None, Modifier::BOLD),
            Role::Marker => (Some(Color::Yellow), Modifier::REVERSED),
            Role::Added => (Some(Color::Green), Modifier::empty()),
            Role::Removed => (Some(Color::Red), Modifier::empty()),
            Role::Emphasis => (None, Modifier::BOLD.union(Modifier::UNDERLINED)),
            Role::Selected => (None, Modifier::REVERSED),
            Role::Armed => (Some(Color::Green), Modifier::BOLD),
            Role::NotArmed | Role::Warning => (Some(Color::Yellow), Modifier::BOLD),
            Role::Alarm => (Some(Color::Red), Modifier::BOLD.union(Modifier::REVERSED)),
        };
        let style = Style::new().add_modifier(modifier);
        match color.filter(|_| self.color) {
            Some(color) => style.fg(color),
            None => style,
        }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(true, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_markers_and_alarms_still_stand_out() {
        let theme = Theme::new(false, false);
        for role in [Role::Marker, Role::Alarm, Role::Selected] {
            let style = theme.style(role);
            assert_eq!(style.fg, None);
            assert!(style.add_modifier.contains(Modifier::REVERSED), "{role:?}");
        }
    }
}
