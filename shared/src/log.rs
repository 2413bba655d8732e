//! The transparency log as arithmetic: an RFC 6962 tree, its signed heads, and proofs about it.
//!
//! | module | what it is |
//! |---|---|
//! | [`tree`] | leaf and node hashes, and the right edge of a growing tree |
//! | [`proof`] | inclusion and consistency proofs: made from stored nodes, checked strictly |
//! | [`note`] | C2SP signed notes: text, and Ed25519 signatures below it |
//! | [`checkpoint`] | the head of a log as the text of a note |
//! | [`cosignature`] | what witnesses add to a head: that they saw it, and when |
//! | [`trust_policy`] | the file that says which logs and witnesses are believed |
//! | [`witness`] | what a witness asks before it cosigns, and what it answers |
//! | [`receipt`] | C2SP `tlog-proof`: one entry is under one head |
//! | [`keys`] | which keys signed which heads, as the entries tell |
//! | [`keeper`] | what a client remembers, so that a log cannot show it two histories |
//! | [`entry`] | what the leaves say |
//! | [`pruning`] | entries whose bytes are gone, and what the log says of them |
//! | [`accessed`] | which data an action touched, for its entry |
//! | [`replay`] | runs the entries through the request machine again, and judges every signature |
//!
//! Nothing here stores, sends or draws random numbers. The daemon keeps the nodes that
//! [`tree::Frontier::push`] completes and hands them back when a proof is made.

pub mod accessed;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod keeper;
pub mod keys;
pub mod note;
pub mod proof;
pub mod pruning;
pub mod receipt;
pub mod replay;
pub mod tree;
pub mod trust_policy;
pub mod witness;
