//! From the types of the model to rows.

use super::cell::{Bits, Direction, Quantity, Real, Sizes, Word};
use super::retention::Forget;
use crate::model::{
    Act, Batch, Break, Ending, Forecast, Header, Operation, Optimizer, Origin, Parameter, Place, Sample,
    Step, TensorSeen,
};
use denan_numerics::Summary;
use rusqlite::{Connection, Result, named_params, params};
use std::collections::BTreeMap;

pub(super) fn header(db: &Connection, header: &Header) -> Result<()> {
    db.execute(
        "INSERT OR IGNORE INTO header VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            header.engine,
            header.process_id,
            Bits(header.started_unix_ms),
            Bits(header.seed),
            header.intervention,
            header.rank.map(|rank| rank.number),
            header.rank.map(|rank| rank.of),
        ],
    )?;
    Ok(())
}

pub(super) fn parameters<'a>(db: &Connection, parameters: impl Iterator<Item = &'a Parameter>) -> Result<()> {
    let mut insert =
        db.prepare("INSERT OR REPLACE INTO parameter VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for parameter in parameters {
        let place = parameter.first_use.as_ref();
        insert.execute(params![
            parameter.slot,
            parameter.name,
            Sizes::text(&parameter.shape),
            parameter.dtype,
            place.map(|place| &place.file),
            place.map(|place| place.line),
            place.map(|place| place.column),
            place.and_then(|place| place.function.as_ref()),
        ])?;
        super::graph::insert_start(db, parameter)?;
    }
    Ok(())
}

pub(super) fn optimizer(db: &Connection, optimizer: &Optimizer) -> Result<()> {
    let place = optimizer.place.as_ref();
    db.execute(
        "INSERT OR IGNORE INTO optimizer VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        params![
            optimizer.name,
            place.map(|place| &place.file),
            place.map(|place| place.line),
            place.map(|place| place.column),
            place.and_then(|place| place.function.as_ref()),
        ],
    )?;
    Ok(())
}

pub(super) fn forget(db: &Connection, forget: &[Forget]) -> Result<()> {
    let mut samples =
        db.prepare("DELETE FROM batch_sample WHERE batch IN (SELECT batch FROM batch WHERE step = ?1)")?;
    let mut batches = db.prepare("DELETE FROM batch WHERE step = ?1")?;
    let mut parameters = db.prepare("DELETE FROM parameter_step WHERE step = ?1")?;
    let mut steps = db.prepare("DELETE FROM step WHERE step = ?1")?;
    for forget in forget {
        match *forget {
            Forget::Batches(step) => {
                samples.execute([Bits(step)])?;
                batches.execute([Bits(step)])?;
            }
            Forget::Parameters(step) => {
                parameters.execute([Bits(step)])?;
            }
            Forget::Step(step) => {
                steps.execute([Bits(step)])?;
            }
        }
    }
    Ok(())
}

pub(super) fn batches<'a>(db: &Connection, batches: impl Iterator<Item = &'a Batch>) -> Result<()> {
    let mut insert = db.prepare("INSERT INTO batch (step, size) VALUES (?1, ?2)")?;
    let mut insert_sample = db.prepare("INSERT INTO batch_sample VALUES (?1, ?2, ?3, ?4)")?;
    for batch in batches {
        insert.execute([Bits(batch.step), Bits(batch.samples.len() as u64)])?;
        let id = db.last_insert_rowid();
        for (row, sample) in (0u64..).zip(&batch.samples) {
            insert_sample.execute(params![id, Bits(row), Bits(sample.index), sample.name])?;
        }
    }
    Ok(())
}

