//! End-to-end tests: the real programs, real sockets, a real terminal, a real `ssh-keygen`.
//!
//! Here is what the tests in `e2e/` share, and nothing they assert:
//!
//! - [`programs`] builds the programs once and says where they are
//! - [`process`] runs them to an end, or in the background, never for longer than they may take
//! - [`home`] is an installation of its own for one test, with its daemon
//! - [`system`] is one in system mode, with OS users of its own
//! - [`line`] is a way to the daemon on which answers get lost
//! - [`desktop`] is a private session bus with a notification server on it
//! - [`terminal`] is a terminal that a program draws on and a test types into
//! - [`wait`] waits for a condition instead of sleeping
//!
//! What fails here fails the test at once, with what was seen: nothing returns an error that a test
//! could forget.
//!
//! And what the benchmarks and the test by kills are made of. They run for long in one process, so
//! that they return errors:
//!
//! - [`installation`] is a home whose daemon is started and killed at will
//! - [`calls`] and [`reviewer`] are an agent and a reviewer in this process
//! - [`kills`] is `kill -9` over the life of requests, and what must hold after each
//! - [`measure`] and [`floor`] put a figure beside the least that it could be

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that fails fails its test"
)]

pub mod calls;
pub mod desktop;
pub mod floor;
pub mod home;
pub mod installation;
pub mod kills;
pub mod line;
pub mod measure;
pub mod process;
pub mod programs;
pub mod reviewer;
pub mod system;
pub mod terminal;
pub mod wait;

pub use home::Home;
pub use process::{Ran, Running};
pub use terminal::Terminal;
pub use wait::wait_until;
