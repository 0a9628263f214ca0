//! What was told and is not in the file yet.
//!
//! Steps that are thinned out before they were ever written cost no write: a training of thousands
//! of steps a second makes no more rows than the window holds.

use super::retention::{Forget, Limits, Retention};
use super::{graph, insert, parameter_rows};
use crate::event::Event;
use crate::model::{
    Act, Batch, Break, DataSeen, Ending, Forecast, Header, Optimizer, Parameter, Step, StepGraph,
};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;
use std::time::Instant;

/// Notes that are kept; an adapter that repeats itself does not fill the disk.
const MOST_NOTES: usize = 1000;
/// Acts of a guard that are kept.
const MOST_ACTS: usize = 4096;

#[derive(Debug)]
pub(super) struct Pending {
    /// When the oldest of it was told; `None` if there is nothing.
    since: Option<Instant>,
    /// Whether it contains what must not be lost.
    urgent: bool,
    header: Option<Header>,
    parameters: BTreeMap<u32, Parameter>,
    steps: BTreeMap<u64, Step>,
    batches: BTreeMap<u64, Vec<Batch>>,
    /// To be done before the steps and batches above are written.
    forget: Vec<Forget>,
    first_break: Option<Box<Break>>,
    broken: bool,
    graphs: Vec<StepGraph>,
    data: Vec<DataSeen>,
    /// Those that were averted have none.
    forecasts: BTreeMap<u32, Option<Forecast>>,
    parameters_lost: bool,
    notes: Vec<String>,
    notes_told: usize,
    acts: Vec<Act>,
    acts_told: usize,
    ending: Option<Ending>,
    optimizer: Option<Optimizer>,
    /// Newest step of which something may be in the file.
    newest_written: Option<u64>,
    retention: Retention,
}

impl Pending {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            since: None,
            urgent: false,
            header: None,
            parameters: BTreeMap::new(),
            steps: BTreeMap::new(),
            batches: BTreeMap::new(),
            forget: Vec::new(),
            first_break: None,
            broken: false,
            graphs: Vec::new(),
            data: Vec::new(),
            forecasts: BTreeMap::new(),
            parameters_lost: false,
            notes: Vec::new(),
            notes_told: 0,
            acts: Vec::new(),
            acts_told: 0,
            ending: None,
            optimizer: None,
            newest_written: None,
            retention: Retention::new(limits),
        }
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether it is worth a write of its own: the start, the break, the end.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent
    }

    pub(super) fn add(&mut self, event: Event) {
        self.since.get_or_insert_with(Instant::now);
        match event {
            Event::Started(header) => {
                self.urgent = true;
                self.header.get_or_insert(header);
            }
            Event::Parameter(parameter) => {
                self.parameters.insert(parameter.slot, parameter);
            }
            Event::Optimizer(optimizer) => {
                self.optimizer.get_or_insert(optimizer);
            }
            Event::Batch(batch) => {
                let forgotten = self.retention.add_batch(batch.step, batch.samples.len());
                self.batches.entry(batch.step).or_default().push(batch);
                self.forget(forgotten);
            }
            Event::Step(step) => {
                let forgotten = self.retention.add_step(step.step, parameter_rows(&step));
                self.steps.insert(step.step, step);
                self.forget(forgotten);
            }
            Event::Break(found) => {
                // The first is the one that counts.
                if !self.broken {
                    self.broken = true;
                    self.urgent = true;
                    self.retention.pin(found.step);
                    self.first_break = Some(found);
                }
            }
            // What another run has seen of it is told as a break once it is known.
            Event::Noticed { found, .. } => self.retention.pin(found.step),
            Event::Graph(graph) => self.graphs.push(*graph),
            Event::Data(data) => self.data = data,
            Event::Forecast(forecast) => {
                self.forecasts.insert(forecast.tensor, Some(forecast));
            }
            Event::Averted(tensor) => {
                self.forecasts.insert(tensor, None);
            }
            Event::ParametersLost => {
                self.urgent = true;
                self.parameters_lost = true;
            }
            // Of re-runs only, which are judged and not recorded; a tape is added to the finished record.
            Event::Intervened(_) | Event::Tape(_) | Event::Screened(_) => {}
            Event::Acted(act) => {
                self.acts_told += 1;
                if self.acts_told <= MOST_ACTS {
                    self.acts.push(*act);
                } else if self.acts_told == MOST_ACTS + 1 {
                    self.notes.push("there were more acts of the guard, which are not recorded".into());
                }
            }
            Event::Note(text) => {
                self.notes_told += 1;
                match self.notes_told {
                    ..=MOST_NOTES => self.notes.push(text),
                    more if more == MOST_NOTES + 1 => {
                        self.notes.push("there were more notes, which are not recorded".into());
                    }
                    _ => {}
                }
            }
            Event::Ended(ending) => {
                self.urgent = true;
                self.ending = Some(ending);
            }
        }
    }

    fn forget(&mut self, forgotten: Vec<Forget>) {
        for forget in forgotten {
            let step = match forget {
                Forget::Batches(step) => {
                    self.batches.remove(&step);
                    step
                }
                Forget::Parameters(step) => {
                    if let Some(step) = self.steps.get_mut(&step) {
                        step.parameters = Vec::new();
                    }
                    step
                }
                Forget::Step(step) => {
                    self.steps.remove(&step);
                    step
                }
            };
            if self.newest_written.is_some_and(|newest| step <= newest) {
                self.forget.push(forget);
            }
        }
    }

    /// Writes everything in one transaction. After an error all of it is still pending.
    pub(super) fn write(&mut self, db: &mut Connection) -> rusqlite::Result<()> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(header) = &self.header {
            insert::header(&transaction, header)?;
        }
        insert::parameters(&transaction, self.parameters.values())?;
        insert::forget(&transaction, &self.forget)?;
        insert::batches(&transaction, self.batches.values().flatten())?;
        insert::steps(&transaction, self.steps.values())?;
        if let Some(found) = &self.first_break {
            insert::first_break(&transaction, found)?;
        }
        for kept in &self.graphs {
            graph::insert_graph(&transaction, kept)?;
        }
        graph::insert_data(&transaction, &self.data)?;
        insert::forecasts(&transaction, &self.forecasts)?;
        if self.parameters_lost {
            transaction.execute("UPDATE break SET parameters_are_bad = 1", [])?;
        }
        insert::acts(&transaction, &self.acts)?;
        insert::notes(&transaction, &self.notes)?;
        if let Some(optimizer) = &self.optimizer {
            insert::optimizer(&transaction, optimizer)?;
        }
        if let Some(ending) = self.ending {
            insert::ending(&transaction, ending)?;
        }
        transaction.commit()?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        let newest_step = self.steps.last_key_value().map(|(step, _)| *step);
        let newest_batch = self.batches.last_key_value().map(|(step, _)| *step);
        self.newest_written = self.newest_written.max(newest_step).max(newest_batch);
        self.since = None;
        self.urgent = false;
        self.header = None;
        self.parameters.clear();
        self.steps.clear();
        self.batches.clear();
        self.forget.clear();
        self.first_break = None;
        self.graphs.clear();
        self.data.clear();
        self.forecasts.clear();
        self.parameters_lost = false;
        self.acts.clear();
        self.notes.clear();
        self.ending = None;
        self.optimizer = None;
    }
}
