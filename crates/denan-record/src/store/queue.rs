//! The bounded queue between the training's side and the thread that writes.
//!
//! It is bounded by rows, not by events: one step of a large model is a thousand times the
//! step of a small one.

use super::rows_of;
use crate::event::Event;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Events on their way to the file.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Something came or the end did.
    filled: Condvar,
    /// Room came.
    emptied: Condvar,
    most_rows: usize,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Event>,
    rows: usize,
    closed: bool,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Queued,
    /// There was no room in time.
    Dropped,
    /// Nobody reads any more.
    Closed,
}

/// What there is to write.
#[derive(Debug)]
pub(super) enum Taken {
    /// All that came since the last time; empty if the time was up.
    Events(Vec<Event>),
    /// Nothing will come any more.
    End,
}

impl Queue {
    pub(super) fn new(most_rows: usize) -> Self {
        Self { inner: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new(), most_rows }
    }

    /// Puts an event in; waits for room, but no longer than told.
    ///
    /// Steps and batches are many and may be dropped. The rest is rare and makes a record
    /// understandable, so it gets in unless there is absurdly much of it.
    pub(super) fn put(&self, event: Event, patience: Duration) -> Put {
        let rows = rows_of(&event);
        let most_rows = match event {
            Event::Step(_) | Event::Batch(_) => self.most_rows,
            _ => self.most_rows.saturating_mul(2),
        };
        let full = |inner: &mut Inner| {
            !inner.closed && inner.rows > 0 && inner.rows.saturating_add(rows) > most_rows
        };
        let (mut inner, waited) = self
            .emptied
            .wait_timeout_while(self.lock(), patience, full)
            .unwrap_or_else(PoisonError::into_inner);
        if inner.closed {
            return Put::Closed;
        }
        if waited.timed_out() {
            return Put::Dropped;
        }
        inner.events.push(event);
        inner.rows += rows;
        self.filled.notify_one();
        Put::Queued
    }

    /// Takes everything there is; waits for it until the deadline, or for ever without one.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut inner = self.lock();
        while inner.events.is_empty() && !inner.closed {
            inner = match deadline {
                None => self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if inner.events.is_empty() && inner.closed {
            return Taken::End;
        }
        inner.rows = 0;
        let events = std::mem::take(&mut inner.events);
        self.emptied.notify_all();
        Taken::Events(events)
    }

    /// Nothing gets in any more; what is in can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// The contents are whole after every statement above, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Batch, Sample, Step};

    const NO_TIME: Duration = Duration::ZERO;

    fn batch(samples: u64) -> Event {
        let samples = (0..samples).map(|index| Sample { index, name: None }).collect();
        Event::Batch(Batch { step: 0, samples })
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let queue = Queue::new(100);
        for step in 0..5 {
            let event = Event::Step(Step { step, ..Step::default() });
            assert_eq!(queue.put(event, NO_TIME), Put::Queued);
        }
        let Taken::Events(events) = queue.take(None) else { panic!("an end without a close") };
        let steps: Vec<u64> = events
            .iter()
            .map(|event| match event {
                Event::Step(step) => step.step,
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(steps, [0, 1, 2, 3, 4]);
        queue.close();
        assert!(matches!(queue.take(None), Taken::End));
        assert_eq!(queue.put(batch(1), NO_TIME), Put::Closed);
    }

    #[test]
    fn a_full_queue_drops_the_many_and_keeps_the_rare() {
        let queue = Queue::new(10);
        assert_eq!(queue.put(batch(1000), NO_TIME), Put::Queued, "one event always has room");
        let before = Instant::now();
        assert_eq!(queue.put(batch(1), Duration::from_millis(20)), Put::Dropped);
        assert!(before.elapsed() < Duration::from_secs(5));

        let queue = Queue::new(10);
        assert_eq!(queue.put(batch(9), NO_TIME), Put::Queued);
        assert_eq!(queue.put(batch(1), NO_TIME), Put::Dropped);
        for _ in 0..10 {
            assert_eq!(queue.put(Event::ParametersLost, NO_TIME), Put::Queued);
        }
        assert_eq!(queue.put(Event::ParametersLost, NO_TIME), Put::Dropped);
    }

    #[test]
    fn a_waiting_writer_of_events_goes_on_when_there_is_room() {
        let queue = Queue::new(10);
        queue.put(batch(9), NO_TIME);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.put(batch(9), Duration::from_secs(60)));
            assert!(matches!(queue.take(None), Taken::Events(events) if events.len() == 1));
            assert_eq!(waiting.join().unwrap(), Put::Queued);
        });
    }

    #[test]
    fn taking_ends_at_the_deadline() {
        let queue = Queue::new(10);
        let deadline = Instant::now() + Duration::from_millis(10);
        assert!(matches!(queue.take(Some(deadline)), Taken::Events(events) if events.is_empty()));
    }
}
