use super::*;

fn item(seq: u64) -> Item {
    Item {
        seq,
        time: Timestamp::from_millis(0),
        entry_type: "daemon.started",
        request: None,
        side: ActorKind::Daemon,
        actor: Untrusted::new("countersignd"),
        words: Untrusted::default(),
        leaf: Hash::from_bytes([0; 32]),
    }
}

/// Answers a question from a log of `size` entries, `rows` at a time.
fn answer(wanted: &Wanted, size: u64, rows: u64) -> Batch {
    let (from, to) = match wanted.reach {
        Reach::Newest => (size.saturating_sub(rows), size),
        Reach::Oldest => (0, rows.min(size)),
        Reach::Before(before) => (before.saturating_sub(rows), before),
        Reach::From(from) => (from, (from + rows).min(size)),
    };
    Batch {
        serial: wanted.serial,
        picked: wanted.picked.clone(),
        reach: wanted.reach,
        from,
        to,
        rows: (from..to).rev().map(item).map(Listed::Entry).collect(),
    }
}

/// Reads until nothing more is wanted.
fn settle(book: &mut Logbook, size: u64, rows: u64) {
    while let Some(wanted) = book.go_on(size) {
        book.put(answer(&wanted, size, rows));
    }
}

fn opened(size: u64, rows: u64) -> Logbook {
    let mut book = Logbook::default();
    let wanted = book.open(None, 10);
    book.put(answer(&wanted, size, rows));
    settle(&mut book, size, rows);
    book
}

fn selected(book: &Logbook) -> u64 {
    book.shown().unwrap().selected().unwrap().seq
}

fn is_without_a_gap(book: &Logbook) -> bool {
    let shown = book.shown().unwrap();
    let seqs: Vec<u64> = shown
        .rows
        .iter()
        .map(|row| row.entry().unwrap().seq)
        .collect();
    let expected: Vec<u64> = (shown.from..shown.to).rev().collect();
    seqs == expected
}

#[test]
fn older_entries_come_when_they_are_near_and_only_so_many_are_kept() {
    let size = 20_000;
    let mut book = opened(size, 200);
    assert_eq!(selected(&book), size - 1);
    for _ in 0..size {
        book.shown_mut().unwrap().move_by(1);
        settle(&mut book, size, 200);
        assert!(book.shown().unwrap().len() <= MOST + 200);
    }
    assert_eq!(selected(&book), 0);
    assert!(is_without_a_gap(&book));
    for _ in 0..size {
        book.shown_mut().unwrap().move_by(-1);
        settle(&mut book, size, 200);
    }
    assert_eq!(selected(&book), size - 1);
    assert!(is_without_a_gap(&book));
    assert!(book.shown().unwrap().len() <= MOST);
}

#[test]
fn new_entries_appear_and_the_selection_stays_with_its_entry() {
    let mut book = opened(100, 50);
    settle(&mut book, 103, 50);
    assert_eq!(selected(&book), 99);
    assert_eq!(book.shown().unwrap().window().0, 0, "what is new is seen");
    let row = |book: &Logbook| {
        let shown = book.shown().unwrap();
        shown.selected_row() - shown.window().0
    };
    // Scrolled a little, but near enough to the end that new entries come.
    book.shown_mut().unwrap().move_by(14);
    let (entry, at) = (selected(&book), row(&book));
    assert!(book.shown().unwrap().window().0 > 0);
    settle(&mut book, 110, 50);
    assert_eq!(selected(&book), entry);
    assert_eq!(row(&book), at, "the row stays where it is");
    assert!(is_without_a_gap(&book));
}

#[test]
fn an_answer_to_another_question_is_not_shown() {
    let mut book = Logbook::default();
    let first = book.open(None, 10);
    let second = book.pick(
        Picked {
            entry_type: Some("decision.recorded".to_owned()),
            ..Picked::default()
        },
        None,
    );
    book.put(answer(&first, 100, 50));
    assert!(book.shown().unwrap().is_empty());
    book.failed(first.serial, "no".to_owned());
    assert!(book.shown().unwrap().failure().is_none());
    book.put(answer(&second, 100, 50));
    assert_eq!(book.shown().unwrap().len(), 50);
    book.close();
    book.put(answer(&second, 100, 50));
    assert!(book.shown().is_none());
}

