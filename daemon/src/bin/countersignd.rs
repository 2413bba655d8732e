//! The daemon.

/// A submit makes some thousand small values, most of them on one thread and freed on the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    countersignd::main()
}
