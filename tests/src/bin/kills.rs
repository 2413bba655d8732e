//! `kills [HOW MANY] [SEED]`: kills the daemon that often, and says what was counted.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>());
    let (Ok(kills), Ok(seed)) = (
        arguments.next().unwrap_or(Ok(1000)),
        arguments.next().unwrap_or(Ok(1)),
    ) else {
        return say("usage: kills [HOW MANY] [SEED]", ExitCode::from(2));
    };
    match countersign_tests::kills::run(kills, seed).await {
        Ok(tally) => say(&format!("everything held: {tally:#?}"), ExitCode::SUCCESS),
        Err(error) => say(&format!("it did not hold: {error}"), ExitCode::FAILURE),
    }
}

#[expect(clippy::print_stdout, reason = "a command that tells its result")]
fn say(text: &str, code: ExitCode) -> ExitCode {
    println!("{text}");
    code
}
