//! Compiles the protocol. No `protoc` is needed: protox is a compiler in Rust.

use std::path::PathBuf;

use prost::Message as _;

const PROTOS: [&str; 2] = [
    "proto/countersign/v1/agent.proto",
    "proto/countersign/v1/review.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("countersign.bin"), files.encode_to_vec())?;
    // Messages only: each crate generates the service stubs it needs, so that the agents' binary
    // holds no trace of the reviewers' service.
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
