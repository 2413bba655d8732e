use countersign_shared::digest::Digest;
use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;

use super::super::super::model::{Requester, Tier};
use super::*;

fn row(number: u8, standing: Standing) -> Row {
    Row {
        id: RequestId::from_bytes([number; 16]),
        digest: Digest::of(&[number]),
        standing,
        tier: Tier::Low,
        kind: Untrusted::new("file.write"),
        target: Untrusted::new("web"),
        target_kind: Untrusted::new("repo"),
        agent: Untrusted::new("cc"),
        requester: Requester::default(),
        received_at: Timestamp::from_millis(0),
        expires_at: Timestamp::from_millis(i64::from(number)),
        claimed_by: None,
        self_attested: false,
        reason: Untrusted::default(),
        waiter_present: true,
        break_glass: false,
        owed_by: None,
        escalated: false,
        escalate_to: Vec::new(),
    }
}

/// The rows on the screen by number; the selected one is negative, an ended one has 1000 added.
fn screen(queue: &Queue) -> Vec<i32> {
    let (top, entries) = queue.window();
    entries
        .iter()
        .enumerate()
        .map(|(at, entry)| {
            let number = i32::from(entry.row.id.as_bytes()[0]);
            let ended = if entry.row.standing.is_waiting() {
                0
            } else {
                1_000
            };
            let sign = if top + at == queue.selected_row() {
                -1
            } else {
                1
            };
            sign * (number + ended)
        })
        .collect()
}

fn queue(numbers: impl IntoIterator<Item = u8>, height: usize) -> Queue {
    let mut queue = Queue::default();
    queue.resize(height);
    queue.begin_snapshot();
    for number in numbers {
        queue.put(row(number, Standing::Pending));
    }
    queue.end_snapshot(None);
    queue
}

#[test]
fn s7_arrivals_change_nothing_on_the_screen_until_they_are_merged() {
    let mut queue = queue([10, 20, 30, 40], 3);
    queue.move_by(2);
    assert_eq!(screen(&queue), [10, 20, -30]);
    queue.put(row(5, Standing::Pending));
    queue.put(row(25, Standing::Pending));
    assert_eq!((screen(&queue), queue.arrivals()), (vec![10, 20, -30], 2));
    queue.merge();
    // The same request, on the same row of the screen.
    assert_eq!((screen(&queue), queue.arrivals()), (vec![20, 25, -30], 0));
}

#[test]
fn s7_a_request_that_ends_leaves_its_row_until_the_selection_moves() {
    let mut queue = queue([10, 20, 30, 40], 4);
    queue.move_by(1);
    queue.put(row(10, Standing::Withdrawn));
    queue.put(row(20, Standing::Denied));
    assert_eq!(screen(&queue), [1_010, -1_020, 30, 40]);
    queue.move_by(1);
    assert_eq!(screen(&queue), [-30, 40]);
}

#[test]
fn an_arrival_that_ends_before_it_is_merged_is_never_shown() {
    let mut queue = queue([10], 4);
    queue.put(row(20, Standing::Pending));
    queue.put(row(20, Standing::Expired));
    queue.put(row(30, Standing::Refused));
    assert_eq!(queue.arrivals(), 0);
}

#[test]
fn what_a_second_snapshot_does_not_name_has_ended() {
    let mut queue = queue([10, 20], 4);
    queue.begin_snapshot();
    queue.put(row(20, Standing::Pending));
    queue.put(row(30, Standing::Pending));
    queue.end_snapshot(None);
    assert_eq!((screen(&queue), queue.arrivals()), (vec![-1_010, 20], 1));
}

#[test]
fn the_stricter_and_the_sooner_stand_first() {
    let mut queue = Queue::default();
    queue.resize(9);
    queue.begin_snapshot();
    queue.put(row(10, Standing::Pending));
    queue.put(row(30, Standing::Pending));
    queue.put(Row {
        tier: Tier::High,
        ..row(20, Standing::Pending)
    });
    queue.end_snapshot(None);
    assert_eq!(screen(&queue), [-20, 10, 30]);
}

#[test]
fn after_a_decision_the_next_waiting_request_is_selected() {
    let mut queue = queue([10, 20, 30], 3);
    queue.put(row(20, Standing::Approved));
    queue.select_next_waiting();
    assert_eq!(screen(&queue), [10, 1_020, -30]);
    queue.select_next_waiting();
    assert_eq!(screen(&queue), [-10, 1_020, 30]);
}

#[test]
fn an_empty_queue_can_be_moved_in_and_merged() {
    let mut queue = queue([], 3);
    queue.move_by(1);
    queue.merge();
    queue.select_next_waiting();
    assert_eq!(queue.window().1.len(), 0);
    assert!(queue.selected().is_none());
}

#[test]
fn s7_an_arrival_is_merged_at_once_when_nothing_in_the_list_waits() {
    let mut queue = queue([], 3);
    queue.put(row(10, Standing::Pending));
    assert_eq!((screen(&queue), queue.arrivals()), (vec![-10], 0));
    queue.put(row(5, Standing::Pending));
    assert_eq!((screen(&queue), queue.arrivals()), (vec![-10], 1));
    // What was under the cursor stays under it, ended.
    queue.put(row(10, Standing::Approved));
    assert_eq!((screen(&queue), queue.arrivals()), (vec![5, -1_010], 0));
}

#[test]
fn what_a_snapshot_did_not_name_is_not_said_to_be_indeterminate() {
    let mut queue = queue([10, 20], 4);
    queue.put(row(20, Standing::Indeterminate));
    queue.begin_snapshot();
    queue.end_snapshot(None);
    let word = |number| queue.ended_word(&row(number, Standing::Indeterminate));
    assert_eq!(word(10), "over, outcome not known here");
    assert_eq!(word(20), "indeterminate");
}
