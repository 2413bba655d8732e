use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::note::SignerKey;
use countersign_shared::log::tree::{TreeHead, empty_root, node_hash};

use super::*;
use crate::fixture::{Fixture, ORIGIN};
use crate::sink::Directory;

/// A C2SP vkey and directory of tiles over so many entries that hold anything.
fn directory(size: u64, root: &Path) -> String {
    let log = Fixture::new();
    let mut sink = Directory::create(root).unwrap();
    let mut tiles = Tiles::new(&mut sink);
    for seq in 0..size {
        tiles.entry(format!("entry {seq}").as_bytes()).unwrap();
    }
    let head = tiles.frontier().head();
    let note = Checkpoint::new(ORIGIN, head).unwrap().sign(&log.key);
    let done = tiles.finish(&note, log.verifier()).unwrap();
    assert_eq!(done.written, size);
    log.verifier().to_string()
}

/// The hashes of a level of tiles, all files of it read from its directory.
fn hashes(root: &Path, level: usize, count: u64) -> Vec<Hash> {
    let mut out = Vec::new();
    for index in 0..count.div_ceil(WIDTH) {
        let width = WIDTH.min(count - index * WIDTH);
        let bytes = fs::read(root.join(tile_path(level, index, width))).unwrap();
        let chunks = bytes.chunks_exact(32);
        assert_eq!(chunks.len() as u64, width);
        out.extend(chunks.map(|chunk| Hash::from_bytes(chunk.try_into().unwrap())));
    }
    out
}

/// RFC 6962 section 2.1, as it is written there.
fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

#[test]
fn the_root_follows_from_the_tiles_alone() {
    for size in [0, 1, 2, 255, 256, 257, 511, 70_000] {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("log");
        let vkey = directory(size, &root).parse().unwrap();
        let note = fs::read_to_string(root.join("checkpoint")).unwrap();
        let head = checkpoint::open(&note, &[vkey], ORIGIN).unwrap();
        let leaves = hashes(&root, 0, size);
        let found = TreeHead {
            size,
            root: root_of(&leaves),
        };
        assert_eq!(*head.head(), found);
        // Each tile stands for one hash of the level above.
        let mut below = leaves;
        for level in 1.. {
            let above: Vec<Hash> = below.chunks_exact(256).map(root_of).collect();
            if above.is_empty() {
                assert!(!root.join(format!("tile/{level}")).exists());
                break;
            }
            assert_eq!(hashes(&root, level, above.len() as u64), above);
            below = above;
        }
    }
}

#[test]
fn the_bundles_hold_the_exact_entries() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("log");
    let log = Fixture::story();
    let mut sink = Directory::create(&root).unwrap();
    let done = write(&log, log.verifier(), &mut sink).unwrap();
    let size = log.entries.len() as u64;
    assert_eq!((done.written, done.head.size()), (size, size));
    let bundle = fs::read(root.join(entries_path(0, size))).unwrap();
    let mut rest = bundle.as_slice();
    for bytes in &log.entries {
        let (length, after) = rest.split_first_chunk::<2>().unwrap();
        let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
        assert_eq!(entry, bytes);
        rest = after;
    }
    assert_eq!(rest, b"");
    assert_eq!(
        fs::read_to_string(root.join("checkpoint")).unwrap(),
        log.note()
    );
}

#[test]
fn no_head_is_written_over_other_entries() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("log");
    let log = Fixture::story();
    let mut sink = Directory::create(&root).unwrap();
    let mut tiles = Tiles::new(&mut sink);
    for bytes in log.entries.iter().rev() {
        tiles.entry(bytes).unwrap();
    }
    let error = tiles.finish(&log.note(), log.verifier()).unwrap_err();
    assert!(matches!(error, ExportError::Root { .. }), "{error}");
    assert!(!root.join("checkpoint").exists());
}

/// Go's own `sumdb/note` and `sumdb/tlog` judge the directory: note, every tile, every entry.
///
/// Needs Go and the package `golang-golang-x-mod-dev` of Debian.
#[test]
fn go_accepts_the_head_the_tiles_and_every_entry_and_refuses_a_flipped_byte() {
    let packages = "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog";
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if !go.is_ok_and(|status| status.success()) || !Path::new(packages).exists() {
        eprintln!("skipped: there is no `go`, or no `{packages}`");
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let checker = parent.path().join("checker");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tlog.go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&checker).arg(source);
    build
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode");
    build
        .env("GOCACHE", parent.path().join("cache"))
        .env("GOFLAGS", "");
    assert!(build.status().unwrap().success());
    let accepts = |root: &Path, vkey: &str| {
        let output = Command::new(&checker).arg(root).arg(vkey).output().unwrap();
        output.status.success()
    };
    for size in [1, 255, 256, 700, 66_000] {
        let root = parent.path().join(size.to_string());
        let vkey = directory(size, &root);
        assert!(accepts(&root, &vkey), "{size}");
        let other = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
        assert!(!accepts(&root, &other.verifier().to_string()));
        let name = entries_path((size - 1) / WIDTH, (size - 1) % WIDTH + 1);
        for name in [
            name,
            tile_path(0, 0, size.min(WIDTH)),
            "checkpoint".to_owned(),
        ] {
            let path = root.join(name);
            let whole = fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            bytes[whole.len() / 2] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(!accepts(&root, &vkey), "{size} {}", path.display());
            fs::write(&path, &whole).unwrap();
        }
    }
}
