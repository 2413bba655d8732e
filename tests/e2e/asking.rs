//! What several tests do: ask and leave it pending, look at it, check it with `ssh-keygen`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_tests::home::{Asked, REVIEWER};
use countersign_tests::process::run;
use countersign_tests::{Home, Ran, Running};
use data_encoding::BASE64;
use serde_json::Value;

/// Starts `countersign-agent run` with these arguments and waits until it is held.
#[track_caller]
pub(crate) fn held(home: &Home, arguments: &[&str]) -> (Running, Asked) {
    let mut command = home.agent_command(&["run"]);
    held_as(home, command.args(arguments), Stdio::null())
}

/// Starts a command that asks, with that input, and waits until it is held.
#[track_caller]
pub(crate) fn held_as(home: &Home, command: &mut Command, input: Stdio) -> (Running, Asked) {
    let run = Running::start(command, input);
    (run, home.wait_for_state("pending"))
}

/// Asks for a data export that the asker will carry out itself.
#[track_caller]
pub(crate) fn request(home: &Home, target: &str) -> Asked {
    let arguments = [
        "request",
        "--kind",
        "data.export",
        "--target",
        target,
        "--json",
    ];
    let ran = home.agent(&arguments);
    Asked::read(&ran.expect_code(0).json())
}

/// Shows a request as JSON.
#[track_caller]
pub(crate) fn show(home: &Home, asked: &Asked) -> Value {
    home.person(&["show", &asked.id, "--json"])
        .expect_code(0)
        .json()
}

/// Writes the exact bytes of a request's document into a file.
#[track_caller]
pub(crate) fn document(home: &Home, asked: &Asked) -> PathBuf {
    let raw = home
        .person(&["show", &asked.id, "--raw"])
        .expect_code(0)
        .stdout;
    let path = home.root().join(format!("{}.json", asked.id));
    fs::write(&path, raw).expect("a file");
    path
}

/// Redeems a request for its document.
#[track_caller]
pub(crate) fn redeem(home: &Home, asked: &Asked, document: &Path) -> Ran {
    let document = document.to_str().expect("a path in UTF-8");
    home.agent(&["redeem", &asked.id, "--document", document])
}

/// Returns the statement and the signature of a request's only decision.
#[track_caller]
pub(crate) fn only_decision(home: &Home, asked: &Asked) -> (Vec<u8>, String) {
    let shown = show(home, asked);
    let decisions = shown["decisions"].as_array().expect("decisions");
    assert_eq!(decisions.len(), 1, "{decisions:#?}");
    let text = |name: &str| decisions[0][name].as_str().expect("a text");
    let statement = BASE64
        .decode(text("statement_base64").as_bytes())
        .expect("base64");
    (statement, text("sshsig").to_owned())
}

/// Asks a stock `ssh-keygen` whether `key` signed a statement as the reviewer.
#[track_caller]
pub(crate) fn ssh_keygen_verify(home: &Home, key: &Path, statement: &[u8], sshsig: &str) -> Ran {
    let public = fs::read_to_string(key.with_extension("pub")).expect("a public key");
    let [signers, signature, signed] =
        ["allowed_signers", "statement.sig", "statement"].map(|name| home.root().join(name));
    fs::write(&signers, format!("{REVIEWER} {public}")).expect("a file");
    fs::write(&signature, sshsig).expect("a file");
    fs::write(&signed, statement).expect("a file");
    let mut keygen = Command::new("sh");
    keygen.args([
        "-c",
        "ssh-keygen -Y verify -f \"$1\" -I \"$2\" -n \"$3\" -s \"$4\" <\"$5\"",
        "-",
    ]);
    keygen
        .arg(signers)
        .args([REVIEWER, "countersign.decision.v1"])
        .arg(signature)
        .arg(signed);
    run(&mut keygen)
}

/// Signs bytes as a decision, with any key.
#[track_caller]
pub(crate) fn ssh_keygen_sign(home: &Home, key: &Path, statement: &[u8]) -> String {
    let signed = home.root().join("to-sign");
    fs::write(&signed, statement).expect("a file");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-Y", "sign", "-n", "countersign.decision.v1", "-f"])
        .arg(key)
        .arg(&signed);
    run(&mut keygen).expect_code(0);
    let signature = signed.with_extension("sig");
    let text = fs::read_to_string(&signature).expect("a signature");
    fs::remove_file(signature).expect("our own file");
    text
}
