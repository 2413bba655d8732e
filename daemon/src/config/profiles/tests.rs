use super::*;

const LEAST: &str = "programs = [\"/bin/true\"]\ndirectories = [\"/\"]\n";

fn read(text: &str) -> Result<Vec<Profile>, ConfigError> {
    parse(Path::new("profiles.toml"), text)
}

/// A profile with these lines beside what every one has.
fn with(lines: &str) -> Result<Vec<Profile>, ConfigError> {
    read(&format!("[profile.deploy]\n{LEAST}{lines}"))
}

#[test]
fn a_profile_says_little_and_has_defaults() {
    let all = with("").unwrap();
    let [profile] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(profile.name, "deploy");
    assert_eq!(profile.target, ("profile".to_owned(), "deploy".to_owned()));
    assert!(profile.temporary);
    assert_eq!(profile.input, Input::Shown);
    assert_eq!(profile.limits, ProfileLimits::default());
    assert!(profile.secrets.is_empty() && profile.from_agent.is_empty());
    assert!(read("").unwrap().is_empty());
}

#[test]
fn a_profile_says_all_there_is_to_say() {
    let lines = r#"
user = "deploy"
groups = ["docker"]
agents = ["etl"]
agent_groups = ["ci"]
environment = { PGHOST = "orders.example.org" }
from_agent = ["PGDATABASE"]
input = "streamed"
target = { kind = "database", name = "orders" }
[profile.deploy.secrets]
PGPASSWORD = { file = "/etc/secret" }
TOKEN = { credential = "token", as = "file" }
KEY = { command = ["/usr/bin/vault", "read"] }
[profile.deploy.limits]
cpu = "1m"
memory = 1000000
processes = 5
output = 9
max_run = "10m"
"#;
    let profile = with(lines).unwrap().remove(0);
    assert_eq!(profile.user.as_deref(), Some("deploy"));
    assert_eq!(
        profile.secrets["TOKEN"],
        (SecretSource::Credential("token".to_owned()), Delivery::File)
    );
    assert_eq!(profile.secrets["PGPASSWORD"].1, Delivery::Environment);
    assert_eq!(profile.limits.cpu, Some(Duration::from_secs(60)));
    assert_eq!(
        (profile.limits.output, profile.limits.files),
        (9, Some(1024))
    );
    assert_eq!(profile.target.0, "database");
}

#[test]
fn an_unknown_key_of_a_profile_is_refused_with_its_line() {
    for (lines, line) in [
        ("shell = true\n", 4),
        ("\nlimits = { memroy = 5 }\n", 5),
        ("secrets = { A = { path = \"/x\" } }\n", 4),
    ] {
        let error = with(lines).unwrap_err().to_string();
        let place = format!("profiles.toml:{line}:");
        assert!(error.starts_with(&place), "{error}");
    }
    let error = read("[profiles.deploy]\n").unwrap_err().to_string();
    assert!(error.starts_with("profiles.toml:1:"), "{error}");
}

#[test]
fn what_would_leave_a_way_around_a_profile_is_refused() {
    for lines in [
        // The agent would decide what is run.
        "from_agent = [\"LD_PRELOAD\"]",
        "from_agent = [\"PATH\"]",
        "from_agent = [\"BASH_ENV\"]",
        "from_agent = [\"A=B\"]",
        "environment = { A = \"x\" }\nfrom_agent = [\"A\"]",
        // Nobody could tell which of the two is meant.
        "environment = { A = \"x\" }\nsecrets = { A = { file = \"/x\" } }",
        "from_agent = [\"A\"]\nsecrets = { A = { file = \"/x\" } }",
        "secrets = { A = { file = \"/x\", credential = \"y\" } }",
        "secrets = { A = {} }",
        "secrets = { A = { file = \"relative\" } }",
        "secrets = { A = { credential = \"../x\" } }",
        "secrets = { A = { command = [\"vault\"] } }",
        "secrets = { A = { command = [] } }",
        "secrets = { \"A B\" = { file = \"/x\" } }",
        "temporary = false\nsecrets = { A = { file = \"/x\", as = \"file\" } }",
        "user = \"\"",
        "limits = { output = 0 }",
        "limits = { max_run = \"forever\" }",
        "limits = { cpu = \"1500ms\" }",
        "input = \"terminal\"",
        "target = { kind = \"\", name = \"x\" }",
    ] {
        assert!(with(lines).is_err(), "{lines}");
    }
    for text in [
        "[profile.a]\nprograms = [\"true\"]\ndirectories = [\"/\"]\n",
        "[profile.a]\nprograms = []\ndirectories = [\"/\"]\n",
        "[profile.a]\nprograms = [\"/bin/true\"]\ndirectories = []\n",
        "[profile.a]\nprograms = [\"/bin/true\"]\ndirectories = [\"here\"]\n",
        "[profile.a]\nprograms = [{ path = \"/bin/true\", sha256 = \"00\" }]\ndirectories = [\"/\"]\n",
        "[profile.\"A b\"]\nprograms = [\"/bin/true\"]\ndirectories = [\"/\"]\n",
        "[profile.a]\nprograms = [\"/bin/true\"]\n",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
