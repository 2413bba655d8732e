//! The floor: the least that a durable answer over a Unix socket costs with the same libraries.
//!
//! A bare tonic server in a process of its own. Each call writes rows of the sizes that the daemon
//! writes, in one transaction (WAL, FULL), into tables without an index, and answers with bytes of
//! the daemon's size. It reads, checks, hashes and signs nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use countersign_client::place::Place;
use countersign_shared::wire::pb;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::calls::Agent;
use crate::installation::Outcome;

/// The variable that makes a benchmark's program serve instead; its value is [`Sizes`] as JSON.
const VARIABLE: &str = "COUNTERSIGN_FLOOR";

/// What the daemon writes for one call, in bytes.
#[derive(Debug, Clone, Default)]
pub struct Sizes {
    /// The entries of the log.
    pub entries: Vec<usize>,
    /// The machine of the request's row.
    pub machine: usize,
    /// The document of the request's row, when the call writes it.
    pub document: usize,
    /// The signed head.
    pub note: usize,
}

impl Sizes {
    /// Reads from the daemon's database what it wrote about the request that came last, in its
    /// entries from the number `skip` on.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn of_last(database: &Path, skip: usize) -> Outcome<Self> {
        let db = Connection::open(database)?;
        let (id, machine, document): (Vec<u8>, usize, usize) = db.query_row(
            "SELECT id, length(machine), length(bytes)
             FROM request JOIN document USING (received_index)
             ORDER BY received_index DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, size(row, 1)?, size(row, 2)?)),
        )?;
        let entries = db
            .prepare("SELECT length(data) FROM audit_leaf WHERE request = ?1 ORDER BY idx")?
            .query_map([id], |row| size(row, 0))?
            .skip(skip)
            .collect::<Result<_, _>>()?;
        let note = db
            .query_row("SELECT length(note) FROM audit_head", [], |row| {
                size(row, 0)
            })
            .optional()?
            .unwrap_or_default();
        Ok(Self {
            entries,
            machine,
            document: if skip == 0 { document } else { 0 },
            note,
        })
    }

    fn to_text(&self) -> String {
        let entries: Vec<String> = self.entries.iter().map(usize::to_string).collect();
        format!(
            "{} {} {} {}",
            self.machine,
            self.document,
            self.note,
            entries.join(" ")
        )
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        let (machine, document, note) = (next()?, next()?, next()?);
        let entries = std::iter::from_fn(next).collect();
        Some(Self {
            entries,
            machine,
            document,
            note,
        })
    }
}

