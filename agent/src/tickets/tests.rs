//! Tickets on disk, between processes of one user.

use std::os::unix::fs::PermissionsExt as _;

use countersign_shared::id::TicketSecret;

use super::*;

fn ticket() -> Ticket {
    Ticket {
        claim: Claim {
            id: RequestId::from_bytes([3; 16]),
            secret: TicketSecret::from_bytes([7; 16]),
        },
        digest: Digest::of(b"document"),
        expires_at: Some(Timestamp::from_millis(1_795_294_153_007)),
        stage: Stage::Asked,
        redeemed_at: None,
        shared: false,
    }
}

#[test]
fn another_process_finds_what_one_kept() {
    let home = tempfile::tempdir().unwrap();
    let mut kept = ticket();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    store.keep(&kept, b"document", b"{}").unwrap();
    kept.stage = Stage::Redeemed;
    kept.redeemed_at = kept.expires_at;
    store.update(&kept).unwrap();

    let found = Tickets::open(home.path(), Lasting::Process)
        .unwrap()
        .load(kept.claim.id)
        .unwrap();
    assert_eq!(found.claim.secret.reveal(), kept.claim.secret.reveal());
    assert_eq!(found.digest, kept.digest);
    assert_eq!(found.stage, Stage::Redeemed);
    assert_eq!(found.redeemed_at, kept.redeemed_at);
}

#[test]
fn nobody_else_can_read_a_ticket() {
    let home = tempfile::tempdir().unwrap();
    let kept = ticket();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    store.keep(&kept, b"document", b"{}").unwrap();
    store.keep_report(kept.claim.id, b"{}").unwrap();
    let run = RunSecret::from_bytes([8; 16]);
    store.keep_run(kept.claim.id, &run).unwrap();
    let found = store.run(kept.claim.id).unwrap().unwrap();
    assert_eq!(found.reveal(), run.reveal());
    let dir = store.of(&kept.claim.id);
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    let names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600);
            entry.file_name()
        })
        .collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[test]
fn a_store_that_others_can_open_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    Tickets::open(home.path(), Lasting::Process).unwrap();
    for mode in [0o750, 0o705, 0o711] {
        let dir = home.path().join("tickets");
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
        let error = Tickets::open(home.path(), Lasting::Process).unwrap_err();
        assert!(matches!(error, TicketError::Foreign { .. }), "{error}");
    }
}

#[test]
fn a_linked_store_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(home.path().join("elsewhere"), home.path().join("tickets")).unwrap();
    let error = Tickets::open(home.path(), Lasting::Process).unwrap_err();
    assert!(matches!(error, TicketError::Foreign { .. }), "{error}");
}

#[test]
fn a_request_that_ended_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let kept = ticket();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    store.keep(&kept, b"document", b"{}").unwrap();
    store.remove(kept.claim.id).unwrap();
    store.remove(kept.claim.id).unwrap();
    assert!(matches!(
        store.load(kept.claim.id),
        Err(TicketError::Unknown { .. })
    ));
    assert_eq!(
        fs::read_dir(home.path().join("tickets")).unwrap().count(),
        0
    );
}

#[test]
fn a_ticket_that_another_process_removed_is_kept_again() {
    let home = tempfile::tempdir().unwrap();
    let mut kept = ticket();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    store.keep(&kept, b"document", b"{}").unwrap();
    store.remove(kept.claim.id).unwrap();
    kept.stage = Stage::Redeemed;
    store.update(&kept).unwrap();
    assert_eq!(store.load(kept.claim.id).unwrap().stage, Stage::Redeemed);
}

#[test]
fn a_ticket_under_another_requests_name_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let kept = ticket();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    store.keep(&kept, b"document", b"{}").unwrap();
    let other = RequestId::from_bytes([4; 16]);
    fs::rename(store.of(&kept.claim.id), store.of(&other)).unwrap();
    assert!(matches!(store.load(other), Err(TicketError::Format { .. })));
}

#[test]
fn who_joins_takes_nothing_away_from_who_has_the_use() {
    let home = tempfile::tempdir().unwrap();
    let mut winner = ticket();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    store.keep(&winner, b"document", b"openings").unwrap();
    winner.stage = Stage::Redeemed;
    winner.redeemed_at = winner.expires_at;
    store.update(&winner).unwrap();

    let joined = Ticket {
        shared: true,
        ..ticket()
    };
    store.keep(&joined, b"document", b"").unwrap();
    let found = store.load(winner.claim.id).unwrap();
    assert_eq!(found.stage, Stage::Redeemed);
    assert_eq!(found.redeemed_at, winner.redeemed_at);
    assert!(found.shared);
    let openings = store.of(&winner.claim.id).join(OPENINGS);
    assert_eq!(fs::read(openings).unwrap(), b"openings");
    // And who has the use does not forget that it is shared.
    winner.stage = Stage::Started;
    store.update(&winner).unwrap();
    let found = store.load(winner.claim.id).unwrap();
    assert_eq!((found.stage, found.shared), (Stage::Started, true));
}

#[test]
fn tickets_kept_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    std::thread::scope(|scope| {
        for index in 0..16 {
            let store = store.clone();
            scope.spawn(move || {
                let mut own = ticket();
                own.shared = index > 0;
                store.keep(&own, b"document", b"{}").unwrap();
                own.stage = if index == 7 {
                    Stage::Started
                } else {
                    Stage::Asked
                };
                store.update(&own).unwrap();
            });
        }
    });
    let found = store.load(ticket().claim.id).unwrap();
    assert_eq!((found.stage, found.shared), (Stage::Started, true));
}

#[test]
fn what_ended_long_ago_goes_when_something_new_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let store = Tickets::open(home.path(), Lasting::Process).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let kept = |number: u8, expires_days_ago: u32, touched_days_ago: u32| {
        let mut kept = ticket();
        kept.claim.id = RequestId::from_bytes([number + 10; 16]);
        store.keep(&kept, b"document", b"{}").unwrap();
        let dir = store.of(&kept.claim.id);
        let now = fs::metadata(&dir).unwrap().modified().unwrap();
        let expired = now - day * expires_days_ago;
        let millis = expired
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        kept.expires_at = Some(Timestamp::from_millis(i64::try_from(millis).unwrap()));
        let stored = fs::read_to_string(dir.join(TICKET)).unwrap();
        let before = ticket().expires_at.unwrap().to_string();
        let stored = stored.replace(&before, &kept.expires_at.unwrap().to_string());
        fs::write(dir.join(TICKET), stored).unwrap();
        let touched = File::open(&dir).unwrap();
        touched.set_modified(now - day * touched_days_ago).unwrap();
        kept.claim.id
    };
    let all = [kept(1, 40, 40), kept(2, 20, 40), kept(3, 40, 1)];
    store.keep(&ticket(), b"document", b"{}").unwrap();
    let there = all.map(|id| store.load(id).is_ok());
    assert_eq!(there, [false, true, true]);
}
