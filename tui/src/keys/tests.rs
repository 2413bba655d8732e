//! With keys of real `ssh-keygen`, a real `ssh-agent`, and stock `ssh-keygen -Y verify` as judge.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use ssh_key::PrivateKey;
use tempfile::TempDir;

use super::*;

const NAMESPACE: &str = "countersign.decision.v1";
const MESSAGE: &[u8] = b"{\"decision\":\"approve\"}";

fn passphrase(text: &str) -> Passphrase {
    Zeroizing::new(text.to_owned())
}

fn make_key(directory: &TempDir, name: &str, kind: &[&str], phrase: &str) -> PathBuf {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-f", name, "-N", phrase, "-t"])
        .args(kind)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen is installed (package openssh-client)");
    assert!(status.success());
    directory.path().join(name)
}

/// Makes keys until one can be read here, or until one cannot: see [`KeyError::Unreadable`].
fn make_key_that(
    directory: &TempDir,
    name: &str,
    kind: &[&str],
    wanted: impl Fn(&Result<PrivateKey, ssh_key::Error>) -> bool,
) -> PathBuf {
    loop {
        let path = make_key(directory, name, kind, "");
        if wanted(&PrivateKey::read_openssh_file(&path)) {
            return path;
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(public_path(&path)).unwrap();
    }
}

fn stock_says_good(signature: &Signature, key: &PublicKey) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("m"), MESSAGE).unwrap();
    std::fs::write(path.join("m.sig"), &signature.armored).unwrap();
    let line = format!("mika {}\n", key.to_openssh().unwrap());
    std::fs::write(path.join("allowed"), line).unwrap();
    let output = Command::new("ssh-keygen")
        .args([
            "-Y", "verify", "-f", "allowed", "-I", "mika", "-n", NAMESPACE, "-s", "m.sig",
        ])
        .current_dir(path)
        .stdin(std::fs::File::open(path.join("m")).unwrap())
        .output()
        .unwrap();
    output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with("Good")
}

/// A real agent, ended with the test.
struct Agent {
    child: Child,
    directory: TempDir,
}