#[test]
fn what_is_gone_is_one_row_wherever_the_answers_begin_and_end() {
    // Entries 3 to 7,999 were pruned; 100 positions come at a time.
    let gone = 3..8_000;
    let size = 8_050;
    let answer = |wanted: &Wanted| {
        let mut batch = answer(wanted, size, 100);
        batch.rows = (batch.from..batch.to)
            .rev()
            .map(|seq| {
                if gone.contains(&seq) {
                    Listed::Gone {
                        first: seq,
                        last: seq,
                    }
                } else {
                    Listed::Entry(item(seq))
                }
            })
            .collect();
        batch
    };
    let expected = |book: &Logbook| {
        let shown = book.shown().unwrap();
        let rows: Vec<_> = shown.rows.iter().map(Listed::positions).collect();
        let newest = (8_000..size).rev().map(|seq| (seq, seq));
        let oldest = (0..3).rev().map(|seq| (seq, seq));
        let all: Vec<_> = newest.chain([(3, 7_999)]).chain(oldest).collect();
        assert_eq!(rows, all);
    };
    let settle = |book: &mut Logbook, mut wanted: Option<Wanted>| {
        while let Some(next) = wanted {
            book.put(answer(&next));
            wanted = book.go_on(size);
        }
    };
    let mut book = Logbook::default();
    let wanted = book.open(None, 60);
    settle(&mut book, Some(wanted));
    expected(&book);
    book.shown_mut().unwrap().select(50);
    assert_eq!(book.shown().unwrap().selected(), None);
    // From its other end.
    let wanted = book.jump(Reach::Oldest);
    settle(&mut book, wanted);
    expected(&book);
    assert_eq!(book.shown().unwrap().selected().unwrap().seq, 0);
}

#[test]
fn a_failure_is_not_asked_again_by_itself() {
    let mut book = Logbook::default();
    let wanted = book.open(None, 10);
    book.failed(wanted.serial, "the daemon is not connected".to_owned());
    assert_eq!(book.go_on(100), None);
    assert_eq!(
        book.shown().unwrap().failure(),
        Some("the daemon is not connected")
    );
    book.try_again();
    assert_eq!(book.go_on(100).unwrap().reach, Reach::From(0));
}

#[test]
fn a_picked_log_without_such_entries_is_looked_through_to_its_beginning() {
    let mut book = Logbook::default();
    let mut wanted = book.open(None, 10);
    let mut questions = 0;
    loop {
        let mut batch = answer(&wanted, 1_000, 100);
        batch.rows.clear();
        book.put(batch);
        questions += 1;
        match book.go_on(1_000) {
            Some(next) => wanted = next,
            None => break,
        }
    }
    assert_eq!(questions, 10);
    assert_eq!(book.shown().unwrap().looked_at(), (0, 1_000));
}

#[test]
fn an_entry_that_nobody_waits_for_any_more_is_not_shown() {
    let mut book = opened(10, 10);
    let entry = Entry::unproven(3, Hash::from_bytes([0; 32]), "no");
    let shown = book.shown_mut().unwrap();
    shown.show_entry(entry.clone());
    assert!(shown.entry().is_none());
    shown.ask_entry(3);
    shown.leave_entry();
    shown.show_entry(entry.clone());
    assert!(shown.entry().is_none());
    shown.ask_entry(4);
    shown.show_entry(entry.clone());
    assert!(shown.entry().is_none());
    shown.ask_entry(3);
    shown.show_entry(entry);
    assert!(shown.entry().is_some());
}

#[test]
fn the_way_leads_back_to_the_request_that_the_log_was_opened_from() {
    let id = RequestId::from_bytes([1; 16]);
    let mut book = Logbook::default();
    assert_eq!(book.open(Some(id), 10).picked.request, Some(id.to_string()));
    assert_eq!(book.close(), Some(id));
    assert_eq!(book.close(), None);
}
