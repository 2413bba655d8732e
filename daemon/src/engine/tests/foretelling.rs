//! What people are told of a request that waits: which seats are empty, and who could fill them.

use countersign_shared::machine::State;

use super::super::*;
use super::world::{Ask, World, ana, cy, everyone};
use crate::rpc::Outlook;

fn outlook(world: &mut World, id: RequestId) -> Outlook {
    let view = world.view(id);
    Outlook::of(&view.request, &world.engine.rules.members)
}

#[test]
fn empty_seats_are_told_with_those_who_could_fill_them() {
    let mut world = World::with(everyone("1 of sre and 1 of dba"));
    let id = world.submit("SELECT 1");
    let before = outlook(&mut world, id);
    assert_eq!(before.waits_for, "1 of dba and 1 of sre");
    assert!(before.could_approve.contains(&"cy".to_owned()));
    assert!(before.nobody_for.is_empty());
    world.approve(id, &ana());
    let after = outlook(&mut world, id);
    assert_eq!(after.waits_for, "1 of dba");
    assert!(
        !after.could_approve.contains(&"ana".to_owned()),
        "{after:?}"
    );
    world.approve(id, &cy());
    assert_eq!(world.state(id), State::Approved);
    assert_eq!(outlook(&mut world, id), Outlook::default());
}

#[test]
fn seats_that_nobody_is_left_for_are_named() {
    let mut world = World::with(everyone("1 of dba"));
    let mut ask = Ask::of("SELECT 1");
    // The only one of that group stands behind the request.
    ask.uid = cy().uid;
    let id = world.try_submit(&ask).unwrap().id;
    let told = outlook(&mut world, id);
    assert_eq!(told.waits_for, "1 of dba");
    assert_eq!(told.could_approve, Vec::<String>::new());
    assert_eq!(told.nobody_for, ["dba"]);
}