pub(super) fn steps<'a>(db: &Connection, steps: impl Iterator<Item = &'a Step>) -> Result<()> {
    let mut insert =
        db.prepare("INSERT OR REPLACE INTO step VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
    // A step may be told again with fewer parameters.
    let mut clear = db.prepare("DELETE FROM parameter_step WHERE step = ?1")?;
    let mut insert_parameter = db.prepare(
        "INSERT OR REPLACE INTO parameter_step VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for step in steps {
        insert.execute(params![
            Bits(step.step),
            step.loss.map(Real),
            step.loss_bits.map(Bits),
            step.learning_rate.map(Real),
            step.gradient_norm.map(Real),
            step.weight_norm.map(Real),
            step.update_norm.map(Real),
            step.largest_value.map(Real),
            Bits(step.operations),
            Bits(step.elapsed_us),
            Bits(step.watching_us),
            step.carries_gradients,
        ])?;
        clear.execute([Bits(step.step)])?;
        for parameter in &step.parameters {
            let quantities: [(Quantity, Option<Summary>); 3] = [
                (Quantity::Gradient, parameter.gradient),
                (Quantity::Value, parameter.value),
                (Quantity::Update, parameter.update),
            ];
            for (quantity, figures) in quantities {
                let Some(figures) = figures else { continue };
                insert_parameter.execute(params![
                    Bits(step.step),
                    parameter.slot,
                    Word(quantity),
                    Bits(figures.count),
                    Bits(figures.nan),
                    Bits(figures.pos_inf),
                    Bits(figures.neg_inf),
                    Bits(figures.zeros),
                    Bits(figures.subnormals),
                    Real(figures.min),
                    Real(figures.max),
                    Real(figures.mean),
                    Real(figures.m2),
                ])?;
            }
        }
    }
    Ok(())
}

pub(super) fn first_break(db: &Connection, found: &Break) -> Result<()> {
    db.execute(
        "INSERT INTO break VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            Bits(found.step),
            Word(found.phase),
            Word(found.kind),
            found.loss_is_bad,
            found.parameters_are_bad,
            found.in_evaluation,
        ],
    )?;
    for (position, seen) in (0u64..).zip(std::iter::once(&found.producer).chain(&found.trail)) {
        operation(db, position, seen)?;
    }
    let mut insert_sample = db.prepare("INSERT INTO break_sample VALUES (?1, ?2, ?3)")?;
    for (position, sample) in (0u64..).zip(&found.samples) {
        insert_sample.execute(params![Bits(position), Bits(sample.index), sample.name])?;
    }
    let mut insert_row = db.prepare("INSERT INTO break_row VALUES (?1, ?2)")?;
    for (position, row) in (0u64..).zip(&found.batch_rows) {
        insert_row.execute([Bits(position), Bits(*row)])?;
    }
    for (position, element) in (0u64..).zip(&found.origins) {
        origin(db, position, element)?;
    }
    Ok(())
}

fn operation(db: &Connection, position: u64, seen: &Operation) -> Result<()> {
    fn file(place: Option<&Place>) -> Option<&String> {
        place.map(|place| &place.file)
    }
    fn function(place: Option<&Place>) -> Option<&String> {
        place.and_then(|place| place.function.as_ref())
    }
    let (place, forward) = (seen.place.as_ref(), seen.forward_place.as_ref());
    db.execute(
        "INSERT INTO break_operation VALUES (:position, :sequence, :op, :carried_out, :phase, \
         :module, :parameter, :file, :line, :column, :function, :forward_file, :forward_line, \
         :forward_column, :forward_function, :scalar)",
        named_params! {
            ":position": Bits(position),
            ":sequence": Bits(seen.sequence),
            ":op": seen.op,
            ":carried_out": seen.carried_out,
            ":phase": Word(seen.phase),
            ":module": seen.module,
            ":parameter": seen.parameter,
            ":file": file(place),
            ":line": place.map(|place| place.line),
            ":column": place.map(|place| place.column),
            ":function": function(place),
            ":forward_file": file(forward),
            ":forward_line": forward.map(|place| place.line),
            ":forward_column": forward.map(|place| place.column),
            ":forward_function": function(forward),
            ":scalar": seen.scalar.map(Real),
        },
    )?;
    for (argument, input) in (0u64..).zip(&seen.inputs) {
        tensor(db, position, Direction::Input, argument, input)?;
    }
    tensor(db, position, Direction::Output, 0, &seen.output)
}

