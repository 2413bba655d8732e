//! Searches every order in which people, executors, clocks and crashes can meet one request, and
//! checks the rules in each state.
//!
//! `cargo run --release --example model -- REVIEWERS EXECUTORS FAULTS TICKS`, by default 2 3 2 4.
//! `cargo test` searches a smaller space in the same way.

use std::io::Write as _;
use std::process::ExitCode;

use stateright::{Checker as _, Model as _, report::WriteReporter};

mod people;
mod scene;
mod world;

use world::World;

fn main() -> ExitCode {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse::<u8>().ok());
    let mut next = |default| sizes.next().unwrap_or(Some(default));
    let (Some(reviewers), Some(executors), Some(faults), Some(ticks)) =
        (next(2), next(3), next(2), next(4))
    else {
        let usage = b"usage: model [REVIEWERS [EXECUTORS [FAULTS [TICKS]]]]\n";
        let _told = std::io::stderr().write_all(usage);
        return ExitCode::from(2);
    };
    let world = World {
        reviewers,
        executors,
        faults,
        ticks,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = world
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join_and_report(&mut WriteReporter::new(&mut std::io::stdout()));
    let holds = found.model().surprises(&found).is_empty();
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_hold_in_every_order_of_people_executors_clocks_and_crashes() {
        let world = World {
            reviewers: 2,
            executors: 2,
            faults: 1,
            ticks: 3,
        };
        let found = world.checker().threads(2).spawn_bfs().join();
        let surprises = found.model().surprises(&found);
        assert!(surprises.is_empty(), "{}", surprises.join("\n"));
        assert!(
            found.unique_state_count() > 10_000,
            "hardly anything was searched"
        );
    }
}
