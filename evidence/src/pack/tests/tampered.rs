//! Packs that somebody changed, manifest included. Each has to be refused with the place.

use countersign_shared::machine::RunOutcome;
use countersign_shared::statement::Verdict;

use super::*;

fn made() -> Made {
    let made = Made::of(&Fixture::story(), whole());
    made.is_good();
    made
}

/// Exchanges two lines, counted from 0.
fn swapped(text: &str, a: usize, b: usize) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(a, b);
    format!("{}\n", lines.join("\n"))
}

#[test]
fn a_file_that_the_manifest_does_not_fit() {
    let made = made();
    fs::write(made.path("README.txt"), "trust me\n").unwrap();
    made.is_refused("manifest.sha256");
}

#[test]
fn a_file_that_the_manifest_does_not_name() {
    let made = made();
    fs::write(made.path("documents/more.json"), "{}").unwrap();
    made.is_refused("documents/more.json: is not in manifest.sha256");
}

#[test]
fn a_changed_byte_of_an_entry() {
    let made = made();
    made.change("entries.jsonl", |text| {
        text.replacen("\"mono_ms\":", "\"mono_ms\":1", 1)
    });
    made.is_refused("entry 0: is not the one in the log's tree");
}

#[test]
fn a_removed_entry() {
    let made = made();
    made.change("entries.jsonl", |text| {
        let lines: Vec<&str> = text.lines().collect();
        format!("{}\n{}\n", lines[..6].join("\n"), lines[7..].join("\n"))
    });
    made.is_refused("entry 6: of the period is missing");
}

#[test]
fn an_entry_twice_and_two_exchanged() {
    let made = made();
    let text = made.text("entries.jsonl");
    made.change("entries.jsonl", |text| {
        let first = text.lines().next().unwrap().to_owned();
        format!("{text}{first}\n")
    });
    made.is_refused("entry 0: stands out of its order, or twice");
    fs::write(made.path("entries.jsonl"), swapped(&text, 4, 5)).unwrap();
    made.renew_manifest();
    made.is_refused("entry 4: stands out of its order, or twice");
}

#[test]
fn a_population_with_a_request_less_or_another_approver() {
    let made = made();
    let text = made.text("population.csv");
    made.change("population.csv", |text| {
        let lines: Vec<&str> = text.split("\r\n").collect();
        format!("{}\r\n{}", lines[..2].join("\r\n"), lines[3..].join("\r\n"))
    });
    made.is_refused("is missing");
    fs::write(
        made.path("population.csv"),
        text.replacen("mika@", "mallory@", 1),
    )
    .unwrap();
    made.renew_manifest();
    made.is_refused("told otherwise than by the entries: approved_by");
}

#[test]
fn another_document_and_none() {
    let made = made();
    let name = format!(
        "documents/{}.json",
        Fixture::story().documents.keys().next().unwrap()
    );
    made.change(&name, |text| text.replace("48211", "48212"));
    made.is_refused("has not the digest that was received");
    fs::remove_file(made.path(&name)).unwrap();
    made.renew_manifest();
    made.is_refused("is neither here nor named as erased");
}

#[test]
fn a_document_removed_and_named_as_erased() {
    let mut log = Fixture::story();
    let id = *log.documents.keys().next().unwrap();
    log.documents.remove(&id);
    Made::of(&log, whole()).is_refused("is named as erased, and no entry says so");
}

