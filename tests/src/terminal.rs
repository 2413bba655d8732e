//! A terminal: what a program draws is a screen, what a test types are keys.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{PATIENCE, wait_at_most, wait_for};

/// The pause between two keys: a person's, not a paste's.
const BETWEEN_KEYS: Duration = Duration::from_millis(220);

/// How long a person looks at what has just been drawn, before typing.
const LOOK: Duration = Duration::from_millis(700);

/// A program on a terminal of its own. It is killed at the end of the test.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    // The program's terminal is gone when this is.
    master: Box<dyn MasterPty + Send>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("screen", &self.screen())
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// Starts a command on a terminal of that size. Program, arguments, environment and directory
    /// are taken from `command`; what it does not name is not inherited.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                builder.env(name, value);
            }
        }
        builder.env("TERM", "xterm-256color");
        builder.env("LANG", "C.UTF-8");
        if let Some(directory) = command.get_current_dir() {
            builder.cwd(directory);
        }
        let child = pair
            .slave
            .spawn_command(builder)
            .expect("the program starts");
        drop(pair.slave);
        let [height, width] = [rows, columns].map(not_zero);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(height, width, 0)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let mut bytes = pair.master.try_clone_reader().expect("a reader");
        let (drawn, kept) = (Arc::clone(&screen), Arc::clone(&raw));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end is an error here: the program closed its side.
            while let Ok(count @ 1..) = bytes.read(&mut buffer) {
                let read = buffer.get(..count).unwrap_or_default();
                drawn.lock().expect("the screen").process(read);
                kept.lock().expect("the bytes").extend_from_slice(read);
            }
        });
        let keys = pair.master.take_writer().expect("a writer");
        Self {
            child,
            keys,
            screen,
            raw,
            reader: Some(reader),
            master: pair.master,
        }
    }

    /// Returns what is on the screen, a line for each row.
    ///
    /// # Panics
    /// When the reader panicked.
    pub fn screen(&self) -> String {
        self.screen.lock().expect("the screen").screen().contents()
    }

    /// Tells whether the screen holds `text` in the terminal's red.
    ///
    /// # Panics
    /// When the reader panicked.
    pub fn holds_in_red(&self, text: &str) -> bool {
        let parser = self.screen.lock().expect("the screen");
        let screen = parser.screen();
        let (_, width) = screen.size();
        let mut rows = (0u16..).zip(screen.rows(0, width.get()));
        rows.any(|(row, line)| {
            let before = line.find(text).and_then(|at| line.get(..at));
            let column = before.and_then(|before| u16::try_from(before.chars().count()).ok());
            let cell = column.and_then(|column| screen.cell(row, column));
            cell.is_some_and(|cell| cell.fgcolor() == vt100::Color::Idx(1))
        })
    }

    /// Returns every byte the program has written.
    ///
    /// # Panics
    /// When the reader panicked.
    pub fn raw(&self) -> Vec<u8> {
        self.raw.lock().expect("the bytes").clone()
    }

    /// Waits until the screen holds `text` and returns it.
    ///
    /// # Panics
    /// When it does not in time; the screen is shown.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_that(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as `condition` wants it and returns it.
    ///
    /// # Panics
    /// When it is not in time; the screen is shown.
    #[track_caller]
    pub fn wait_that(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        wait_at_most(PATIENCE, || {
            Some(self.screen()).filter(|screen| condition(screen))
        })
        .unwrap_or_else(|| panic!("waited in vain: {what}\nthe screen:\n{}", self.screen()))
    }

    /// Types as a person does: looks first, then one key after the other.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[track_caller]
    pub fn type_slowly(&mut self, keys: &str) {
        sleep(LOOK);
        for key in keys.chars() {
            self.paste(key.encode_utf8(&mut [0; 4]));
            sleep(BETWEEN_KEYS);
        }
    }

    /// Writes bytes at once.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[track_caller]
    pub fn paste(&mut self, text: &str) {
        self.keys
            .write_all(text.as_bytes())
            .expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    /// Changes the size of the terminal.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.resize(size).expect("a size");
        let [rows, columns] = [rows, columns].map(not_zero);
        self.screen
            .lock()
            .expect("the screen")
            .screen_mut()
            .set_size(rows, columns);
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .process_id()
            .and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("the program is there");
    }

    /// Waits for the program's end and returns its exit code, and every byte it has written.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end(mut self) -> (u32, Vec<u8>) {
        let status = wait_for("the program ends", || {
            self.child.try_wait().expect("our child")
        });
        let reader = self.reader.take().expect("a reader");
        wait_for("everything is read", || reader.is_finished().then_some(()));
        (status.exit_code(), self.raw())
    }

    /// Waits for the program's end and returns its exit code.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn wait(mut self) -> u32 {
        let status = wait_for("the program ends", || {
            self.child.try_wait().expect("our child")
        });
        status.exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail when it has ended already, as it should.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn not_zero(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).expect("a terminal has rows and columns")
}
