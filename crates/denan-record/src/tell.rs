//! Sending events without ever waiting.
//!
//! Events go into a bounded queue that a thread empties into the socket. When the other side is
//! slow the queue fills and step events are left out (their number is told later); when it is
//! gone, everything is dropped from then on. The training never waits for either.
//!
//! The thread is not woken for each step: to wake it costs more than some trainings' steps take.

use crate::event::Event;
use crate::wire;
use std::collections::VecDeque;
use std::io::BufWriter;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Step events that may wait; one is some hundred bytes to some ten kilobytes.
const QUEUE: usize = 4096;
/// Other events that may wait besides.
const RESERVE: usize = 4096;
/// How long step events may wait for the thread to look.
const NAP: Duration = Duration::from_millis(10);
/// How long written events may sit in the buffer; the record is to be at most a second behind.
const FLUSH_AFTER: Duration = Duration::from_millis(100);
/// How long the end of a training waits for what is still to be sent.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// Sends events to denan.
pub struct Teller {
    shared: Option<Arc<Shared>>,
    left_out: u64,
}

/// What the training's threads and the one that sends share.
#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    /// No event will follow.
    is_closed: bool,
    /// Nobody takes events any more: everything is sent, or the other side is gone.
    is_done: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come in since the last call, after a nap if that is nothing; `None` once nothing will follow.
    fn take(&self) -> Option<VecDeque<Event>> {
        let mut queue = self.lock();
        if queue.events.is_empty() && !queue.is_closed {
            queue = self.changed.wait_timeout(queue, NAP).unwrap_or_else(PoisonError::into_inner).0;
        }
        if queue.events.is_empty() && queue.is_closed {
            return None;
        }
        Some(std::mem::take(&mut queue.events))
    }
}

impl Teller {
    /// A teller that keeps everything to itself.
    pub fn silent() -> Self {
        Self { shared: None, left_out: 0 }
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
        Self::through(move |shared| {
            let mut out = BufWriter::with_capacity(1 << 16, stream);
            let mut flushed = Instant::now();
            while let Some(events) = shared.take() {
                let is_sent = events.iter().all(|event| wire::send(&mut out, event).is_ok());
                if flushed.elapsed() > FLUSH_AFTER {
                    flushed = Instant::now();
                    if std::io::Write::flush(&mut out).is_err() {
                        return;
                    }
                }
                if !is_sent {
                    return;
                }
            }
            let _ = std::io::Write::flush(&mut out);
        })
    }

    /// Tells a listener in this process, on a thread of its own.
    pub fn to(mut listener: impl FnMut(Event) + Send + 'static) -> Self {
        Self::through(move |shared| {
            while let Some(events) = shared.take() {
                events.into_iter().for_each(&mut listener);
            }
        })
    }

    /// A queue that a thread empties.
    fn through(empty: impl FnOnce(&Shared) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("denan-tell".to_owned()).spawn(move || {
            // Done even if it panics: nobody is to wait for it.
            let _done = Done(&own);
            empty(&own);
        });
        match thread {
            Ok(_) => Self { shared: Some(shared), left_out: 0 },
            Err(_) => Self::silent(),
        }
    }

    /// No socket on this system.
    #[cfg(not(unix))]
    pub fn connect(_: &Path) -> Self {
        Self::silent()
    }

    /// Hands an event over. Steps and batches are left out when the queue is full.
    pub fn tell(&mut self, event: Event) {
        let Some(shared) = &self.shared else { return };
        let mut queue = shared.lock();
        if queue.is_done {
            drop(queue);
            self.shared = None;
            return;
        }
        let is_spare = matches!(event, Event::Step(_) | Event::Batch(_));
        let places = if is_spare { QUEUE } else { QUEUE + RESERVE };
        if queue.events.len() < places {
            queue.events.push_back(event);
        } else if is_spare {
            self.left_out += 1;
        }
        drop(queue);
        if !is_spare {
            shared.changed.notify_all();
        }
    }

    /// Sends what is still waiting; gives up after two seconds.
    pub fn finish(&mut self) {
        if self.left_out > 0 {
            let note =
                format!("{} steps are missing from the record: the disk could not keep up", self.left_out);
            self.tell(Event::Note(note));
        }
        let Some(shared) = self.shared.take() else { return };
        let mut queue = shared.lock();
        queue.is_closed = true;
        shared.changed.notify_all();
        let _ = shared.changed.wait_timeout_while(queue, LAST_EVENTS, |queue| !queue.is_done);
    }
}

impl Drop for Teller {
    /// The thread ends once it has sent what there is.
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.lock().is_closed = true;
            shared.changed.notify_all();
        }
    }
}

/// Says that nobody takes events any more.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_done = true;
        queue.events.clear();
        drop(queue);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Step;

    fn step(number: u64) -> Event {
        Event::Step(Step { step: number, ..Step::default() })
    }

    #[test]
    fn everything_arrives_in_order_before_the_end() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&heard);
        let mut teller = Teller::to(move |event| listener.lock().unwrap().push(event));
        for number in 0..1000 {
            teller.tell(step(number));
        }
        teller.finish();
        let expected: Vec<Event> = (0..1000).map(step).collect();
        assert_eq!(*heard.lock().unwrap(), expected);
    }

    #[test]
    fn a_listener_that_is_too_slow_costs_steps_and_nothing_else() {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&heard);
        let mut teller = Teller::to(move |event| {
            let _ = gate.recv();
            listener.lock().unwrap().push(event);
        });
        for number in 0..3 * QUEUE as u64 {
            teller.tell(step(number));
        }
        teller.tell(Event::ParametersLost);
        assert!(teller.left_out >= QUEUE as u64, "{}", teller.left_out);
        drop(open);
        teller.finish();
        let heard = heard.lock().unwrap();
        assert!(heard.contains(&Event::ParametersLost));
        assert!(matches!(heard.last(), Some(Event::Note(note)) if note.contains("steps are missing")));
    }

    #[test]
    fn nobody_waits_for_a_listener_that_is_gone() {
        let mut teller = Teller::to(|_| panic!("gone"));
        teller.tell(Event::ParametersLost);
        teller.finish();
        teller.tell(step(0));
    }
}
