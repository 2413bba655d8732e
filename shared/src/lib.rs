//! The domain of Countersign: everything that can be a pure function.
//!
//! No clock, no database, no runtime, no I/O. What happens here can be tested by calling it.
//!
//! | module | what it is |
//! |---|---|
//! | [`id`], [`digest`], [`time`] | names, SHA-256, clocks as values |
//! | [`json`], [`limits`] | the strict reader and the canonical form (RFC 8785), and what is too much |
//! | [`action`], [`mask`], [`document`] | what is asked, without its secrets, as it is signed |
//! | [`text`], [`display`], [`diff`] | agent text made safe to look at |
//! | [`requirement`], [`machine`], [`waiters`] | the life of a request |
//! | [`explanation`] | why a request is where it is |
//! | [`roster`], [`statement`], [`sshsig`] | who may decide, and proof that they did |
//! | [`log`] | the transparency log: tree, notes, proofs, entries |
//! | [`home`] | where the files of an installation are |
//! | [`wire`] | the protocol's messages |

pub mod action;
pub mod diff;
pub mod digest;
pub mod display;
pub mod document;
pub mod explanation;
pub mod home;
pub mod id;
pub mod json;
pub mod limits;
pub mod log;
pub mod machine;
pub mod mask;
pub mod requirement;
pub mod roster;
pub mod sshsig;
pub mod statement;
pub mod text;
pub mod time;
pub mod waiters;
pub mod when;
pub mod wire;
