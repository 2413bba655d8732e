//! What a request must pass before it may run: Cedar policies, facts, requirements.
//!
//! Cedar lives in this crate alone. Nothing here reads a file, a clock or a socket.
