//! What is shown has the digest that is signed, or is not shown.

use serde_json::json;

use super::*;

fn answer(limit: u32, policy: &str) -> (Digest, pb::ReadRulesResponse) {
    let value = json!({
        "v": 1,
        "limits": {"pending": limit},
        "files": {"policy/a.cedar": Digest::of(policy.as_bytes()).to_hex()},
    });
    let rules = countersign_shared::json::canonical(&value).unwrap();
    let files = vec![pb::RulesFile {
        name: "policy/a.cedar".to_owned(),
        text: policy.to_owned(),
    }];
    (Digest::of(&rules), pb::ReadRulesResponse { rules, files })
}

#[test]
fn rules_or_files_that_do_not_have_their_digest_are_not_shown() {
    let (digest, good) = answer(5, "permit");
    Whole::check(digest, good.clone()).unwrap();
    let (_, other) = answer(6, "permit");
    let mut text = good.clone();
    text.files[0].text.push(' ');
    let mut name = good.clone();
    name.files[0].name = "policy/b.cedar".to_owned();
    let mut lacking = good.clone();
    lacking.files.clear();
    let mut more = good;
    more.files.push(pb::RulesFile {
        name: "policy/b.cedar".to_owned(),
        text: String::new(),
    });
    for answer in [other, text, name, lacking, more] {
        let error = Whole::check(digest, answer).unwrap_err();
        assert!(error.is_alarm(), "{error}");
    }
}

#[test]
fn what_changes_is_the_rules_themselves_and_each_file_that_differs() {
    let whole =
        |(digest, answer): (Digest, pb::ReadRulesResponse)| Whole::check(digest, answer).unwrap();
    let base = whole(answer(5, "permit"));
    let paths = |other: &Whole, before: Option<&Whole>| -> Vec<String> {
        other
            .changes_since(before)
            .iter()
            .map(|change| {
                countersign_shared::text::Printable::exact(&change.path)
                    .as_str()
                    .to_owned()
            })
            .collect()
    };
    let limit = whole(answer(6, "permit"));
    let policy = whole(answer(5, "forbid"));
    assert!(paths(&base, Some(&base)).is_empty());
    assert_eq!(paths(&limit, Some(&base)), ["rules"]);
    assert_eq!(paths(&policy, Some(&base)), ["policy/a.cedar"]);
    assert_eq!(paths(&policy, None), ["rules", "policy/a.cedar"]);
}