impl Agent {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-agent is installed (package openssh-client)");
        let agent = Self { child, directory };
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        agent
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    fn add(&self, key: &Path) {
        let output = Command::new("ssh-add")
            .arg(key)
            .env("SSH_AUTH_SOCK", self.socket())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn places(directory: &TempDir, agent: Option<&Agent>) -> Places {
    Places {
        directory: Some(directory.path().to_owned()),
        agent: agent.map(Agent::socket),
    }
}

fn public(path: &Path) -> PublicKey {
    PublicKey::read_openssh_file(&public_path(path)).unwrap()
}

#[test]
fn keys_in_files_sign_what_stock_ssh_keygen_calls_good() {
    let directory = tempfile::tempdir().unwrap();
    for (name, kind) in [
        ("a", &["ed25519"][..]),
        ("b", &["ecdsa", "-b", "256"]),
        ("c", &["ecdsa", "-b", "384"]),
    ] {
        let path = make_key_that(&directory, name, kind, Result::is_ok);
        let mut signer = open(&path, &Places::default()).unwrap();
        assert!(!signer.is_locked());
        assert_eq!(signer.assurance(), Assurance::File);
        let signature = signer.sign(NAMESPACE, MESSAGE).unwrap();
        assert_eq!(signature.presence, Presence::NONE);
        assert!(stock_says_good(&signature, &public(&path)), "{kind:?}");
    }
}

#[test]
fn an_encrypted_key_signs_once_as_typed_and_then_as_unlocked() {
    let directory = tempfile::tempdir().unwrap();
    let path = make_key(&directory, "key", &["ed25519"], "correct horse");
    let mut signer = open(&path, &Places::default()).unwrap();
    assert!(signer.is_locked());
    assert!(matches!(
        signer.sign(NAMESPACE, MESSAGE),
        Err(KeyError::Locked { .. })
    ));
    assert!(matches!(
        signer.unlock(&passphrase("wrong")),
        Err(KeyError::Passphrase { .. })
    ));
    assert!(signer.is_locked());

    signer.unlock(&passphrase("correct horse")).unwrap();
    assert_eq!(signer.assurance(), Assurance::Passphrase);
    let signature = signer.sign(NAMESPACE, MESSAGE).unwrap();
    assert!(stock_says_good(&signature, &public(&path)));
    assert_eq!(signer.assurance(), Assurance::Unlocked);
    assert!(signer.sign(NAMESPACE, MESSAGE).is_ok());

    // Typed wrongly a second time: unlocked it stays, typed it is not.
    assert!(signer.unlock(&passphrase("wrong")).is_err());
    assert_eq!(signer.assurance(), Assurance::Unlocked);
    signer.unlock(&passphrase("correct horse")).unwrap();
    signer.keep();
    assert_eq!(signer.assurance(), Assurance::Unlocked);
    signer.lock();
    assert!(signer.sign(NAMESPACE, MESSAGE).is_err());
}

#[test]
fn the_passphrase_is_asked_for_three_times_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let path = make_key(&directory, "key", &["ed25519"], "correct horse");
    let mut signer = open(&path, &Places::default()).unwrap();
    let mut asked = 0;
    let refused = signer.unlock_asking(|prompt| {
        assert!(prompt.contains("key"));
        asked += 1;
        Ok(passphrase("wrong"))
    });
    assert!(matches!(refused, Err(KeyError::Passphrase { .. })));
    assert_eq!(asked, 3);
    let given_up = signer.unlock_asking(|_| {
        Err(KeyError::Terminal {
            source: io::ErrorKind::NotFound.into(),
        })
    });
    assert!(matches!(given_up, Err(KeyError::Terminal { .. })));
}

#[test]
fn keys_in_a_real_agent_sign() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start();
    let elsewhere = tempfile::tempdir().unwrap();
    for kind in [&["ed25519"][..], &["ecdsa", "-b", "384"]] {
        let path = make_key(&elsewhere, kind[0], kind, "");
        agent.add(&path);
        let enrolled = [public(&path)];
        let mut signer = choose(None, None, &enrolled, &places(&directory, Some(&agent))).unwrap();
        assert!(matches!(signer, Signer::Agent(_)));
        assert_eq!(signer.assurance(), Assurance::SshAgent);
        let signature = signer.sign(NAMESPACE, MESSAGE).unwrap();
        assert!(stock_says_good(&signature, &public(&path)));
    }
    assert_eq!(AgentKey::list(&agent.socket()).unwrap().len(), 2);
    assert!(matches!(
        AgentKey::list(&directory.path().join("none")),
        Err(KeyError::Agent { .. })
    ));
}

#[test]
fn the_one_enrolled_key_is_chosen_and_a_file_goes_before_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let path = make_key(&directory, "id_mine", &["ed25519"], "");
    make_key(&directory, "id_other", &["ed25519"], "");
    std::fs::write(directory.path().join("config"), "Host *\n").unwrap();
    let agent = Agent::start();
    agent.add(&path);
    let signer = choose(
        None,
        None,
        &[public(&path)],
        &places(&directory, Some(&agent)),
    )
    .unwrap();
    assert_eq!(signer.public_key().key_data(), public(&path).key_data());
    assert!(matches!(signer, Signer::File(_)));
}

