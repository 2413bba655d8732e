use super::*;

const GOOD: &str = "mode = \"user\"\norigin = \"countersign/0123456789abcdefghjkmnpqrs\"\n";

fn config(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/h/countersign.toml"), text)
}

fn people(text: &str) -> Result<countersign_shared::roster::Roster, ConfigError> {
    parse_roster(Path::new("/h/reviewers.toml"), text)
}

fn place<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> (usize, usize, String) {
    let error = result.unwrap_err();
    let ConfigError::Wrong {
        line,
        column,
        message,
        ..
    } = error
    else {
        panic!("{error}");
    };
    (line, column, message)
}

#[test]
fn the_smallest_file_has_defaults() {
    let read = config(GOOD).unwrap();
    assert_eq!(read.mode, Mode::User);
    assert_eq!(read.groups, Groups::default());
    assert_eq!(read.default_requirement, DefaultRequirement::default());
    assert_eq!(read.limits, None);
    assert_eq!(read.retention.documents(), None);
}

#[test]
fn what_is_documented_as_the_default_is() {
    let page = include_str!("../../../docs/configuration.md");
    let nothing = config(GOOD).unwrap();
    for (table, key) in [
        ("", "daemon_user"),
        ("[groups]", "agents"),
        ("[groups]", "reviewers"),
        ("[rules]", "signers"),
    ] {
        let (_, rest) = page.split_once(&format!("`{key}` | ")).expect(key);
        let (written, _) = rest.split_once(" |").unwrap();
        let value = match written.trim_matches('`') {
            number if number.parse::<u32>().is_ok() => number.to_owned(),
            text => format!("\"{text}\""),
        };
        let said = config(&format!("{GOOD}{table}\n{key} = {value}\n")).expect(key);
        assert_eq!(said, nothing, "{key}");
    }
}

#[test]
fn every_key_is_read() {
    let read = config(
        r#"
mode = "system"
origin = "countersign/x"
groups = { agents = "bots", reviewers = "people" }
daemon_user = "cs"
[default_requirement]
review = "2 of sre"
tier = "high"
assurance = "touch"
ttl = "1h"
grant = "5m"
max_run = "1h"
self_attest = "allow"
[limits]
held_per_uid = 3
[retention]
documents_days = 30
entries_days = 400
"#,
    )
    .unwrap();
    let month = std::time::Duration::from_secs(30 * 24 * 3600);
    assert_eq!(read.retention.documents(), Some(month));
    assert_eq!(read.retention.entries_days().unwrap().get(), 400);
    for wrong in ["0", "-1", "\"400d\"", "70000"] {
        let text = format!("{GOOD}[retention]\ndocuments_days = {wrong}\n");
        let (line, _, message) = place(config(&text));
        assert_eq!(line, 4, "{message}");
    }
    let text = format!("{GOOD}[retention]\ndocuments_days = 400\nentries_days = 400\n");
    let (line, _, message) = place(config(&text));
    assert!(
        line == 3 && message.contains("has to be less"),
        "{line} {message}"
    );
    assert_eq!(read.mode, Mode::System);
    assert_eq!(read.groups.agents, "bots");
    assert_eq!(read.daemon_user, "cs");
    assert_eq!(read.default_requirement.review.as_deref(), Some("2 of sre"));
    assert!(read.limits.unwrap().contains_key("held_per_uid"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let (line, column, message) = place(config(&format!("{GOOD}\nmoed = \"user\"\n")));
    assert_eq!((line, column), (4, 1), "{message}");
    assert!(message.contains("moed"), "{message}");
    let (line, _, message) = place(config(&format!(
        "{GOOD}[default_requirement]\nteir = \"low\""
    )));
    assert_eq!(line, 4, "{message}");
    let (line, _, message) = place(config(&format!("{GOOD}groups = {{ agent = \"a\" }}\n")));
    assert_eq!(line, 3, "{message}");
    let error = config(&format!("{GOOD}moed = 1")).unwrap_err().to_string();
    assert!(error.starts_with("/h/countersign.toml:3:1: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_key_twice_and_a_wrong_type_are_refused() {
    assert_eq!(place(config(&format!("{GOOD}mode = \"system\"\n"))).0, 3);
    assert_eq!(place(config("mode = 1\norigin = \"x\"\n")).0, 1);
    assert_eq!(place(config("mode = \"root\"\norigin = \"x\"\n")).0, 1);
    assert!(config("mode = \"user\"\n").is_err());
    assert!(config("").is_err());
}

#[test]
fn an_origin_is_one_visible_word() {
    for bad in ["", "a b", "a+b", "a\\nb", "ü", &"x".repeat(129)] {
        let (line, column, _) = place(config(&format!("mode = \"user\"\norigin = \"{bad}\"\n")));
        assert_eq!((line, column), (2, 10), "{bad}");
    }
}

#[test]
fn the_two_groups_must_differ_and_be_names() {
    for bad in [
        r#"groups = { agents = "a", reviewers = "a" }"#,
        r#"groups = { agents = "", reviewers = "b" }"#,
        r#"groups = { agents = "a", reviewers = "b:c" }"#,
    ] {
        assert_eq!(place(config(&format!("{GOOD}{bad}\n"))).0, 3, "{bad}");
    }
    assert_eq!(place(config(&format!("{GOOD}daemon_user = \"\"\n"))).0, 3);
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fn person(name: &str, user: &str, keys: &str) -> String {
    format!("[[reviewer]]\nname = \"{name}\"\nuser = \"{user}\"\nkeys = [\"{keys}\"]\n")
}

#[test]
fn people_are_read() {
    let read = people(&person("mika@example.org", "mika", KEY)).unwrap();
    assert_eq!(read.by_user("mika").unwrap().name(), "mika@example.org");
    assert_eq!(people("").unwrap().iter().count(), 0);
}

#[test]
fn the_person_with_whom_it_goes_wrong_is_pointed_at() {
    let first = person("a@example.org", "a", KEY);
    let same_key = person("b@example.org", "b", &format!("{KEY} another comment"));
    assert_eq!(place(people(&format!("{first}{same_key}"))).0, 5);
    let no_key = person("b@example.org", "b", "ssh-ed25519 AAAA");
    assert_eq!(place(people(&format!("{first}{no_key}"))).0, 5);
    assert_eq!(place(people(&format!("{first}extra = 1\n"))).0, 5);
}