#[test]
fn another_statement_and_exchanged_signatures() {
    let made = made();
    let mut names: Vec<String> = fs::read_dir(made.path("decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains(".sig"))
        .map(|name| format!("decisions/{name}"))
        .collect();
    names.sort();
    let whole = made.text(&names[0]);
    made.change(&names[0], |text| text.replace("\"approve\"", "\"deny\""));
    made.is_refused("is not the statement in the entry");
    fs::write(made.path(&names[0]), whole).unwrap();
    let signatures = [0, 1].map(|at| made.text(&format!("{}.sig", names[at])));
    fs::write(made.path(&format!("{}.sig", names[0])), &signatures[1]).unwrap();
    fs::write(made.path(&format!("{}.sig", names[1])), &signatures[0]).unwrap();
    made.renew_manifest();
    made.is_refused("is not the signature in the entry");
    let verdict = made.verify(&[]);
    assert!(verdict.text.contains("ignature"), "{}", verdict.text);
}

#[test]
fn another_key_among_those_who_may_sign() {
    let made = made();
    made.change("allowed_signers/0", |text| {
        let line = text.lines().next().unwrap().replace("mika@", "mallory@");
        format!("{text}{line}\n")
    });
    made.is_refused("allowed_signers/0: is not as in the entry");
}

#[test]
fn another_head_and_other_hashes() {
    let made = made();
    let note = made.text("checkpoint");
    made.change("checkpoint", |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[1] = "9".to_owned();
        format!("{}\n", lines.join("\n"))
    });
    made.is_refused("the signature of the head is wrong");
    fs::write(made.path("checkpoint"), note).unwrap();
    let size = Fixture::story().entries.len();
    let tile = made.path(&format!("tile/0/000.p/{size}"));
    let mut bytes = fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    fs::write(&tile, bytes).unwrap();
    made.renew_manifest();
    made.is_refused("tile/0: the hashes have not the root of the signed head");
}

#[test]
fn nothing_of_a_pack_acts_on_the_terminal() {
    const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r";
    let key = made();
    key.change("trust-policy", |text| {
        text.replacen("\nlog ", &format!("\nlog {HOSTILE}"), 1)
    });
    let name = made();
    // Beside what the manifest names.
    fs::write(name.path(&format!("x{HOSTILE}")), "").unwrap();
    for made in [key, name] {
        let verdict = made.verify(&[]);
        let text = &verdict.text;
        assert_eq!(verdict.code, 9, "{text:?}");
        assert!(text.contains("\\x1b]0;owned\\x07"), "{text:?}");
        let is_plain = |c: char| c == '\n' || (' '..='~').contains(&c);
        assert!(text.chars().all(is_plain), "{text:?}");
    }
}

#[test]
fn a_pack_of_another_log_than_the_one_known_before() {
    let made = made();
    let name = "countersign/known";
    let known = countersign_shared::log::note::SignerKey::from_seed(name, &[8; 32]).unwrap();
    let file = |name: &str, text: String| {
        let path = made.parent.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let vkey = file("vkey", known.verifier().to_string());
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let head = file("head", known.sign(&format!("{name}\n3\n{root}\n")).unwrap());
    let nothing = file("nothing", String::new());
    // Whatever head is compared with it.
    for head in [&head, &nothing] {
        let verdict = made.verify(&["--vkey", &vkey, "--head", head]);
        assert_eq!(verdict.code, 9, "{}", verdict.text);
    }
}

#[test]
fn a_log_key_that_is_not_the_one_known_before() {
    let made = made();
    let other =
        countersign_shared::log::note::SignerKey::from_seed(fixture::ORIGIN, &[8; 32]).unwrap();
    let path = made.parent.path().join("vkey");
    fs::write(&path, format!("{}\n", other.verifier())).unwrap();
    let verdict = made.verify(&["--vkey", path.to_str().unwrap()]);
    assert_eq!(verdict.code, 9, "{}", verdict.text);
    let said = "entry 0: the log was never signed with the key";
    assert!(verdict.text.contains(said), "{}", verdict.text);
}

/// The operator has the log's key: every entry, hash and head is made anew. What people signed
/// names heads of the log as it was.
#[test]
fn a_rewritten_log_signed_anew_with_its_own_key() {
    let mut log = Fixture::story();
    let at = log
        .entries
        .iter()
        .position(|bytes| String::from_utf8_lossy(bytes).contains("\"type\":\"daemon.started\""));
    let text = String::from_utf8(log.entries[at.unwrap()].clone()).unwrap();
    log.entries[at.unwrap()] = text.replace("0.1.0", "0.1.1").into_bytes();
    Made::of(&log, whole()).is_refused("entries that this log never had");
}

/// The same, where nobody signed anything afterwards: only a head that was kept elsewhere shows it.
#[test]
fn a_rewritten_tail_is_found_by_a_head_that_was_kept() {
    let log = Fixture::story();
    let mut rewritten = Fixture::story();
    rewritten.entries.pop();
    let made = Made::of(&rewritten, whole());
    made.is_good();
    rewritten.raw(&fixture::daemon(), None, "daemon.stopped", &json!({}));
    let path = made.parent.path().join("head");
    fs::write(&path, log.note()).unwrap();
    let verdict = made.verify(&["--head", path.to_str().unwrap()]);
    assert!(
        verdict.text.contains("later than this pack"),
        "{}",
        verdict.text
    );
    let mut longer = Fixture::story();
    let last = longer.entries.pop().unwrap();
    longer.entries.push(
        String::from_utf8(last)
            .unwrap()
            .replace("\"synced\"", "\"unknown\"")
            .into_bytes(),
    );
    let made = Made::of(&longer, whole());
    made.is_good();
    fs::copy(&path, made.parent.path().join("head")).unwrap();
    let path = made.parent.path().join("head");
    let verdict = made.verify(&["--head", path.to_str().unwrap()]);
    assert_eq!(verdict.code, 9, "{}", verdict.text);
}

#[test]
fn a_period_that_was_cut_short() {
    let log = Fixture::story();
    let made = made();
    let size = log.entries.len();
    made.change("pack.json", |text| {
        text.replace(
            &format!("\"end\": {size}"),
            &format!("\"end\": {}", size - 3),
        )
    });
    made.is_refused("belongs to the period, which was cut off");
}

#[test]
fn other_rules_and_other_tables() {
    let log = Fixture::story();
    let rules = log.rules.keys().next().unwrap().to_hex();
    for (name, from, to, place) in [
        (
            format!("policies/{rules}/policy/exports.cedar"),
            "permit",
            "forbid",
            "is not named by the rules",
        ),
        (
            format!("policies/{rules}/rules.json"),
            "sre",
            "sra",
            "no file has the digest of the rules",
        ),
        (
            "roster.csv".to_owned(),
            "added",
            "kept",
            "roster.csv: is not what the entries say",
        ),
        ("controls.csv".to_owned(), ",5,", ",6,", "controls.csv"),
        (
            "pack.json".to_owned(),
            "\"requests\": 7",
            "\"requests\": 6",
            "pack.json: counts otherwise",
        ),
    ] {
        let made = made();
        made.change(&name, |text| text.replacen(from, to, 1));
        made.is_refused(place);
    }
}

type Forge = fn(&mut Fixture, RequestId, Value);

/// Logs in which an entry says what must not happen, under a good tree and a good head.
#[test]
fn what_the_entries_must_not_say() {
    let approved = json!({"via": "reviewers", "until": {"wall": "2026-11-20T09:30:00.000Z"}});
    let forges: [(&str, Forge); 4] = [
        (
            "is approved by too few of the right people",
            |log, id, approved| {
                log.raw(&fixture::daemon(), Some(id), "request.approved", &approved);
            },
        ),
        ("uses what is pending", |log, id, _| {
            let digest = log.machines[&id].digest();
            let body = json!({"executor": "agent", "digest": digest, "until": null});
            log.raw(&fixture::agent(), Some(id), "request.redeemed", &body);
        }),
        ("runs what was not used", |log, id, _| {
            log.raw(
                &fixture::agent(),
                Some(id),
                "execution.started",
                &json!({"pid": 1}),
            );
        }),
        (
            "its time is before that of an earlier entry",
            |log, id, _| {
                log.later(-60_000);
                let body = json!({"reviewer": MIKA, "display": null});
                log.raw(&log.person(MIKA), Some(id), "review.opened", &body);
            },
        ),
    ];
    for (problem, forge) in forges {
        let mut log = Fixture::new();
        let id = log.ask(Ask::default());
        forge(&mut log, id, approved.clone());
        Made::of(&log, whole()).is_refused(problem);
    }
}

#[test]
fn data_that_a_run_touched_and_the_log_does_not_tell() {
    let log = |tell: fn(&mut Fixture, RequestId)| {
        let mut log = Fixture::new();
        let id = log.ask(Ask::default());
        log.open(id, MIKA);
        log.decide(id, MIKA, Verdict::Approve, "");
        log.run_untold(id, RunOutcome::Succeeded);
        tell(&mut log, id);
        Made::of(&log, whole())
    };
    log(|_, _| {}).is_refused("lists other data than the entries about its run");
    let other = log(|log, id| {
        let body = serde_json::json!({"agent": "etl-3", "basis": "stated", "data": [
            {"name": "lines", "classification": "pii", "access": "delete", "records": 1, "destination": null},
        ]});
        log.raw(&fixture::agent(), Some(id), "data.accessed", &body);
    });
    other.is_refused("lists other data than the entries about its run");
    let late = log(|log, id| {
        log.later(1);
        let body = serde_json::json!({"agent": "etl-3", "basis": "stated", "data": []});
        log.raw(&fixture::agent(), Some(id), "data.accessed", &body);
    });
    late.is_refused("right behind the entry that says the action ran");
}

/// Returns the position of the last entry of a type.
fn last(log: &Fixture, kind: &str) -> usize {
    let is =
        |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(&format!("\"type\":\"{kind}\""));
    log.entries.iter().rposition(is).unwrap()
}

#[test]
fn a_signature_on_rules_by_another_key_and_over_another_statement() {
    let mut log = Fixture::story();
    log.sign_rules(WIDER, &[MIKA]);
    let made = Made::of(&log, whole());
    made.is_good();
    let seq = last(&log, "rules.signed");
    let (statement, signature) = (
        format!("decisions/{seq}.json"),
        format!("decisions/{seq}.json.sig"),
    );
    made.change(&statement, |text| text.replace("\"file\"", "\"touch\""));
    made.is_refused(&format!("{statement}: is not the statement in the entry"));

    // The same by whoever has the log's key: the entry is another one as well.
    let mut forged = Fixture::story();
    forged.hand_out_key(MIKA, 9);
    forged.sign_rules(WIDER, &[MIKA]);
    Made::of(&forged, whole()).is_refused(&format!("{signature}: entry {seq} of {MIKA}"));
}

#[test]
fn rules_that_took_force_without_the_signatures_that_it_takes() {
    let without = "took force without the signatures that it takes";
    let mut nobody = Fixture::story();
    nobody.sign_rules(WIDER, &[]);
    Made::of(&nobody, whole()).is_refused(&format!(
        "entry {}: {without}",
        last(&nobody, "rules.changed")
    ));

    // Who gets another key by it does not put it in force alone.
    let mut own = Fixture::story();
    own.sign_rules(&[(MIKA, 8, 1001, &["sre"])], &[MIKA]);
    Made::of(&own, whole()).is_refused(without);

    let mut twice = Fixture::story();
    twice.sign_rules(WIDER, &[MIKA, MIKA]);
    Made::of(&twice, whole()).is_refused("signs the same rules again");
}

#[test]
fn rules_that_are_said_to_take_only_away_and_give() {
    let mut log = Fixture::story();
    log.remove_people(NARROWER);
    Made::of(&log, whole()).is_good();
    let mut log = Fixture::story();
    log.remove_people(WIDER);
    Made::of(&log, whole()).is_refused("does more than to take people, groups or keys away");
}

#[test]
fn the_name_of_a_file_that_differs_is_told_and_cannot_act_on_a_terminal() {
    let made = Made::of(&Fixture::story(), whole());
    fs::write(made.path("population.csv"), "another").unwrap();
    made.is_refused("population.csv: FAILED");
    let made = Made::of(&Fixture::story(), whole());
    let name = "\u{1b}]0;owned\u{7}\u{9b}2J";
    fs::write(made.path(name), "text").unwrap();
    let manifest = made.text("manifest.sha256");
    let line = format!("{}  {name}\n", Digest::of(b"other").to_hex());
    fs::write(made.path("manifest.sha256"), manifest + &line).unwrap();
    let verdict = made.verify(&[]);
    assert_eq!(verdict.code, 9, "{}", verdict.text);
    assert!(
        verdict.text.contains("\\x1b]0;owned\\x07"),
        "{}",
        verdict.text
    );
    assert!(
        !verdict.text.contains(['\u{1b}', '\u{7}', '\u{9b}']),
        "{:?}",
        verdict.text
    );
}
