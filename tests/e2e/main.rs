//! End to end, with the real programs.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a helper that fails fails its test"
)]

mod asking;
mod erasing;
mod exec;
mod exporting;
mod glass;
mod hooks;
mod hostile;
mod kills;
mod mcp;
mod notify;
mod people;
mod policy;
mod pruning;
mod reading;
mod refusals;
mod reload;
mod restoring;
mod rotating;
mod run;
mod shared;
mod story;
mod streaming;
mod system;
mod tidy;
mod views;
mod wire;
mod witness;
