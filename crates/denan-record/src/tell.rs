//! Sending events without ever waiting.
//!
//! Events go into a bounded queue that a thread empties into the socket. When the other side is
//! slow the queue fills and step events are left out (their number is told later); when it is
//! gone, everything is dropped from then on. The training never waits for either.

use crate::event::Event;
use crate::wire;
use std::io::BufWriter;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Events that may wait; a step event is some hundred bytes to some ten kilobytes.
const QUEUE: usize = 4096;
/// How long an event that must not be lost may wait for a place.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long written events may sit in the buffer; the record is to be at most a second behind.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// Sends events to denan.
pub struct Teller {
    queue: Option<SyncSender<Event>>,
    done: Arc<(Mutex<bool>, Condvar)>,
    left_out: u64,
}

impl Teller {
    /// A teller that keeps everything to itself.
    pub fn silent() -> Self {
        Self { queue: None, done: Arc::default(), left_out: 0 }
    }

    /// Connects to denan's socket. If that fails, nothing is told and the training goes on.
    #[cfg(unix)]
    pub fn connect(socket: &Path) -> Self {
        let stream = match std::os::unix::net::UnixStream::connect(socket) {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!(
                    "denan: watching without a record, since its socket {} failed: {error}",
                    socket.display()
                );
                return Self::silent();
            }
        };
        Self::through(move |events| {
            let mut out = BufWriter::with_capacity(1 << 16, stream);
            loop {
                let alive = match events.recv_timeout(FLUSH_AFTER) {
                    Ok(event) => wire::send(&mut out, &event).is_ok(),
                    Err(RecvTimeoutError::Timeout) => std::io::Write::flush(&mut out).is_ok(),
                    Err(RecvTimeoutError::Disconnected) => false,
                };
                if !alive {
                    break;
                }
            }
            let _ = std::io::Write::flush(&mut out);
        })
    }

    /// Tells a listener in this process, on a thread of its own.
    pub fn to(mut listener: impl FnMut(Event) + Send + 'static) -> Self {
        Self::through(move |events| events.iter().for_each(&mut listener))
    }

    /// A queue that a thread empties.
    fn through(empty: impl FnOnce(Receiver<Event>) + Send + 'static) -> Self {
        let (queue, events) = sync_channel::<Event>(QUEUE);
        let done = Arc::new((Mutex::new(false), Condvar::new()));
        let signal = Arc::clone(&done);
        let thread = std::thread::Builder::new().name("denan-tell".to_owned()).spawn(move || {
            empty(events);
            *signal.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            signal.1.notify_all();
        });
        match thread {
            Ok(_) => Self { queue: Some(queue), done, left_out: 0 },
            Err(_) => Self::silent(),
        }
    }

    /// No socket on this system.
    #[cfg(not(unix))]
    pub fn connect(_: &Path) -> Self {
        Self::silent()
    }

    /// Hands an event over. Steps are left out when the queue is full, other events wait a moment.
    pub fn tell(&mut self, event: Event) {
        let Some(queue) = &self.queue else { return };
        let is_spare = matches!(event, Event::Step(_) | Event::Batch(_));
        match queue.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) if is_spare => self.left_out += 1,
            Err(TrySendError::Full(event)) => {
                std::thread::sleep(PATIENCE);
                let _ = queue.try_send(event);
            }
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }

    /// Sends what is still waiting; gives up after two seconds.
    pub fn finish(&mut self) {
        if self.left_out > 0 {
            let note =
                format!("{} steps are missing from the record: the disk could not keep up", self.left_out);
            self.tell(Event::Note(note));
        }
        if self.queue.take().is_some() {
            let (done, changed) = &*self.done;
            let done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = changed.wait_timeout_while(done, Duration::from_secs(2), |done| !*done);
        }
    }
}