fn size(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<usize> {
    let size: u32 = row.get(column)?;
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The bare server.
#[derive(Debug)]
pub struct Floor {
    child: Child,
    directory: tempfile::TempDir,
}

impl Floor {
    /// Starts the bare server, writing rows of these sizes.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(sizes: &Sizes) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let run = directory.path().join("run");
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&run)?;
        let child = Command::new(std::env::current_exe()?)
            .env(VARIABLE, format!("{} {}", sizes.to_text(), run.display()))
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { child, directory })
    }

    /// Connects to it, once it serves.
    ///
    /// # Errors
    ///
    /// When it does not within ten seconds.
    pub async fn connect(&self) -> Outcome<Agent> {
        let place = Place::find(Some(self.directory.path()))?;
        let patience = crate::measure::now();
        loop {
            match Agent::connect(&place).await {
                Ok(agent) => return Ok(agent),
                Err(error) if patience.elapsed() > Duration::from_secs(10) => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves as the bare server if this process was started as one; else returns false.
///
/// # Errors
///
/// When it cannot serve.
pub fn serve_if_asked() -> Outcome<bool> {
    let Ok(asked) = std::env::var(VARIABLE) else {
        return Ok(false);
    };
    let (sizes, run) = asked.rsplit_once(' ').ok_or("no directory")?;
    let sizes = Sizes::from_text(sizes).ok_or("no sizes")?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(sizes, PathBuf::from(run)))?;
    Ok(true)
}

async fn serve(sizes: Sizes, run: PathBuf) -> Outcome<()> {
    let db = Connection::open(run.join("floor.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(
        "CREATE TABLE leaf (data BLOB, hash BLOB); CREATE TABLE node (hash BLOB);
         CREATE TABLE head (id INTEGER PRIMARY KEY, note BLOB);
         CREATE TABLE request (machine BLOB, document BLOB);",
    )?;
    let bare = Bare {
        db: Arc::new(Mutex::new(db)),
        sizes: Arc::new(sizes),
        waiting: Arc::default(),
    };
    let listener = UnixListener::bind(run.join("agent.sock"))?;
    tonic::transport::Server::builder()
        .initial_connection_window_size(16 << 20)
        .add_service(bare)
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await?;
    Ok(())
}

/// The service: Submit and Report write and answer, Wait waits for the Report of the same id.
#[derive(Debug, Clone)]
struct Bare {
    db: Arc<Mutex<Connection>>,
    sizes: Arc<Sizes>,
    waiting: Arc<Mutex<HashMap<String, watch::Sender<bool>>>>,
}

impl Bare {
    fn write(&self) -> rusqlite::Result<()> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        db.execute_batch("BEGIN IMMEDIATE")?;
        for size in &self.sizes.entries {
            db.prepare_cached("INSERT INTO leaf VALUES (?1, ?2)")?
                .execute(params![vec![7u8; *size], [7u8; 32]])?;
            db.prepare_cached("INSERT INTO node VALUES (?1)")?
                .execute([[7u8; 32]])?;
        }
        db.prepare_cached("INSERT OR REPLACE INTO head VALUES (1, ?1)")?
            .execute([vec![7u8; self.sizes.note]])?;
        db.prepare_cached("INSERT INTO request VALUES (?1, ?2)")?
            .execute([
                vec![7u8; self.sizes.machine],
                vec![7u8; self.sizes.document],
            ])?;
        db.execute_batch("COMMIT")
    }

    fn channel(&self, id: &str) -> watch::Sender<bool> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .entry(id.to_owned())
            .or_insert_with(|| watch::Sender::new(false))
            .clone()
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

impl UnaryService<pb::SubmitRequest> for Bare {
    type Response = pb::SubmitResponse;
    type Future = Answer<pb::SubmitResponse>;

    fn call(&mut self, _request: Request<pb::SubmitRequest>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            bare.write()
                .map_err(|error| Status::internal(error.to_string()))?;
            let document = vec![7; bare.sizes.document];
            Ok(Response::new(pb::SubmitResponse {
                document,
                ..Default::default()
            }))
        })
    }
}

impl UnaryService<pb::ReportRequest> for Bare {
    type Response = pb::ReportResponse;
    type Future = Answer<pb::ReportResponse>;

    fn call(&mut self, request: Request<pb::ReportRequest>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            bare.write()
                .map_err(|error| Status::internal(error.to_string()))?;
            bare.channel(&request.get_ref().id).send_replace(true);
            Ok(Response::new(pb::ReportResponse::default()))
        })
    }
}

impl ServerStreamingService<pb::WaitRequest> for Bare {
    type Response = pb::WaitResponse;
    type ResponseStream = ReceiverStream<Result<pb::WaitResponse, Status>>;
    type Future = Answer<Self::ResponseStream>;

    fn call(&mut self, request: Request<pb::WaitRequest>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let mut decided = bare.channel(&request.get_ref().id).subscribe();
            let (sender, receiver) = mpsc::channel(8);
            tokio::spawn(async move {
                let pending = pb::WaitResponse {
                    state: 3,
                    ..Default::default()
                };
                let approved = pb::WaitResponse {
                    state: 4,
                    ..Default::default()
                };
                // Whoever went away misses nothing.
                drop(sender.send(Ok(pending)).await);
                drop(decided.wait_for(|decided| *decided).await);
                drop(sender.send(Ok(approved)).await);
            });
            Ok(Response::new(ReceiverStream::new(receiver)))
        })
    }
}

impl NamedService for Bare {
    const NAME: &'static str = "countersign.v1.AgentService";
}

impl Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let path = request.uri().path();
            Ok(if path.ends_with("/Submit") {
                Grpc::new(ProstCodec::<pb::SubmitResponse, pb::SubmitRequest>::default())
                    .unary(bare, request)
                    .await
            } else if path.ends_with("/Report") {
                Grpc::new(ProstCodec::<pb::ReportResponse, pb::ReportRequest>::default())
                    .unary(bare, request)
                    .await
            } else {
                Grpc::new(ProstCodec::<pb::WaitResponse, pb::WaitRequest>::default())
                    .server_streaming(bare, request)
                    .await
            })
        })
    }
}
