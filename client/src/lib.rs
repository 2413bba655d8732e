//! What both clients of the daemon share: the console and the agents' side.
//!
//! | module | what it is |
//! |---|---|
//! | [`place`] | where the socket, the log's key and the user's own files are |
//! | [`peer`] | who listens, looked at before anything is sent |
//! | [`channel`] | one checked connection as a gRPC channel |
//! | [`refusal`] | what a gRPC status means |
//! | [`shown`] | heads, proofs and states as they were shown, not yet checked |
//! | [`heads`] | the last head this user has seen, and the proof that the log still begins so |
//! | [`private`] | files of this user that a reader never sees half |
//!
//! It holds no service stubs, so it cannot ask for anything, and no keys, so it cannot sign.

pub mod channel;
pub mod heads;
pub mod peer;
pub mod place;
pub mod private;
pub mod refusal;
pub mod shown;
