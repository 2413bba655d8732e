//! What is written down makes the same rules again, and nothing else does.

use countersign_shared::requirement::{Assurance, RequiredReview, RunBy, Tier};
use serde_json::Value;
use ssh_key::PublicKey;
use ssh_key::public::{Ed25519PublicKey, KeyData};

use super::*;

const FREE: &str = "@id(\"free\") @review(\"nobody\") @tier(\"low\")\n\
                    permit (principal, action in [Action::\"file.read\"], resource);\n";

const PROFILE: &str = "[profile.deploy]\nagents = [\"root\"]\nprograms = [\"/bin/true\"]\n\
                       directories = [\"/srv\"]\n";

fn key(seed: u8) -> String {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let public = Ed25519PublicKey(secret.verifying_key().to_bytes());
    PublicKey::from(KeyData::Ed25519(public))
        .to_openssh()
        .unwrap()
}

fn rules() -> Rules {
    let person = |name: &str, seed: u8, ends: &str| Person {
        name: name.to_owned(),
        user: name.to_owned(),
        groups: vec!["sre".to_owned()],
        keys: vec![format!("{ends}{}", key(seed))],
    };
    let people = vec![
        person("ana", 1, ""),
        person("bo", 2, "valid-before=\"20300101Z\" "),
    ];
    let roster = Roster::from_people(people).unwrap();
    let members = roster
        .iter()
        .zip(60_001..)
        .map(|(person, uid)| member_of(person, uid))
        .collect();
    let requirement = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: "2 of sre".parse().unwrap(),
        }],
        tier: Tier::High,
        assurance: Assurance::Passphrase,
        reason_required: true,
        ttl_s: 3600,
        grant_s: 300,
        max_run_s: 600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: vec!["at 25% to sre".parse().unwrap()],
    };
    let limits = Limits {
        approval: Duration::from_millis(90_001),
        ..Limits::default()
    };
    let mut rules = Rules::holding_all(Mode::System, roster, members, requirement, limits);
    rules.list_for_break_glass(&["bo"]);
    rules.ask_for_signers(2);
    rules.put_file("policy/free.cedar", FREE);
    rules.put_file(
        "targets.toml",
        "[[target]]\nkind = \"database\"\nname = \"orders\"\nenvironment = \"prod\"\n",
    );
    rules
}

#[test]
fn what_is_written_down_makes_the_same_rules_again() {
    let mut rules = rules();
    rules.put_file("profiles.toml", PROFILE);
    let again = Rules::restore((*rules.kept).clone(), Groups::default()).unwrap();
    assert_eq!(again.digest, rules.digest);
    assert_eq!(again.roster, rules.roster);
    assert_eq!(again.members, rules.members);
    assert_eq!(again.limits, rules.limits);
    assert_eq!(again.break_glass, rules.break_glass);
    assert_eq!(again.signers, rules.signers);
    assert_eq!(again.kept, rules.kept);
    let (one, other) = (&rules.policies, &again.policies);
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.default_requirement(), other.default_requirement());
    assert_eq!((one.len(), one.catalogue().len()), (1, 1));
    assert_eq!((other.len(), other.catalogue().len()), (1, 1));
}

#[test]
fn everything_that_decides_is_in_the_digest() {
    let base = rules();
    let changes: [fn(&mut Rules); 9] = [
        |it| it.list_for_break_glass(&["ana"]),
        |it| it.ask_for_signers(1),
        |it| it.put_file("kinds.toml", ""),
        |it| it.put_file("targets.toml", ""),
        |it| it.put_file("profiles.toml", PROFILE),
        |it| it.put_file("profiles.toml", &PROFILE.replace("/bin/true", "/bin/false")),
        |it| it.put_file("policy/free.cedar", &format!("{FREE}// and a remark\n")),
        |it| it.change_default(|it| it.tier = Tier::Critical),
        |it| *it = it.with(|parts, _| parts.limits.pending += 1),
    ];
    let mut digests = BTreeSet::from([base.digest]);
    for change in changes {
        let mut rules = base.clone();
        change(&mut rules);
        assert!(digests.insert(rules.digest), "{digests:?}");
    }
}

#[test]
fn the_bytes_name_every_file_by_its_sha256_and_the_digest_is_theirs() {
    let rules = rules();
    assert_eq!(Digest::of(&rules.kept.bytes), rules.digest);
    let value: Value = serde_json::from_slice(&rules.kept.bytes).unwrap();
    for (name, text) in &rules.kept.files {
        let expected = Digest::of(text.as_bytes()).to_hex();
        assert_eq!(value["files"][name], expected, "{name}");
    }
    assert_eq!(rules.kept.files.len(), 3);
    assert_eq!(rules.kept.files[SCHEMA_FILE], SCHEMA);
}

#[test]
fn other_bytes_or_files_make_no_rules() {
    let good = (*rules().kept).clone();
    let mut cases = vec![("nothing", KeptRules::default())];
    let mut other_text = good.clone();
    let text = other_text.files.get_mut("policy/free.cedar").unwrap();
    *text = text.replace("file.read", "file.write");
    cases.push(("another text", other_text));
    let mut lacking = good.clone();
    lacking.files.remove("targets.toml");
    cases.push(("a file less", lacking));
    let mut more = good.clone();
    more.files
        .insert("policy/more.cedar".to_owned(), String::new());
    cases.push(("a file more", more));
    let edit = |from: &str, to: &str| {
        let text = String::from_utf8(good.bytes.clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        KeptRules {
            bytes: text.replacen(from, to, 1).into_bytes(),
            files: good.files.clone(),
        }
    };
    cases.push(("white space", edit("{", "{ ")));
    cases.push(("an unknown field", edit("{", "{\"a\":1,")));
    cases.push(("another version", edit("\"v\":1", "\"v\":2")));
    cases.push(("no signers", edit("\"signers\":2", "\"signers\":0")));
    for (what, kept) in cases {
        assert!(Rules::restore(kept, Groups::default()).is_err(), "{what}");
    }
}
