//! What the command line takes, and what it does not.

use clap::CommandFactory as _;
use countersign_shared::action::{Access, DataUse};
use serde_json::json;

use super::*;

const ID: &str = "req_008j4csh8nawcxw9sakwsjfezw";

fn read(line: &[&str]) -> Result<Command, clap::Error> {
    let line = std::iter::once("countersign-agent").chain(line.iter().copied());
    Arguments::try_parse_from(line).map(|arguments| arguments.command)
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn a_request_has_a_kind_and_a_target_or_a_document() {
    for line in [
        &["request"][..],
        &["request", "--kind", "a.b"],
        &["request", "--target", "x"],
        &["request", "--document", "f", "--kind", "a.b"],
        &["request", "--document", "f", "--reason", "because"],
    ] {
        assert!(read(line).is_err(), "{line:?}");
    }
    read(&["request", "--kind", "a.b", "--target", "x", "--wait", "10m"]).unwrap();
    read(&["request", "--document", "f", "--json"]).unwrap();
}

#[test]
fn an_argument_is_a_text_unless_it_says_json() {
    for (text, name, value) in [
        ("a=b", "a", json!("b")),
        ("a=b=c", "a", json!("b=c")),
        ("a=", "a", json!("")),
        ("a=5", "a", json!("5")),
        ("a:=5", "a", json!(5)),
        ("a:=[true]", "a", json!([true])),
    ] {
        let read: Argument = text.parse().unwrap();
        assert_eq!((read.name.as_str(), &read.value), (name, &value), "{text}");
    }
    for text in ["a", "=b", "", "a:=x"] {
        assert!(text.parse::<Argument>().is_err(), "{text}");
    }
}

#[test]
fn a_secret_never_stands_on_the_command_line() {
    for text in [
        "token=hunter2",
        "token=",
        "token",
        "=@f",
        "token=@",
        "token=env:",
    ] {
        assert!(text.parse::<SecretArgument>().is_err(), "{text}");
    }
    let read: SecretArgument = "token=@/run/token".parse().unwrap();
    assert_eq!(read.source, SecretSource::File("/run/token".into()));
    let read: SecretArgument = "token=env:TOKEN".parse().unwrap();
    assert_eq!(read.source, SecretSource::Variable("TOKEN".to_owned()));
}

#[test]
fn data_says_what_is_done_to_it() {
    let read: DataUseArgument = "orders,access=delete,classification=pii,records=7,destination=s3"
        .parse()
        .unwrap();
    assert_eq!(
        read.0,
        DataUse {
            name: "orders".to_owned(),
            classification: Some("pii".to_owned()),
            access: Access::Delete,
            records: Some(7),
            destination: Some("s3".to_owned()),
        }
    );
    for text in [
        "orders",
        ",access=read",
        "orders,access=look",
        "orders,access=read,records=many",
        "orders,access=read,acces=write",
    ] {
        assert!(text.parse::<DataUseArgument>().is_err(), "{text}");
    }
}

#[test]
fn an_empty_new_file_means_that_the_file_is_removed() {
    let read: ChangedFile = "a.yaml=new.yaml".parse().unwrap();
    assert_eq!(read.new, Some("new.yaml".into()));
    let read: ChangedFile = "a.yaml=".parse().unwrap();
    assert_eq!(read.new, None);
    assert!("a.yaml".parse::<ChangedFile>().is_err());
}

#[test]
fn a_request_is_named_in_full() {
    for line in [
        &["wait", "req_008j"][..],
        &["withdraw", "latest"],
        &["redeem", ID],
        &["report", ID, "--exit", "3"],
        &["report", ID, "--outcome", "fine"],
    ] {
        assert!(read(line).is_err(), "{line:?}");
    }
    read(&["wait", ID, "--timeout", "90s", "--json"]).unwrap();
    read(&["report", ID, "--outcome", "failed", "--exit", "3"]).unwrap();
}

#[test]
fn the_command_of_run_stands_behind_two_dashes_and_stays_as_it_is() {
    let line = [
        "run", "--env", "PGHOST", "--", "psql", "--home", "x", "--", "-c",
    ];
    let Ok(Command::Run(run)) = read(&line) else {
        panic!("not a run")
    };
    assert_eq!(run.environment, ["PGHOST"]);
    assert_eq!(run.command, ["psql", "--home", "x", "--", "-c"]);
    for line in [
        &["run"][..],
        &["run", "--"],
        &["run", "psql"],
        &["run", "--env", "A=b", "--", "psql"],
        &["run", "--status-fd", "-1", "--", "psql"],
    ] {
        assert!(read(line).is_err(), "{line:?}");
    }
}
