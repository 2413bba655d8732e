//! A desktop without a screen: a private session bus, and a notification server that remembers.
//!
//! The server answers as real ones do that answer to the connection that asked, so that an action
//! reaches nobody else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Runtime;
use zbus::message::Header;
use zbus::zvariant::OwnedVariant;
use zbus::{Connection, interface};

use crate::measure::now;
use crate::process::Running;
use crate::wait::wait_until;

/// Where every notification server is.
const PATH: &str = "/org/freedesktop/Notifications";
/// What every notification server is called.
const NAME: &str = "org.freedesktop.Notifications";

/// A bubble as the server was asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bubble {
    /// The server's number for it.
    pub id: u32,
    /// Which program asked.
    pub app: String,
    /// The number of the bubble that it shall replace, 0 for none.
    pub replaces: u32,
    /// The icon's name.
    pub icon: String,
    /// How long it stands in milliseconds: 0 for ever, -1 as the server likes.
    pub expires: i32,
    /// The title.
    pub summary: String,
    /// The text, perhaps with markup.
    pub body: String,
    /// Names and labels, one after the other.
    pub actions: Vec<String>,
    /// 0 low, 1 normal, 2 critical.
    pub urgency: Option<u8>,
    /// When it was asked for.
    pub at: Instant,
    /// True once the program took it away.
    pub is_closed: bool,
    sender: String,
}

type Bubbles = Arc<Mutex<Vec<Bubble>>>;

/// The server's side of the bus.
struct Server {
    bubbles: Bubbles,
}

#[interface(name = "org.freedesktop.Notifications")]
impl Server {
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "as the Desktop Notifications Specification has it"
    )]
    fn notify(
        &self,
        #[zbus(header)] header: Header<'_>,
        app_name: String,
        replaces_id: u32,
        app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedVariant>,
        expire_timeout: i32,
    ) -> u32 {
        let at = now();
        let mut bubbles = lock(&self.bubbles);
        let id = u32::try_from(bubbles.len()).unwrap_or(u32::MAX) + 1;
        let urgency = hints
            .get("urgency")
            .and_then(|value| u8::try_from(value.clone()).ok());
        bubbles.push(Bubble {
            id,
            app: app_name,
            replaces: replaces_id,
            icon: app_icon,
            expires: expire_timeout,
            summary,
            body,
            actions,
            urgency,
            at,
            is_closed: false,
            sender: header
                .sender()
                .map_or_else(String::new, ToString::to_string),
        });
        id
    }

    fn close_notification(&self, id: u32) {
        for bubble in lock(&self.bubbles).iter_mut().filter(|it| it.id == id) {
            bubble.is_closed = true;
        }
    }

    #[expect(clippy::unused_self, reason = "a call of the interface")]
    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body", "body-markup"].map(str::to_owned).into()
    }

    #[expect(clippy::unused_self, reason = "a call of the interface")]
    fn get_server_information(&self) -> (String, String, String, String) {
        let [name, vendor, version, spec] = ["remembering", "tests", "1.0", "1.2"];
        (name.into(), vendor.into(), version.into(), spec.into())
    }
}

fn lock(bubbles: &Bubbles) -> MutexGuard<'_, Vec<Bubble>> {
    bubbles.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session bus, and a notification server on it. Both end with it.
pub struct Desktop {
    bus: Running,
    address: String,
    bubbles: Bubbles,
    runtime: Runtime,
    connection: Connection,
}

impl std::fmt::Debug for Desktop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktop")
            .field("address", &self.address)
            .field("bubbles", &self.bubbles())
            .finish_non_exhaustive()
    }
}

/// Returns the address of the bus whose socket lies in a directory.
pub fn address(directory: &Path) -> String {
    format!("unix:path={}", socket(directory).display())
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("bus")
}

/// Starts a bus whose socket lies in a directory.
///
/// # Panics
/// When it does not start.
#[track_caller]
pub fn bus(directory: &Path) -> Running {
    let socket = socket(directory);
    // A bus that was killed leaves it behind.
    drop(std::fs::remove_file(&socket));
    let mut command = Command::new("dbus-daemon");
    command
        .args(["--session", "--nofork", "--nopidfile"])
        .arg(format!("--address={}", address(directory)));
    let bus = Running::start(&mut command, Stdio::null());
    wait_until("the bus listens", || socket.exists());
    bus
}

impl Desktop {
    /// Starts a bus whose socket lies in `directory`, and the server.
    ///
    /// # Panics
    /// When they do not start.
    #[track_caller]
    pub fn start(directory: &Path) -> Self {
        let bus = bus(directory);
        let address = address(directory);
        let bubbles = Bubbles::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = Server {
            bubbles: Arc::clone(&bubbles),
        };
        let connection = runtime
            .block_on(async {
                zbus::connection::Builder::address(address.as_str())
                    .name(NAME)
                    .serve_at(PATH, server)
                    .build()
                    .await
            })
            .expect("a server on the bus");
        Self {
            bus,
            address,
            bubbles,
            runtime,
            connection,
        }
    }

    /// Returns the address of the bus.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the bus's process.
    pub const fn bus(&self) -> &Running {
        &self.bus
    }

    /// Returns every bubble so far.
    pub fn bubbles(&self) -> Vec<Bubble> {
        lock(&self.bubbles).clone()
    }

    /// Waits until there are that many bubbles, and returns the last of them.
    ///
    /// # Panics
    /// When there are not in time.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Bubble {
        wait_until(&format!("{count} bubbles"), || {
            lock(&self.bubbles).len() >= count
        });
        self.bubbles().swap_remove(count - 1)
    }

    /// Waits until a bubble was taken away.
    ///
    /// # Panics
    /// When it is not in time.
    #[track_caller]
    pub fn wait_until_closed(&self, id: u32) {
        wait_until("the bubble is taken away", || {
            lock(&self.bubbles)
                .iter()
                .any(|it| it.id == id && it.is_closed)
        });
    }

    /// Presses a bubble's button, as a person would.
    ///
    /// # Panics
    /// When the bus does not take it.
    #[track_caller]
    pub fn press(&self, bubble: &Bubble, action: &str) {
        let sent = self.runtime.block_on(self.connection.emit_signal(
            Some(bubble.sender.as_str()),
            PATH,
            NAME,
            "ActionInvoked",
            &(bubble.id, action),
        ));
        sent.expect("the bus takes signals");
    }
}
