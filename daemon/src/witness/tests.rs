//! A witness as its clients see it, without the wire: bodies, statuses, and its files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use countersign_shared::digest::Digest;
use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::cosignature::{self, CosignerKey};
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::proof::prove_consistency;
use countersign_shared::log::tree::{CompleteNode, Frontier, leaf_hash};
use countersign_shared::log::witness::Submission;
use countersign_shared::time::{BootId, Moment, Timestamp};
use data_encoding::BASE64;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};

use super::*;
use crate::clock::Clock;

const ORIGIN: &str = "countersign/test";
/// The time of the witness's clock, in seconds since 1970.
const NOW: u64 = 1_795_294_000;

fn log() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[9; 32]).unwrap()
}

fn own(seed: u8) -> CosignerKey {
    CosignerKey::from_seed("w.example", &[seed; 32]).unwrap()
}

fn open(directory: &Path, seed: u8) -> Result<Book, BookError> {
    let (clock, _) = Clock::fixed(Moment {
        wall: Timestamp::from_millis(i64::try_from(NOW).unwrap() * 1000 + 999),
        boot: BootId::new("a"),
        mono_ms: 1,
    });
    Book::open(directory, own(seed), vec![log().verifier().clone()], clock)
}

/// What the log with these entries sends to a witness that has cosigned `old` of them.
fn body(entries: &[u8], old: u64) -> String {
    let mut edge = Frontier::new();
    let mut nodes: Vec<CompleteNode> = Vec::new();
    for entry in entries {
        nodes.extend(edge.push(leaf_hash(&[*entry])).unwrap());
    }
    let stored = |level, index| {
        let mut all = nodes.iter();
        let found = all.find(|node| (node.level, node.index) == (level, index));
        found.map(|node| node.hash).ok_or(())
    };
    let proof = prove_consistency(old.min(edge.size()), edge.size(), stored).unwrap();
    let note = Checkpoint::new(ORIGIN, edge.head()).unwrap().sign(&log());
    Submission { old, proof, note }.to_text()
}

fn origin_hash() -> String {
    Digest::of(ORIGIN.as_bytes()).to_hex()
}

async fn ask(book: &Arc<Book>, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    let response: Response<Full<Bytes>> = answer::answer(Arc::clone(book), request).await;
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn add(book: &Arc<Book>, entries: &[u8], old: u64) -> (u16, String) {
    let (status, kind, said) = ask(book, "POST", "/add-checkpoint", &body(entries, old)).await;
    let is_size = kind == "text/x.tlog.size";
    assert_eq!(is_size, status == 409, "{kind}");
    (status, said)
}

#[tokio::test]
async fn a_head_is_cosigned_shown_to_monitors_and_remembered_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let book = Arc::new(open(&state, 1).unwrap());
    let monitor = format!("/{}/checkpoint", origin_hash());
    assert_eq!(ask(&book, "GET", &monitor, "").await.0, 404);
    let (status, line) = add(&book, &[1, 2, 3], 0).await;
    assert_eq!(status, 200, "{line}");
    let known = [own(1).verifier().clone()];
    let (shown, _, note) = ask(&book, "GET", &monitor, "").await;
    assert_eq!(shown, 200);
    assert!(note.ends_with(&line), "{note}");
    let found = cosignature::verify(&note, &known).unwrap();
    assert_eq!(found[0].time(), NOW);
    let opened =
        countersign_shared::log::checkpoint::open(&note, &[log().verifier().clone()], ORIGIN);
    assert_eq!(opened.unwrap().size(), 3);

    let held = open(&state, 1).unwrap_err();
    assert!(matches!(held, BookError::Held(_)), "{held}");
    drop(book);
    let book = Arc::new(open(&state, 1).unwrap());
    assert_eq!(ask(&book, "GET", &monitor, "").await.2, note);
    assert_eq!(add(&book, &[1, 2, 3, 4], 0).await, (409, "3\n".to_owned()));
    assert_eq!(add(&book, &[1, 2, 9, 4], 3).await.0, 422);
    assert_eq!(add(&book, &[1, 2, 3, 4], 3).await.0, 200);
    assert_eq!(add(&book, &[1, 2, 3, 4], 4).await.0, 200);
}

