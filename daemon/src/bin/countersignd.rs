//! The daemon.

fn main() -> std::process::ExitCode {
    countersignd::main()
}