#[test]
fn several_keys_or_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let first = make_key(&directory, "a", &["ed25519"], "");
    let second = make_key(&directory, "b", &["ed25519"], "x1234");
    let empty = tempfile::tempdir().unwrap();
    let enrolled = [public(&first), public(&second)];
    let error = choose(None, None, &enrolled, &places(&directory, None)).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let KeyError::Several { found } = &error else {
        panic!("{error}");
    };
    assert_eq!(found.len(), 2);
    assert!(
        found[0].contains("/a`") && found[1].contains("/b`"),
        "{error}"
    );

    let error = choose(None, None, &enrolled, &places(&empty, None)).unwrap_err();
    assert!(matches!(&error, KeyError::None { enrolled, .. } if enrolled.len() == 2));
    assert!(
        error
            .to_string()
            .contains(&sshsig::fingerprint(&enrolled[0]))
    );
    assert!(matches!(
        choose(Some(&first), None, &[], &places(&empty, None)),
        Err(KeyError::NothingEnrolled)
    ));
}

#[test]
fn a_named_key_goes_before_the_configured_one_and_must_be_enrolled() {
    let directory = tempfile::tempdir().unwrap();
    let first = make_key(&directory, "a", &["ed25519"], "");
    let second = make_key(&directory, "b", &["ed25519"], "");
    let enrolled = [public(&first), public(&second)];
    let nowhere = Places::default();
    let chosen = |named, configured, enrolled: &[PublicKey]| {
        choose(named, configured, enrolled, &nowhere).map(|signer| signer.fingerprint())
    };
    let a = sshsig::fingerprint(&enrolled[0]);
    let b = sshsig::fingerprint(&enrolled[1]);
    assert_eq!(chosen(Some(&first), Some(&second), &enrolled).unwrap(), a);
    assert_eq!(chosen(None, Some(&second), &enrolled).unwrap(), b);
    assert!(matches!(
        chosen(Some(&first), None, &enrolled[1..]),
        Err(KeyError::NotEnrolled { .. })
    ));
    // A public key names the private one beside it.
    let half = public_path(&first);
    assert_eq!(chosen(Some(&half), None, &enrolled).unwrap(), a);
    std::fs::remove_file(&first).unwrap();
    assert!(matches!(
        chosen(Some(&half), None, &enrolled),
        Err(KeyError::PublicOnly { .. })
    ));
}

#[test]
fn files_that_are_no_usable_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &Path| open(path, &Places::default());
    let rsa = make_key(&directory, "rsa", &["rsa", "-b", "2048"], "");
    assert!(matches!(open(&rsa), Err(KeyError::Kind { .. })));
    let loose = make_key(&directory, "loose", &["ed25519"], "");
    std::fs::set_permissions(&loose, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(
        open(&loose),
        Err(KeyError::Permissions { mode: 0o640, .. })
    ));
    let text = directory.path().join("text");
    std::fs::write(&text, "no key").unwrap();
    assert!(matches!(open(&text), Err(KeyError::Format { .. })));
    assert!(matches!(
        open(directory.path()),
        Err(KeyError::Format { .. })
    ));
    let gone = directory.path().join("go\x1b[2Jne");
    let error = open(&gone).unwrap_err();
    assert!(matches!(error, KeyError::File { .. }));
    assert!(!error.to_string().contains('\x1b'));
}

#[test]
fn a_key_that_only_the_agent_can_read_is_used_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = make_key_that(&directory, "key", &["ecdsa", "-b", "521"], Result::is_err);
    let error = open(&path, &Places::default()).unwrap_err();
    assert!(matches!(&error, KeyError::Unreadable { .. }));
    assert!(error.to_string().contains("ssh-add"));
    let agent = Agent::start();
    agent.add(&path);
    let mut signer = open(&path, &places(&directory, Some(&agent))).unwrap();
    assert!(matches!(signer, Signer::Agent(_)));
    assert!(stock_says_good(
        &signer.sign(NAMESPACE, MESSAGE).unwrap(),
        &public(&path)
    ));

    // Encrypted, it is not taken for a wrong passphrase.
    let status = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "correct horse", "-f"])
        .stdout(Stdio::null())
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let mut signer = open(&path, &Places::default()).unwrap();
    assert!(matches!(
        signer.unlock(&passphrase("wrong")),
        Err(KeyError::Passphrase { .. })
    ));
    assert!(matches!(
        signer.unlock(&passphrase("correct horse")),
        Err(KeyError::Unreadable { .. })
    ));
}

