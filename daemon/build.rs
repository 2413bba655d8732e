//! Generates the service stubs that this crate needs and no others; the messages live in `shared`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../shared/proto");
    let files = protox::compile(
        ["countersign/v1/agent.proto", "countersign/v1/review.proto"],
        ["../shared/proto"],
    )?;
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(false)
        .extern_path(".countersign.v1", "::countersign_shared::wire::pb")
        .compile_fds(files)?;
    Ok(())
}
