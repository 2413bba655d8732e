//! The console and the people's command line.

fn main() -> std::process::ExitCode {
    countersign::main()
}
