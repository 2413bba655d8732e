//! The log handed out: to a SIEM, to a spreadsheet, to an auditor.
//!
//! Everything here is a pure function of what it is handed: the exact bytes of entries in order,
//! request documents, the files of rules, a signed head. Nothing opens a database, asks a daemon,
//! looks at a clock, or is believed: an export of entries that do not have the root of the signed
//! head fails. Entries stream through; what is held in memory does not grow with the log.
//!
//! | module | what it is |
//! |---|---|
//! | [`source`], [`sink`] | where the log comes from, and where files go |
//! | [`record`] | one entry, as exports read it |
//! | [`export`] | one file of entries: [`jsonl`], [`csv`], [`ocsf`], [`cef`] |
//! | [`line`] | one entry or head at a time, for streams |
//! | [`life`] | what became of each request |
//! | [`usage`] | who used which data |
//! | [`population`], [`controls`] | tables for auditors |
//! | [`pack`] | a directory that an auditor can check without us |
//! | [`report`] | a page for people |
//! | [`verify`] | checks such a directory, or one of tiles, on all processors |
//! | [`tiles`] | the log as a directory that other implementations read |
//!
//! Text that an agent wrote is written in the Exact encoding of
//! [`text`](countersign_shared::text), except where the exact bytes of entries and documents are
//! what is asked for.

pub mod cef;
pub mod controls;
pub mod csv;
pub mod export;
pub mod jsonl;
pub mod life;
pub mod line;
mod meaning;
pub mod ocsf;
pub mod pack;
pub mod population;
pub mod record;
pub mod report;
pub mod sink;
pub mod source;
pub mod tiles;
pub mod usage;
pub mod verify;

#[cfg(test)]
mod fixture;
