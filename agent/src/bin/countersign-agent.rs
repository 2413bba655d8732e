//! The agents' program. Everything is in the library.

fn main() -> std::process::ExitCode {
    countersign_agent::main()
}
