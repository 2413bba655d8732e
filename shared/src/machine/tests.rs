//! Proof of the machine: a table of every state and event, and the rules as properties of
//! arbitrary lives.
//!
//! `people` has the cast, `world` plays events against a request and keeps the record, `lives`
//! generates what is played, `ledger` judges the record without looking into the machine.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a check names the events it is about; the table covers every one"
)]

mod examples;
mod ledger;
mod lives;
mod people;
mod reach;
mod replay;
mod rules;
mod table;
mod who;
mod world;
