//! What servers say of their tools.

use std::fs;

use countersign_tests::Home;
use serde_json::{Value, json};

use super::Talk;
use crate::asking::show;

fn list(talk: &mut Talk) {
    talk.say(&json!({"jsonrpc": "2.0", "id": "l", "method": "tools/list"}));
    assert_eq!(talk.hear()["id"], "l");
}

#[test]
fn hints_are_stated_and_a_definition_that_changed_is_shown_until_it_is_approved() {
    let home = Home::new();
    let arguments = |shown: &Value| shown["document"]["action"]["arguments"].clone();
    let mut talk = Talk::start(&home);
    list(&mut talk);
    let asked = talk.held(&home, 1, "drop");
    let shown = arguments(&show(&home, &asked));
    assert_eq!(
        shown["annotations"],
        json!({"destructiveHint": true, "readOnlyHint": false})
    );
    assert_eq!(shown["definition"], Value::Null);
    home.approve(&asked).expect_code(0);
    assert_eq!(talk.hear()["id"], 1);
    talk.end().expect_code(0);

    let mut talk = Talk::with(&home, "changed");
    list(&mut talk);
    let asked = talk.held(&home, 1, "drop");
    let definition = arguments(&show(&home, &asked))["definition"].clone();
    let text = |side: &str| {
        definition[side]["text"]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    assert!(text("pinned").contains("drops a table"), "{definition}");
    assert!(
        text("found").contains("reads a table, honestly"),
        "{definition}"
    );
    home.deny(&asked, "what is this").expect_code(0);
    talk.refused(1);
    // Nobody approved it, so it still is one.
    talk.call(2, "drop", &json!({"again": true}));
    let asked = home.wait_for_state("pending");
    assert!(arguments(&show(&home, &asked))["definition"].is_object());
    home.approve(&asked).expect_code(0);
    assert_eq!(talk.hear()["id"], 2);
    let asked = talk.held(&home, 3, "drop");
    assert_eq!(arguments(&show(&home, &asked))["definition"], Value::Null);
}

#[test]
fn a_definition_that_changes_while_its_call_is_held_makes_the_call_another_one() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    list(&mut talk);
    let asked = talk.held(&home, 1, "drop");
    let mut other = Talk::with(&home, "changed");
    list(&mut other);
    home.approve(&asked).expect_code(0);
    let why = talk.refused(1);
    assert!(why.contains("not what was asked for"), "{why}");
    talk.assert_not_called();
    assert_eq!(home.look(&asked.id).state, "withdrawn");
}

#[test]
fn without_what_was_said_before_no_call_is_passed_on() {
    let home = Home::new();
    let mut talk = Talk::start(&home);
    list(&mut talk);
    let kept = fs::read_dir(home.root().join("state/tools")).expect("a directory");
    for file in kept {
        fs::write(file.expect("a file").path(), "{").expect("to write");
    }
    talk.call(1, "echo", &json!({}));
    let why = talk.refused(1);
    assert!(why.contains("does not hold definitions"), "{why}");
    talk.assert_not_called();
    assert_eq!(home.list().len(), 0);
}
