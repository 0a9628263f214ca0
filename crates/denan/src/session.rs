//! One run of a training: the child process, the socket it tells events through, and what was told.

use crate::collected::Collected;
use crate::error::Error;
use crate::launch::Launch;
use crate::records::Records;
use denan_record::event::Event;
use denan_record::plan::{PLAN_VARIABLE, Plan};
use denan_record::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long events of an ended training are waited for.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// What a run left behind.
pub struct Watched {
    /// What the processes that train told, by their ranks; the rank of a single one is 0.
    pub ranks: BTreeMap<u32, Collected>,
    /// How the process ended; `None` if denan killed it.
    pub status: Option<ExitStatus>,
}

impl Watched {
    /// The rank of the process that tells most of the break: the one that broke first; of several in the same step the
    /// one whose loss was bad, since the others have it from there. The first one where none broke.
    pub fn telling_rank(&self) -> u32 {
        let order = |collected: &Collected| {
            let found = collected.run.first_break.as_ref();
            found.map(|found| (found.in_evaluation, found.step, !found.loss_is_bad))
        };
        let broken = self.ranks.iter().filter_map(|(&rank, collected)| Some((order(collected)?, rank)));
        broken.min().map_or(0, |(_, rank)| rank)
    }

    /// What a process told; nothing if there is none of that rank.
    pub fn of_rank(mut self, rank: u32) -> Collected {
        self.ranks.remove(&rank).unwrap_or_default()
    }
}

/// What happens to the training's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// It is the user's.
    Shown,
    /// It is a re-run's; nobody wants to read it twice.
    Hidden,
}

/// Runs a training to its end and collects what it tells.
pub fn watch(
    launch: &Launch,
    mut plan: Plan,
    output: Output,
    deadline: Option<Instant>,
    mut records: Option<&mut Records>,
    mut on_event: impl FnMut(&Event),
) -> Result<Watched, Error> {
    let socket = Socket::open()?;
    plan.socket = Some(socket.path.clone());
    plan.renamed = launch.renamed();
    let mut command = launch.command();
    command.env(PLAN_VARIABLE, plan.to_json());
    if output == Output::Hidden {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child = command
        .spawn()
        .map_err(|source| Error::Start { program: launch.program.to_string_lossy().into_owned(), source })?;
    let mut ranks: BTreeMap<u32, Collected> = BTreeMap::new();
    let mut ended: Option<(Instant, Option<ExitStatus>)> = None;
    loop {
        match socket.events.recv_timeout(Duration::from_millis(20)) {
            Ok((rank, event)) => {
                on_event(&event);
                if let Some(records) = &mut records {
                    records.tell(rank, event.clone());
                }
                ranks.entry(rank).or_default().take(event);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)
                if ended.is_some_and(|(at, _)| {
                    socket.connections.load(Ordering::Acquire) == 0 || at.elapsed() > LAST_EVENTS
                }) =>
            {
                break;
            }
            Err(_) => {}
        }
        if ended.is_none() {
            if let Some(status) = child.try_wait()? {
                ended = Some((Instant::now(), Some(status)));
            } else if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                end(&mut child);
                ended = Some((Instant::now(), None));
            }
        }
    }
    Ok(Watched { ranks, status: ended.and_then(|(_, status)| status) })
}

fn end(child: &mut Child) {
    // It may have ended in between, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}

/// The socket that adapters connect to. The first training that speaks is the one that is watched, and of each rank the
/// first process.
struct Socket {
    path: PathBuf,
    events: Receiver<(u32, Event)>,
    connections: Arc<AtomicU32>,
    closed: Arc<AtomicBool>,
}

impl Socket {
    fn open() -> Result<Self, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("denan-{}-{}.sock", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(|source| Error::File {
            action: "create",
            path: path.clone(),
            source,
            help: "set TMPDIR to a folder with a short path that can be written".to_owned(),
        })?;
        let (sender, events) = channel();
        let (connections, closed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (Arc::clone(&connections), Arc::clone(&closed));
        std::thread::Builder::new().name("denan-socket".to_owned()).spawn(move || {
            let known = Arc::new(Mutex::new(BTreeSet::new()));
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                counter.fetch_add(1, Ordering::AcqRel);
                let (sender, counter, known) = (sender.clone(), Arc::clone(&counter), Arc::clone(&known));
                std::thread::spawn(move || {
                    forward(BufReader::new(stream), &sender, &known);
                    counter.fetch_sub(1, Ordering::AcqRel);
                });
            }
        })?;
        Ok(Self { path, events, connections, closed })
    }
}

fn forward(mut stream: BufReader<UnixStream>, to: &Sender<(u32, Event)>, known: &Mutex<BTreeSet<u32>>) {
    let (mut rank, mut is_ours) = (0, false);
    while let Ok(Some(event)) = wire::receive(&mut stream) {
        if let Event::Started(header) = &event {
            rank = header.rank.map_or(0, |rank| rank.number);
            is_ours = known.lock().unwrap_or_else(PoisonError::into_inner).insert(rank);
        }
        // A second process of the same training reads on, so that it never waits; what it has to say is told.
        let is_told = is_ours || matches!(event, Event::Note(_));
        if is_told && to.send((rank, event)).is_err() {
            return;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is closed.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}
