//! Countersign for people: the console, the command line, and the keys.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`account`], [`siblings`], [`cause`] | who runs this, the other programs beside it, what an error says |
//! | [`console`] | the console, and the machine that keeps a slip of the hand from deciding |
//! | [`link`] | the console's way to the daemon |
//! | [`notify`] | telling of requests on the desktop |
//! | [`client`] | one connection to the reviewers' socket |
//! | [`proof`] | the proof that one entry is in the log, step by step |
//! | [`review`] | one request, checked against the log before anybody looks at it |
//! | [`demands`] | what a request demands of whoever approves it |
//! | [`signing`] | statements: put together, signed, handed in, kept |
//! | [`entries`] | what the command line and the console tell in the same words |
//! | [`keys`] | the person's keys |
//! | [`demo`] | daemon, agents and console, with nothing to set up |
//!
//! It holds no authority of its own: the daemon checks every statement again.

pub mod account;
pub mod cause;
pub mod cli;
pub mod client;
pub mod console;
pub mod demands;
pub mod demo;
pub mod entries;
pub mod keys;
pub mod link;
pub mod notify;
pub mod proof;
pub mod review;
pub mod rules;
pub mod siblings;
pub mod signing;

pub use cli::main;
