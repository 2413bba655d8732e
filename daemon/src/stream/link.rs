//! The way to a receiver: a socket of datagrams on this machine, or a connection over TCP.
//!
//! Every call ends within [`PATIENCE`]. What a datagram socket took has arrived; what a connection took
//! has arrived when the other side's kernel acknowledged it, and [`Link::settle`] waits for that.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg, sockopt};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::time::{sleep, timeout};

use super::message::Message;
use crate::config::Receiver;
use crate::sys;

/// How long a receiver may take for anything, before it counts as absent.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much a socket of datagrams is asked to hold, in bytes: the kernel gives what it allows.
const SEND_BUFFER: usize = 8 << 20;

/// How often it is asked whether everything was acknowledged: the first time, and at most.
const ASK: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(50));

/// An open way to a receiver.
#[derive(Debug)]
pub(super) enum Link {
    /// The journal.
    Journal(UnixDatagram),
    /// A syslog daemon of this machine.
    Syslog(UnixDatagram),
    /// A collector.
    Collector(TcpStream),
}

impl Link {
    /// Opens the way.
    pub(super) async fn open(receiver: &Receiver) -> io::Result<Self> {
        match receiver {
            Receiver::Journal(path) => Ok(Self::Journal(datagrams(path)?)),
            Receiver::Syslog(path) => Ok(Self::Syslog(datagrams(path)?)),
            Receiver::Collector(address) => {
                let connection = patiently(TcpStream::connect(address)).await?;
                connection.set_nodelay(true)?;
                Ok(Self::Collector(connection))
            }
        }
    }

    /// Tells whether what was sent has to be settled before it counts as arrived.
    pub(super) const fn settles(&self) -> bool {
        match self {
            Self::Journal(_) | Self::Syslog(_) => false,
            Self::Collector(_) => true,
        }
    }

    /// Sends a message. A socket of syslog's refuses one that is too large with `EMSGSIZE`.
    pub(super) async fn send(&mut self, message: &Message, host: &str) -> io::Result<()> {
        match self {
            Self::Journal(socket) => {
                let message = message.journal()?;
                match patiently(socket.send(&message)).await {
                    Err(error) if is_too_large(&error) => {
                        patiently(send_as_file(socket, &message)).await
                    }
                    sent => sent.map(drop),
                }
            }
            Self::Syslog(socket) => patiently(socket.send(&message.syslog(host)))
                .await
                .map(drop),
            Self::Collector(connection) => {
                is_open(connection)?;
                patiently(connection.write_all(&message.framed(host))).await
            }
        }
    }

    /// Waits until what was sent has arrived.
    pub(super) async fn settle(&mut self) -> io::Result<()> {
        let Self::Collector(connection) = self else {
            return Ok(());
        };
        let acknowledged = async {
            let (mut pause, longest) = ASK;
            loop {
                // A connection that was reset has nothing left to send, so it is looked at afterwards.
                if sys::unacknowledged(&*connection)? == 0 {
                    return is_open(connection);
                }
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(longest);
            }
        };
        patiently(acknowledged).await
    }
}

/// Tells whether a socket refused a message for its size.
pub(super) fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

fn datagrams(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // Without it only smaller messages pass.
    if let Err(error) = sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER) {
        tracing::debug!(%error, "the socket keeps its buffer");
    }
    socket.connect(path)?;
    Ok(socket)
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Fails when the other side has closed or reset the connection. What it says is not read.
fn is_open(connection: &TcpStream) -> io::Result<()> {
    let mut said = [0; 512];
    loop {
        match connection.try_read(&mut said) {
            Ok(0) => return Err(io::ErrorKind::ConnectionReset.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Hands a message over as a sealed file, as the journal's protocol asks where it is too large for a
/// datagram.
async fn send_as_file(socket: &UnixDatagram, message: &[u8]) -> io::Result<()> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("countersign-entry", flags)?);
    file.write_all(message)?;
    let sealed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, sealed)?;
    socket
        .async_io(Interest::WRITABLE, || {
            let descriptors: [BorrowedFd<'_>; 1] = [file.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
            let nothing = [IoSlice::new(&[])];
            sendmsg(socket, &nothing, &mut control, SendFlags::NOSIGNAL)?;
            Ok(())
        })
        .await
}
