//! The daemon is killed over the life of requests.

use countersign_tests::kills;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills_lose_repeat_and_approve_nothing() {
    let tally = kills::run(200, 0x0c0_ffee)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    // A run that never cut an answer off would prove nothing.
    let hit = [
        tally.lost_submits,
        tally.lost_waits,
        tally.lost_decisions,
        tally.lost_redemptions,
        tally.lost_reports,
    ];
    assert!(
        tally.kills == 200 && tally.runs >= 50 && hit.iter().all(|hit| *hit > 0),
        "{tally:?}"
    );
}