#[test]
fn the_file_of_a_security_key_is_a_handle_that_goes_through_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("id_sk");
    let key = MemoryKey::random().unwrap();
    let inner = key.public_key().key_data().ed25519().unwrap();
    let public = ssh_key::public::SkEd25519::new(*inner, "ssh:");
    let handle = ssh_key::private::SkEd25519::new(public, 1, [7; 32]).unwrap();
    let handle = PrivateKey::from(handle);
    handle
        .write_openssh_file(&path, ssh_key::LineEnding::LF)
        .unwrap();
    let agent = Agent::start();
    let error = open(&path, &places(&directory, Some(&agent))).unwrap_err();
    assert!(matches!(&error, KeyError::SecurityKey { .. }));
    assert!(error.to_string().contains("ssh-add"));
}

#[test]
fn a_new_key_is_encrypted_private_and_known_to_stock_ssh_keygen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    assert!(matches!(
        generate(&path, "mika", &passphrase("")),
        Err(KeyError::Empty)
    ));
    let key = generate(&path, "mika", &passphrase("correct horse")).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(public(&path).key_data(), key.key_data());
    let read = |phrase: &str| {
        Command::new("ssh-keygen")
            .args(["-y", "-P", phrase, "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    assert!(!read("wrong").status.success());
    let output = String::from_utf8(read("correct horse").stdout).unwrap();
    assert_eq!(
        PublicKey::from_openssh(&output).unwrap().key_data(),
        key.key_data()
    );

    let mut signer = open(&path, &Places::default()).unwrap();
    signer.unlock(&passphrase("correct horse")).unwrap();
    let signature = signer.sign(NAMESPACE, MESSAGE).unwrap();
    assert!(stock_says_good(&signature, &key));
    assert!(matches!(
        generate(&path, "mika", &passphrase("other")),
        Err(KeyError::File { .. })
    ));
}

#[test]
fn nothing_is_left_behind_when_the_private_file_is_there_already() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "mine").unwrap();
    assert!(generate(&path, "mika", &passphrase("x")).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(!public_path(&path).exists());
}

#[test]
fn a_key_in_memory_signs() {
    let mut signer = Signer::Memory(MemoryKey::random().unwrap());
    let signature = signer.sign(NAMESPACE, MESSAGE).unwrap();
    assert!(stock_says_good(&signature, signer.public_key()));
    assert!(matches!(
        signer.sign("", MESSAGE),
        Err(KeyError::Signing { .. })
    ));
}

#[test]
fn debug_output_holds_no_secret_and_signers_go_to_other_threads() {
    fn sendable<T: Send + 'static>(_: &T) {}
    let directory = tempfile::tempdir().unwrap();
    let path = make_key(&directory, "key", &["ed25519"], "");
    let text = std::fs::read_to_string(&path).unwrap();
    let signer = open(&path, &Places::default()).unwrap();
    sendable(&signer);
    let shown = format!("{signer:?}");
    assert!(shown.contains("SHA256:"));
    assert!(!shown.contains("Keypair") && !shown.contains(text.lines().nth(2).unwrap()));
}

#[test]
fn an_enrolled_key_that_others_can_read_is_told_as_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = make_key(&directory, "id_ed25519", &["ed25519"], "");
    let public = PublicKey::read_openssh_file(&public_path(&path)).unwrap();
    let places = Places {
        directory: Some(directory.path().to_owned()),
        agent: None,
    };
    let enrolled = [public];
    choose(None, None, &enrolled, &places).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    for named in [None, Some(public_path(&path))] {
        let error = choose(named.as_deref(), None, &enrolled, &places).unwrap_err();
        assert!(matches!(error, KeyError::Permissions { .. }), "{error}");
    }
}
