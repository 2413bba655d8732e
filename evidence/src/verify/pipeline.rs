//! Work on all processors whose results come in the order of the work, with a bounded number of
//! pieces under way.
//!
//! Pieces go round the workers in turn, and results are taken from them in the same turn: no result
//! waits for more than its turn, and nothing has to be sorted.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// How many pieces may wait before and behind each worker.
const WAITING: usize = 2;

/// Reads pieces on one thread, works on each on one of `workers`, and hands the results to `take`
/// in the order of reading, on the caller's thread.
///
/// `read` is given a place to put pieces, which says whether more are wanted; `take` says the same.
/// Returns what `read` returned.
pub fn in_order<P: Send, R: Send, E: Send>(
    workers: usize,
    read: impl FnOnce(&mut dyn FnMut(P) -> bool) -> E + Send,
    work: impl Fn(P) -> R + Sync,
    take: &mut dyn FnMut(R) -> bool,
) -> Option<E> {
    thread::scope(|scope| {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for _ in 0..workers.max(1) {
            let (input, pieces): (SyncSender<P>, Receiver<P>) = sync_channel(WAITING);
            let (result, output): (SyncSender<R>, Receiver<R>) = sync_channel(WAITING);
            inputs.push(input);
            outputs.push(output);
            let work = &work;
            scope.spawn(move || {
                // Whoever no longer listens wants no more; then nobody sends either.
                while let Ok(piece) = pieces.recv() {
                    if result.send(work(piece)).is_err() {
                        return;
                    }
                }
            });
        }
        let reader = scope.spawn(move || {
            let mut next = inputs.iter().cycle();
            read(&mut |piece| next.next().is_some_and(|input| input.send(piece).is_ok()))
        });
        for output in outputs.iter().cycle() {
            let Ok(result) = output.recv() else { break };
            if !take(result) {
                break;
            }
        }
        drop(outputs);
        reader.join().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work() {
        for workers in [0, 1, 2, 7] {
            let mut seen = Vec::new();
            let read = |put: &mut dyn FnMut(u32) -> bool| (0..1_000).all(put);
            let whole = in_order(workers, read, |piece| piece * 2, &mut |result| {
                seen.push(result);
                true
            });
            assert_eq!(whole, Some(true));
            assert_eq!(seen, (0..1_000).map(|piece| piece * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn whoever_wants_no_more_ends_the_reading() {
        let mut seen = 0;
        let read =
            |put: &mut dyn FnMut(u32) -> bool| (0..9_999).take_while(|piece| put(*piece)).count();
        let read = in_order(3, read, |piece| piece, &mut |_| {
            seen += 1;
            seen < 10
        });
        assert_eq!(seen, 10);
        assert!(read.unwrap() < 100, "{read:?}");
    }
}
