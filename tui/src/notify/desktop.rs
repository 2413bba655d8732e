//! The one bubble on the desktop, on the session bus.
//!
//! Each bubble has a connection of its own, which stays for as long as the bubble does: servers
//! answer to the connection that asked, and some take a bubble away with it. So a bus or a server that
//! was started anew needs no care here: the next bubble finds it. The only action is "Open";
//! whoever can reach the bus can invoke it, and it decides nothing.

use std::sync::Arc;
use std::time::Duration;

use countersign_shared::text::{Printable, Untrusted};
use notify_rust::{Hint, Notification, NotificationHandle, NotificationResponse, Timeout};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::words::{Urgency, Words};

/// The action's name on the bus.
const OPEN: &str = "open";
/// How long the bus and the server may take. A server may have to be started first.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bubble could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DesktopError {
    /// There is no bus, or no server on it.
    #[error("no notification server answers on the session bus")]
    Bus(#[source] notify_rust::error::Error),
    /// It does not answer.
    #[error("the notification server does not answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// What a person did with a bubble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Asked for the console.
    Open(u64),
    /// Took it away, or it went by itself.
    Closed(u64),
}

/// The bubble that is shown.
#[derive(Debug)]
struct Shown {
    handle: Arc<NotificationHandle>,
    serial: u64,
    listening: AbortHandle,
}

/// The desktop.
#[derive(Debug)]
pub struct Desktop {
    done: mpsc::Sender<Done>,
    shown: Option<Shown>,
    serial: u64,
}

impl Desktop {
    /// Makes a desktop without a bubble. What people do with bubbles comes through the channel.
    pub fn new() -> (Self, mpsc::Receiver<Done>) {
        let (done, receiver) = mpsc::channel(16);
        let desktop = Self {
            done,
            shown: None,
            serial: 0,
        };
        (desktop, receiver)
    }

    /// Shows a bubble instead of the one that is shown; returns its number.
    ///
    /// # Errors
    ///
    /// When there is no bus, no server, or no answer. Then none is shown.
    pub async fn show(&mut self, words: &Words) -> Result<u64, DesktopError> {
        self.close().await;
        let notification = notification(words);
        let handle = tokio::time::timeout(PATIENCE, notification.show_async())
            .await
            .map_err(|_| DesktopError::Silent)?
            .map_err(DesktopError::Bus)?;
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let handle = Arc::new(handle);
        let (listener, done) = (Arc::clone(&handle), self.done.clone());
        let listening = tokio::spawn(async move {
            let mut what = Done::Closed(serial);
            let heard = |response: &NotificationResponse| {
                if is_open(response) {
                    what = Done::Open(serial);
                }
            };
            listener.wait_for_action_async(heard).await;
            // With nobody listening any more there is nobody to tell.
            let _told = done.send(what).await;
        })
        .abort_handle();
        self.shown = Some(Shown {
            handle,
            serial,
            listening,
        });
        Ok(serial)
    }

    /// Takes the bubble away, if one is shown.
    pub async fn close(&mut self) {
        if let Some(shown) = self.shown.take() {
            shown.listening.abort();
            // One that has gone already, or whose server has, needs no closing.
            drop(tokio::time::timeout(PATIENCE, shown.handle.close_async()).await);
        }
    }

    /// Takes note of what a person did; tells whether it was done with the bubble that is shown,
    /// which is over with this.
    pub async fn finish(&mut self, done: Done) -> bool {
        let (Done::Open(serial) | Done::Closed(serial)) = done;
        if self
            .shown
            .as_ref()
            .is_none_or(|shown| shown.serial != serial)
        {
            return false;
        }
        match done {
            // Some servers leave a bubble standing whose button was pressed.
            Done::Open(_) => self.close().await,
            Done::Closed(_) => self.shown = None,
        }
        true
    }
}

fn is_open(response: &NotificationResponse) -> bool {
    match response {
        NotificationResponse::Default => true,
        NotificationResponse::Action(name) => name == OPEN,
        NotificationResponse::Reply(_) | NotificationResponse::Closed(_) => false,
    }
}

fn notification(words: &Words) -> Notification {
    let mut notification = Notification::new();
    notification
        .appname("Countersign")
        .summary(&words.summary)
        .body(&words.body)
        .icon("dialog-password")
        .hint(Hint::Category("countersign.request".to_owned()))
        .action("default", "Open")
        .action(OPEN, "Open");
    let urgency = match words.urgency {
        Urgency::Low => notify_rust::Urgency::Low,
        Urgency::Normal => notify_rust::Urgency::Normal,
        Urgency::Critical => notify_rust::Urgency::Critical,
    };
    notification.urgency(urgency);
    if words.urgency == Urgency::Critical {
        notification.timeout(Timeout::Never);
    }
    notification.finalize()
}

/// The notification server, as it calls itself.
///
/// # Errors
///
/// When there is no bus or no server, or it does not answer in time.
pub fn server() -> Result<String, DesktopError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    // A thread of its own: the call waits for the bus, and may not do so within a runtime.
    std::thread::spawn(move || {
        // Whoever asked may have stopped waiting.
        drop(sender.send(notify_rust::get_server_information()));
    });
    let server = receiver
        .recv_timeout(PATIENCE)
        .map_err(|_| DesktopError::Silent)?
        .map_err(DesktopError::Bus)?;
    // The server chose these; they are drawn on a terminal.
    let name = Printable::exact(&Untrusted::new(server.name));
    let version = Printable::exact(&Untrusted::new(server.version));
    Ok(format!("{name} {version}"))
}
