use countersign_shared::text::Untrusted;
use countersign_shared::time::Timestamp;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::TestBackend;

use super::super::fixtures::{NOON, detail, plain};
use super::super::model::Tier;
use super::super::safety::{Signing, Verdict};
use super::*;

#[derive(Debug, Default)]
struct Nobody {
    suspended: u32,
}

impl Surroundings for Nobody {
    fn ring(&mut self) {}

    fn suspend(&mut self) -> io::Result<()> {
        self.suspended += 1;
        Ok(())
    }
}

const OPTIONS: Options = Options {
    read_only: false,
    color: false,
    ascii: true,
    ring: super::Ring::Off,
};

fn key(code: KeyCode) -> TerminalEvent {
    TerminalEvent::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[tokio::test]
async fn a_request_is_told_loaded_drawn_and_decided_through_the_link() {
    let (keys, keyboard) = mpsc::channel(16);
    let (requests, mut asked) = mpsc::channel(16);
    let (told, news) = mpsc::channel(16);
    let detail = detail(1, Tier::Low, plain());
    let client = tokio::spawn(async move {
        told.send(News::Signing(Signing::Ready)).await.unwrap();
        told.send(News::Connected).await.unwrap();
        told.send(News::Row(Box::new(detail.row.clone())))
            .await
            .unwrap();
        told.send(News::SnapshotComplete {
            reviewer: Some(Untrusted::new("mika")),
            now: Timestamp::from_millis(NOON),
            local: Timestamp::from_millis(NOON),
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        keys.send((boot_time(), key(KeyCode::Enter))).await.unwrap();
        let mut seen = Vec::new();
        loop {
            let patience = Duration::from_secs(1);
            let request = match tokio::time::timeout(patience, asked.recv()).await {
                Ok(Some(request)) => request,
                Ok(None) => break,
                // On a busy machine a key may lie unread for too long, and then decides nothing: it
                // is pressed again.
                Err(_) => {
                    let again = (boot_time(), key(KeyCode::Char('A')));
                    // With the console gone, so is its keyboard.
                    let _pressed = keys.send(again).await;
                    continue;
                }
            };
            match &request {
                Request::Load(_) => {
                    told.send(News::Loaded(Box::new(detail.clone())))
                        .await
                        .unwrap();
                }
                Request::Shown { .. } => {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    keys.send((boot_time(), key(KeyCode::Char('A'))))
                        .await
                        .unwrap();
                }
                Request::Decide(decision) => {
                    assert_eq!(decision.verdict, Verdict::Approve);
                    keys.send((boot_time(), key(KeyCode::Char('q'))))
                        .await
                        .unwrap();
                }
                Request::CompareRules
                | Request::ReadLog(_)
                | Request::ReadEntry { .. }
                | Request::ProveEntry { .. }
                | Request::CountUses(_)
                | Request::ReadRequests(_)
                | Request::Follow(_)
                | Request::Unfollow
                | Request::Claim(_)
                | Request::Release(_)
                | Request::Unlock(_) => {}
            }
            seen.push(request);
        }
        seen
    });
    let mut screen = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let link = Link { requests, news };
    let ended = run_on(&mut screen, &mut Nobody::default(), keyboard, OPTIONS, link)
        .await
        .unwrap();
    assert_eq!(ended, Ended::ByReviewer);
    assert_eq!(client.await.unwrap().len(), 3);
}

#[tokio::test]
async fn control_z_suspends_and_comes_back() {
    let (keys, keyboard) = mpsc::channel(16);
    let (requests, _asked) = mpsc::channel(16);
    let (_told, news) = mpsc::channel(16);
    let stop = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
    keys.send((boot_time(), TerminalEvent::Key(stop)))
        .await
        .unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        keys.send((boot_time(), key(KeyCode::Char('q'))))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let mut screen = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut nobody = Nobody::default();
    let link = Link { requests, news };
    run_on(&mut screen, &mut nobody, keyboard, OPTIONS, link)
        .await
        .unwrap();
    assert_eq!(nobody.suspended, 1);
}
