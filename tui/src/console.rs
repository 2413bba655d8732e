//! The reviewers' console: what waits, what exactly it would do, and a deliberate yes or no.
//!
//! A key becomes a command ([`keymap`]), a command goes through [`update`], which changes the
//! [`state`] and returns effects; the [`runner`] performs them, and [`view`] draws the state. Whether
//! a key may decide is judged in one place only, [`safety`]. The console holds no authority: it
//! asks the daemon, which checks everything again.

pub mod event;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod keymap;
pub mod model;
pub mod page;
pub mod picture;
pub mod prepare;
pub mod ring;
pub mod runner;
pub mod safe_line;
pub mod safety;
pub mod state;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