#[tokio::test]
async fn what_was_not_kept_is_not_said() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let book = Arc::new(open(&state, 1).unwrap());
    assert_eq!(add(&book, &[1, 2], 0).await.0, 200);
    let kept = state.join(origin_hash());
    let before = fs::read_to_string(&kept).unwrap();
    // Root may write anywhere, but not into a directory as if it were a file.
    let obstacle = kept.with_extension("new");
    fs::create_dir(&obstacle).unwrap();
    let (status, said) = add(&book, &[1, 2, 3], 2).await;
    assert_eq!(status, 500);
    assert!(!said.contains('\u{2014}'), "{said}");
    assert_eq!(fs::read_to_string(&kept).unwrap(), before);
    assert_eq!(add(&book, &[1, 2, 3], 3).await, (409, "2\n".to_owned()));
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(add(&book, &[1, 2, 3], 2).await.0, 200);
}

#[tokio::test]
async fn a_witness_that_would_have_to_forget_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let book = Arc::new(open(&state, 1).unwrap());
    assert_eq!(add(&book, &[1, 2], 0).await.0, 200);
    drop(book);
    let another = open(&state, 2).unwrap_err();
    assert!(matches!(another, BookError::Damaged { .. }), "{another}");
    let kept = state.join(origin_hash());
    let note = fs::read_to_string(&kept).unwrap();
    for bent in [
        String::new(),
        note.replace("\n2\n", "\n1\n"),
        note.lines().take(5).collect::<Vec<_>>().join("\n") + "\n",
    ] {
        fs::write(&kept, bent).unwrap();
        let error = open(&state, 1).unwrap_err();
        assert!(matches!(error, BookError::Damaged { .. }), "{error}");
    }
    fs::write(&kept, &note).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o750)).unwrap();
    let error = open(&state, 1).unwrap_err();
    assert!(matches!(error, BookError::Home(_)), "{error}");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    open(&state, 1).unwrap();
}

#[tokio::test]
async fn what_is_no_request_of_the_protocol_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let book = Arc::new(open(&directory.path().join("state"), 1).unwrap());
    let good = body(&[1, 2], 0);
    for (method, path, text, status) in [
        ("GET", "/add-checkpoint", good.as_str(), 405),
        ("PUT", "/add-checkpoint", &good, 405),
        ("POST", "/", &good, 404),
        ("POST", "/sign-subtree", &good, 404),
        ("POST", "/add-checkpoint/", &good, 404),
        ("POST", "/add-checkpoint", "", 400),
        ("POST", "/add-checkpoint", "old 0\n\nnonsense\n", 400),
        ("POST", "/add-checkpoint", &"x".repeat(65 * 1024), 413),
        (
            "POST",
            "/add-checkpoint",
            &good.replace("test", "tests"),
            404,
        ),
        (
            "POST",
            "/add-checkpoint",
            &good.replace("\n2\n", "\n3\n"),
            403,
        ),
        ("GET", "/nonsense/checkpoint", "", 404),
        ("POST", "/nonsense/checkpoint", "", 405),
        ("POST", "/add-checkpoint", &good, 200),
    ] {
        let (found, _, said) = ask(&book, method, path, text).await;
        assert_eq!(found, status, "{method} {path} {said}");
        assert_eq!(said.contains('\u{2014}'), status == 200, "{said}");
    }
}

#[tokio::test]
async fn of_requests_at_once_for_two_histories_one_is_cosigned() {
    let directory = tempfile::tempdir().unwrap();
    let book = Arc::new(open(&directory.path().join("state"), 1).unwrap());
    let tasks: Vec<_> = (0..16u8)
        .map(|last| {
            let book = Arc::clone(&book);
            tokio::spawn(async move { add(&book, &[1, 2, last], 0).await.0 })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    let cosigned = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(cosigned, 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)));
}

#[tokio::test]
async fn what_others_put_below_a_head_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("witness");
    let book = Arc::new(open(&home, 1).unwrap());
    assert_eq!(add(&book, b"abc", 0).await.0, 200);
    // Anybody can read the head, and send it back with a line under this witness's own name.
    let key = own(1);
    let id = BASE64.encode(&[key.verifier().id().as_slice(), &[0; 72]].concat());
    let forged = format!("\u{2014} {} {id}\n", key.verifier().name());
    let other = format!("\u{2014} other.example {}\n", BASE64.encode(&[1; 68]));
    let again = format!("{}{forged}{}", body(b"abc", 3), other.repeat(20));
    assert_eq!(ask(&book, "POST", "/add-checkpoint", &again).await.0, 200);
    let kept = book.checkpoint(&origin_hash()).unwrap();
    assert_eq!(kept.matches('\u{2014}').count(), 2, "{kept}");
    drop(book);
    let book = open(&home, 1).unwrap();
    assert_eq!(book.checkpoint(&origin_hash()), Some(kept));
}
