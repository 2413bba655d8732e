//! What the command line and the console tell in the same way: entries of the log, and what runs write.
//!
//! | module | what it is |
//! |---|---|
//! | [`filter`] | which entries are picked |
//! | [`words`] | what an entry says, in a few words |
//! | [`lines`] | what a run writes, taken apart into lines |
//!
//! Nothing is read, drawn or checked here.

pub mod filter;
pub mod lines;
pub mod words;
