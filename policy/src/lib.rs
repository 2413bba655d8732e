//! What a request must pass before it may run: Cedar policies, facts, requirements.
//!
//! Cedar lives in this crate alone. Nothing here reads a file, a clock or a socket: texts, moments
//! and what the daemon found out are arguments, and the same arguments give the same answer.
//!
//! | module | what it is |
//! |---|---|
//! | [`catalogue`], [`kinds`] | what the operator says of targets, and of kinds of their own |
//! | [`facts`] | what is known of a request: computed, stated or unknown |
//! | [`annotations`] | what a policy says beside its condition |
//! | [`load`], [`judge`] | policies of files; what they say to a request |
//! | [`rejudge`], [`eligible`] | what new rules do to it; who could approve it |
//! | [`check`], [`cases`] | what is odd about policies; requests with what is expected of them |
//! | [`starter`] | the policy one begins with |
//! | [`explain`], [`replay`] | why a request is where it is; what would become of those of the past |

pub mod annotations;
pub mod cases;
pub mod catalogue;
pub mod check;
pub mod eligible;
mod entities;
pub mod explain;
pub mod facts;
#[cfg(test)]
mod fixtures;
pub mod judge;
pub mod kinds;
pub mod load;
mod mentions;
pub mod place;
pub mod rejudge;
pub mod replay;
pub mod starter;
mod text;
