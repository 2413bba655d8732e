//! The protocol's messages, as generated. Write them `pb::X`; nothing outside the sockets' edges
//! keeps one.

/// Package `countersign.v1`, compiled from `shared/proto`.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::large_enum_variant,
    reason = "generated code"
)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/countersign.v1.rs"));
}

/// The compiled descriptors, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/countersign.bin"));
