//! The daemon: it holds privileged actions until enough of the right people have signed them.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line, and the start in order |
//! | [`home`], [`config`], [`rules`], [`init`], [`separation`] | the operator's files, checked |
//! | [`identity`], [`socket`] | who calls, as the kernel says, and where |
//! | [`intake`], [`judge`] | an asking becomes a draft, a statement becomes a decision |
//! | [`broker`] | what the daemon runs itself, for agents that never hold what it takes |
//! | [`engine`] | the one owner of state: machines, log, database |
//! | [`keyring`] | the files of the log's signing keys |
//! | [`store`] | the database |
//! | [`verify`] | checks all that is stored anew, believing the log's key and nothing else |
//! | [`export`] | what is stored as exports read it |
//! | [`pruning`] | the beginning of the log handed out, checked, and then taken away |
//! | [`stream`] | what is stored told to journals and syslog daemons as it grows |
//! | [`witness`] | the other program in this one: a witness of logs elsewhere, which needs no home |
//! | [`witnesses`] | heads sent to witnesses elsewhere, and what they write below |
//! | `rpc` | the two services; wire messages end there |
//! | [`clock`], [`secrets`] | time, and what is derived from the one secret |
//!
//! The engine runs on a thread of its own; everything else sends it messages and gets replies.

pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod export;
pub mod home;
pub mod identity;
pub mod init;
pub mod intake;
pub mod judge;
pub mod keyring;
pub mod pruning;
mod reload;
mod rpc;
pub mod rules;
pub mod secrets;
pub mod separation;
pub mod socket;
pub mod store;
pub mod stream;
mod sys;
pub mod verify;
pub mod witness;
pub mod witnesses;

pub use cli::main;
