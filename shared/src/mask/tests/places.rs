//! Where a secret may stand.

use super::*;

#[test]
fn an_option_of_one_letter_takes_a_secret_where_its_program_says_so() {
    let run_by = |program: &str, elements: &[Value]| {
        let mut value = exec(&json!(elements), &json!({}));
        value["arguments"]["program"]["path"] = json!(format!("/usr/bin/{program}"));
        run(&action(&value)).map(drop)
    };
    let glued = |before: &str| json!({"$parts": [before, {"$secret": "abcdef"}]});
    let user = [json!("curl"), json!("-u"), glued("me:")];
    assert_eq!(run_by("curl", &user), Ok(()));
    assert_eq!(run_by("mysql", &[json!("mysql"), glued("-p")]), Ok(()));
    let next = [json!("redis-cli"), json!("-a"), secret("abcdef")];
    assert_eq!(run_by("redis-cli", &next), Ok(()));
    // The program counts, and not what it is called.
    assert!(run_by("sudo", &user).is_err());
    assert!(run_by("git", &[json!("mysql"), glued("-p")]).is_err());
    assert!(
        run_by(
            "mkdir",
            &[json!("redis-cli"), json!("-a"), secret("abcdef")]
        )
        .is_err()
    );
    assert!(run_by("curl", &[json!("curl"), json!("-u"), secret("abcdef")]).is_err());
}

#[test]
fn a_tools_own_input_is_looked_through_as_well() {
    let mut value = exec(&json!(["x"]), &json!({}));
    let input = json!({"api_key": secret("abcdef"), "b": {"password": "hunter2"}});
    value["arguments"]["tool"] = json!({"client": "claude", "name": "Bash", "input": input});
    let (masked, openings) = run(&action(&value)).unwrap();
    assert!(!masked.to_string().contains("abcdef") && !masked.to_string().contains("hunter2"));
    assert_eq!(
        reveal(&masked, &openings).unwrap()["arguments"]["tool"]["input"]["api_key"],
        "abcdef"
    );
    value["arguments"]["tool"]["input"] = json!({"command": secret("reboot")});
    assert_eq!(
        run(&action(&value)).unwrap_err().code(),
        "secret-not-allowed"
    );
}