fn tensor(
    db: &Connection,
    position: u64,
    direction: Direction,
    argument: u64,
    seen: &TensorSeen,
) -> Result<()> {
    db.execute(
        "INSERT INTO break_tensor VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            Bits(position),
            Word(direction),
            Bits(argument),
            Word(seen.role),
            seen.parameter,
            seen.made_by,
            Sizes::text(&seen.shape),
            seen.dtype,
            Bits(seen.range.count),
            Bits(seen.range.nan),
            Bits(seen.range.pos_inf),
            Bits(seen.range.neg_inf),
            Bits(seen.range.zeros),
            Real(seen.range.min),
            Real(seen.range.max),
        ],
    )?;
    Ok(())
}

fn origin(db: &Connection, position: u64, element: &Origin) -> Result<()> {
    let place = element.place.as_ref();
    let sample: Option<&Sample> = element.sample.as_ref();
    db.execute(
        "INSERT INTO origin VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        params![
            Bits(position),
            Sizes::text(&element.shape),
            Sizes::text(&element.position),
            element.batch_row.map(Bits),
            sample.map(|sample| Bits(sample.index)),
            sample.and_then(|sample| sample.name.as_ref()),
            place.map(|place| &place.file),
            place.map(|place| place.line),
            place.map(|place| place.column),
            place.and_then(|place| place.function.as_ref()),
            Bits(element.range.count),
            Bits(element.range.nan),
            Bits(element.range.pos_inf),
            Bits(element.range.neg_inf),
            Bits(element.range.zeros),
            Real(element.range.min),
            Real(element.range.max),
        ],
    )?;
    let mut insert_value = db.prepare("INSERT INTO origin_value VALUES (?1, ?2, ?3)")?;
    for (index, value) in (0u64..).zip(&element.vector) {
        insert_value.execute(params![Bits(position), Bits(index), Real(*value)])?;
    }
    let mut insert_column =
        db.prepare("INSERT INTO origin_column VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for (index, column) in (0u64..).zip(&element.columns) {
        insert_column.execute(params![
            Bits(position),
            Bits(index),
            Bits(column.count),
            Bits(column.nan),
            Bits(column.pos_inf),
            Bits(column.neg_inf),
            Bits(column.zeros),
            Real(column.min),
            Real(column.max),
        ])?;
    }
    Ok(())
}

/// Those without a forecast were averted.
pub(super) fn forecasts(db: &Connection, forecasts: &BTreeMap<u32, Option<Forecast>>) -> Result<()> {
    let mut insert = db.prepare(
        "INSERT OR REPLACE INTO forecast VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for (tensor, forecast) in forecasts {
        let Some(forecast) = forecast else {
            db.execute("DELETE FROM forecast WHERE tensor = ?1", [tensor])?;
            continue;
        };
        let place = forecast.place.as_ref();
        insert.execute(params![
            forecast.tensor,
            forecast.op,
            Word(forecast.phase),
            place.map(|place| &place.file),
            place.map(|place| place.line),
            place.map(|place| place.column),
            place.and_then(|place| place.function.as_ref()),
            forecast.dtype,
            Bits(forecast.at),
            Real(forecast.largest),
            Real(forecast.powers_left),
            Real(forecast.powers_per_step),
            Bits(forecast.step),
        ])?;
    }
    Ok(())
}

pub(super) fn acts(db: &Connection, acts: &[Act]) -> Result<()> {
    let mut insert = db.prepare(
        "INSERT INTO act (step, what, why, to_step, factor, file) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut insert_sample = db.prepare("INSERT INTO act_sample VALUES (?1, ?2, ?3, ?4)")?;
    for act in acts {
        insert.execute(params![
            Bits(act.step),
            Word(act.what),
            act.why,
            act.to.map(Bits),
            act.factor.map(Real),
            act.file,
        ])?;
        let id = db.last_insert_rowid();
        for (position, sample) in (0u64..).zip(&act.samples) {
            insert_sample.execute(params![id, Bits(position), Bits(sample.index), sample.name])?;
        }
    }
    Ok(())
}

pub(super) fn notes(db: &Connection, notes: &[String]) -> Result<()> {
    let mut insert = db.prepare("INSERT INTO note (text) VALUES (?1)")?;
    for note in notes {
        insert.execute([note])?;
    }
    Ok(())
}

pub(super) fn ending(db: &Connection, ending: Ending) -> Result<()> {
    db.execute("INSERT OR REPLACE INTO ending VALUES (1, ?1)", [Word(ending)])?;
    Ok(())
}
