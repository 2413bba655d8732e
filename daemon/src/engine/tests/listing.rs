//! Long lists come in pages, and a prefix is looked up without looking at everything.

use std::time::Duration;

use countersign_shared::id::RequestId;
use countersign_shared::limits::Limits;

use super::super::*;
use super::world::{World, ana, bo, rules};

/// A world with as many requests, oldest first; several of one moment.
fn many(count: usize) -> (World, Vec<RequestId>) {
    let limits = Limits {
        held_per_uid: 10_000,
        held_per_uid_and_hour: 10_000,
        ..Limits::default()
    };
    let mut world = World::with(rules(&[ana(), bo()], "1 of anyone", &limits));
    let mut ids: Vec<RequestId> = Vec::new();
    while ids.len() < count {
        ids.push(world.submit(&format!("SELECT {}", ids.len())));
        if ids.len().is_multiple_of(3) {
            world.hand.advance(Duration::from_millis(1));
        }
    }
    (world, ids)
}

fn page(world: &mut World, before: Option<RequestId>, limit: u32) -> Vec<RequestId> {
    let page = world.ask(|reply| Query::Page {
        before,
        limit,
        reply,
    });
    page.unwrap().iter().map(|view| view.request.id()).collect()
}

#[test]
fn pages_hold_every_request_once_newest_first_and_are_short() {
    let (mut world, mut expected) = many(99);
    expected.reverse();
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = page(&mut world, before, 1000);
        assert!(page.len() <= 32, "{} in one page", page.len());
        match page.last() {
            Some(last) => before = Some(*last),
            None => break,
        }
        found.extend(page);
    }
    assert_eq!(found, expected);
    assert_eq!(page(&mut world, None, 2), expected[..2]);
    assert!(page(&mut world, None, 0).is_empty());
    let nobody = RequestId::from_bytes([0; 16]);
    assert!(page(&mut world, Some(nobody), 9).is_empty());
}

#[test]
fn a_prefix_finds_its_request_or_says_that_there_are_several() {
    let (mut world, ids) = many(60);
    for id in &ids {
        let text = id.to_string();
        let of_prefix = |length: usize| {
            let prefix = text.get(..length).unwrap();
            let same = ids.iter().filter(|id| id.to_string().starts_with(prefix));
            (prefix.to_owned(), same.count())
        };
        for length in [8, 12, 29, 30] {
            let (prefix, count) = of_prefix(length);
            let found = world.ask(|reply| Query::Get(prefix, reply));
            match found {
                Ok(view) => assert_eq!((view.request.id(), count), (*id, 1)),
                Err(error) => {
                    assert_eq!(error.code(), "ambiguous-id");
                    assert!(count > 1);
                }
            }
        }
    }
    let error = world
        .ask(|reply| Query::Get("req_zzzzzzzz".to_owned(), reply))
        .unwrap_err();
    assert_eq!(error.code(), "not-found");
}
