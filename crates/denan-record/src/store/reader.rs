//! From the file back to the model.

use super::cell::{Bits, Direction, Quantity, Real, Sizes, Word};
use super::error::StoreError;
use super::file::{ReadError, with_reader};
use super::graph;
use super::schema::{APPLICATION_ID, SCHEMA_VERSION};
use crate::model::{
    Act, Batch, Break, Forecast, Header, Operation, Optimizer, Origin, Parameter, ParameterStep, Place, Rank,
    Run, Sample, Step, TensorSeen,
};
use denan_numerics::{Range, Summary};
use rusqlite::{Connection, OptionalExtension, Params, Result, Row};
use std::fs;
use std::io;
use std::path::Path;

/// Reads the whole of a record, as it is at one moment; the training may still be running.
///
/// Parameters come in the order of their slots, in the list as well as within a step.
///
/// # Errors
/// The file cannot be opened, is no record, is damaged, or was written by a newer denan; see
/// [`StoreError`].
pub fn read(path: &Path) -> std::result::Result<Run, StoreError> {
    reading(path, run)
}

/// Opens a record and reads something of it, as it is at one moment.
pub(super) fn reading<T>(
    path: &Path,
    what: impl Fn(&Connection) -> Result<T>,
) -> std::result::Result<T, StoreError> {
    // Looks at the name only; see the module `file` for why the file itself is left to SQLite.
    let metadata = fs::metadata(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    if metadata.is_dir() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(StoreError::Io { path: path.to_owned(), source });
    }
    with_reader(path, |db| {
        // One transaction sees one state, however often the writer commits meanwhile.
        let snapshot = db.unchecked_transaction()?;
        check_version(&snapshot, path)?;
        Ok(what(&snapshot)?)
    })
    .map_err(|error| match error {
        ReadError::Store(error) => error,
        ReadError::Sqlite(error) => StoreError::of(path, error),
    })
}

fn check_version(db: &Connection, path: &Path) -> std::result::Result<(), ReadError> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Err(ReadError::Store(StoreError::NotARecord { path: path.to_owned() }));
    }
    let found = pragma("user_version")?.cast_unsigned();
    if found > SCHEMA_VERSION {
        let path = path.to_owned();
        let error = StoreError::NewerSchema { path, found, known: SCHEMA_VERSION };
        return Err(ReadError::Store(error));
    }
    Ok(())
}

fn run(db: &Connection) -> Result<Run> {
    let has_graphs = graph::exist(db)?;
    let mut parameters = parameters(db)?;
    if has_graphs {
        graph::read_starts(db, &mut parameters)?;
    }
    Ok(Run {
        header: header(db)?,
        parameters,
        optimizer: optimizer(db)?,
        steps: steps(db)?,
        batches: batches(db)?,
        first_break: first_break(db)?,
        graphs: if has_graphs { graph::read_graphs(db)? } else { Vec::new() },
        data: if has_graphs { graph::read_data(db)? } else { Vec::new() },
        forecasts: if has_graphs { forecasts(db)? } else { Vec::new() },
        acts: acts(db)?,
        began_at: 0,
        intervened_at: None,
        notes: rows(db, "SELECT text FROM note ORDER BY id", [], |row| row.get(0))?,
        ending: db
            .query_row("SELECT ending FROM ending", [], |row| row.get("ending").map(word))
            .optional()?,
    })
}

fn header(db: &Connection) -> Result<Option<Header>> {
    db.query_row("SELECT * FROM header", [], |row| {
        Ok(Header {
            engine: row.get("engine")?,
            process_id: row.get("process_id")?,
            started_unix_ms: number(row, "started_unix_ms")?,
            seed: number(row, "seed")?,
            intervention: row.get("intervention")?,
            rank: rank(row),
        })
    })
    .optional()
}

/// Of one process among several. Records of the third version have no such columns.
fn rank(row: &Row<'_>) -> Option<Rank> {
    Some(Rank { number: row.get("rank").ok()?, of: row.get("ranks").ok()? })
}

fn optimizer(db: &Connection) -> Result<Option<Optimizer>> {
    db.query_row("SELECT * FROM optimizer", [], |row| {
        Ok(Optimizer { name: row.get("name")?, place: place(row, ["file", "line", "column", "function"])? })
    })
    .optional()
}

fn parameters(db: &Connection) -> Result<Vec<Parameter>> {
    rows(db, "SELECT * FROM parameter ORDER BY slot", [], |row| {
        Ok(Parameter {
            slot: row.get("slot")?,
            name: row.get("name")?,
            shape: sizes(row, "shape")?,
            dtype: row.get("dtype")?,
            first_use: place(row, ["file", "line", "column", "function"])?,
            first_update: None,
            initial: None,
            birth: None,
        })
    })
}

fn steps(db: &Connection) -> Result<Vec<Step>> {
    let mut steps = rows(db, "SELECT * FROM step ORDER BY step", [], |row| {
        Ok(Step {
            step: number(row, "step")?,
            loss: real(row, "loss")?,
            loss_bits: row.get::<_, Option<Bits>>("loss_bits")?.map(|bits| bits.0),
            learning_rate: real(row, "learning_rate")?,
            gradient_norm: real(row, "gradient_norm")?,
            weight_norm: real(row, "weight_norm")?,
            update_norm: real(row, "update_norm")?,
            largest_value: real(row, "largest_value")?,
            operations: number(row, "operations")?,
            elapsed_us: number(row, "elapsed_us")?,
            watching_us: number(row, "watching_us")?,
            // Records of the second version have no such column.
            carries_gradients: match row.as_ref().column_index("carries_gradients") {
                Ok(column) => row.get(column)?,
                Err(_) => None,
            },
            parameters: Vec::new(),
        })
    })?;
    // The one table with a great many rows: its columns are taken by number.
    let query = "SELECT step, slot, quantity, count, nan, pos_inf, neg_inf, zeros, subnormals, \
                 min, max, mean, m2 FROM parameter_step ORDER BY step, slot";
    let quantities = rows(db, query, [], |row| {
        let bits = |column: usize| row.get(column).map(|bits: Bits| bits.0);
        let real = |column: usize| row.get(column).map(|real: Real| real.0);
        let quantity: Quantity = row.get(2).map(word)?;
        let figures = Summary {
            count: bits(3)?,
            nan: bits(4)?,
            pos_inf: bits(5)?,
            neg_inf: bits(6)?,
            zeros: bits(7)?,
            subnormals: bits(8)?,
            min: real(9)?,
            max: real(10)?,
            mean: real(11)?,
            m2: real(12)?,
        };
        Ok((bits(0)?, row.get(1)?, quantity, figures))
    })?;
    // Both lists ascend by step, so one walk brings them together.
    let mut waiting = steps.iter_mut().peekable();
    for (step, slot, quantity, figures) in quantities {
        while waiting.next_if(|candidate| candidate.step < step).is_some() {}
        let Some(step) = waiting.peek_mut().filter(|candidate| candidate.step == step) else {
            continue;
        };
        if step.parameters.last().is_none_or(|last| last.slot != slot) {
            step.parameters.push(ParameterStep { slot, gradient: None, value: None, update: None });
        }
        let Some(parameter) = step.parameters.last_mut() else {
            continue;
        };
        *match quantity {
            Quantity::Gradient => &mut parameter.gradient,
            Quantity::Value => &mut parameter.value,
            Quantity::Update => &mut parameter.update,
        } = Some(figures);
    }
    Ok(steps)
}

fn batches(db: &Connection) -> Result<Vec<Batch>> {
    let mut samples = db.prepare("SELECT * FROM batch_sample WHERE batch = ?1 ORDER BY batch_row")?;
    rows(db, "SELECT * FROM batch ORDER BY step, batch", [], |row| {
        let batch: i64 = row.get("batch")?;
        Ok(Batch {
            step: number(row, "step")?,
            samples: samples.query_map([batch], sample)?.collect::<Result<_>>()?,
        })
    })
}

fn first_break(db: &Connection) -> Result<Option<Break>> {
    let mut trail = operations(db)?.into_iter();
    db.query_row("SELECT * FROM break", [], |row| {
        Ok(Break {
            step: number(row, "step")?,
            phase: row.get("phase").map(word)?,
            kind: row.get("kind").map(word)?,
            producer: trail.next().ok_or_else(|| no_such("producer of the break"))?,
            trail: trail.by_ref().collect(),
            origins: origins(db)?,
            samples: rows(db, "SELECT * FROM break_sample ORDER BY position", [], sample)?,
            batch_rows: rows(db, "SELECT * FROM break_row ORDER BY position", [], |row| {
                number(row, "batch_row")
            })?,
            loss_is_bad: row.get("loss_is_bad")?,
            parameters_are_bad: row.get("parameters_are_bad")?,
            // Records of the third version have no such column.
            in_evaluation: row.get("in_evaluation").unwrap_or(false),
        })
    })
    .optional()
}

fn operations(db: &Connection) -> Result<Vec<Operation>> {
    let tensors = |position: i64, direction: Direction| {
        rows(
            db,
            "SELECT * FROM break_tensor WHERE position = ?1 AND direction = ?2 ORDER BY argument",
            (position, Word(direction)),
            |row| {
                Ok(TensorSeen {
                    shape: sizes(row, "shape")?,
                    dtype: row.get("dtype")?,
                    range: range(row)?,
                    role: row.get("role").map(word)?,
                    parameter: row.get("parameter")?,
                    made_by: row.get("made_by")?,
                })
            },
        )
    };
    rows(db, "SELECT * FROM break_operation ORDER BY position", [], |row| {
        let position = row.get("position")?;
        Ok(Operation {
            sequence: number(row, "sequence")?,
            op: row.get("op")?,
            carried_out: row.get("carried_out")?,
            phase: row.get("phase").map(word)?,
            module: row.get("module")?,
            parameter: row.get("parameter")?,
            place: place(row, ["file", "line", "column", "function"])?,
            forward_place: place(
                row,
                ["forward_file", "forward_line", "forward_column", "forward_function"],
            )?,
            scalar: real(row, "scalar")?,
            inputs: tensors(position, Direction::Input)?,
            output: tensors(position, Direction::Output)?
                .pop()
                .ok_or_else(|| no_such("output of an operation"))?,
        })
    })
}

fn origins(db: &Connection) -> Result<Vec<Origin>> {
    rows(db, "SELECT * FROM origin ORDER BY origin", [], |row| {
        let origin: i64 = row.get("origin")?;
        let sample_index: Option<Bits> = row.get("sample_index")?;
        Ok(Origin {
            shape: sizes(row, "shape")?,
            position: sizes(row, "element")?,
            vector: rows(
                db,
                "SELECT value FROM origin_value WHERE origin = ?1 ORDER BY position",
                [origin],
                |row| row.get(0).map(|value: Real| value.0),
            )?,
            range: range(row)?,
            columns: rows(
                db,
                "SELECT * FROM origin_column WHERE origin = ?1 ORDER BY position",
                [origin],
                range,
            )?,
            batch_row: row.get::<_, Option<Bits>>("batch_row")?.map(|bits| bits.0),
            sample: sample_index.map(|_| sample(row)).transpose()?,
            place: place(row, ["file", "line", "column", "function"])?,
        })
    })
}

fn forecasts(db: &Connection) -> Result<Vec<Forecast>> {
    rows(db, "SELECT * FROM forecast ORDER BY step, tensor", [], |row| {
        Ok(Forecast {
            tensor: row.get("tensor")?,
            op: row.get("op")?,
            phase: row.get("phase").map(word)?,
            place: place(row, ["file", "line", "column", "function"])?,
            dtype: row.get("dtype")?,
            at: number(row, "at")?,
            largest: row.get::<_, Real>("largest")?.0,
            powers_left: row.get::<_, Real>("powers_left")?.0,
            powers_per_step: row.get::<_, Real>("powers_per_step")?.0,
            step: number(row, "step")?,
        })
    })
}

/// Records of the fourth version have no such table.
fn acts(db: &Connection) -> Result<Vec<Act>> {
    let exist = "SELECT count(*) FROM sqlite_schema WHERE name = 'act'";
    if db.query_row(exist, [], |row| row.get::<_, u32>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut samples = db.prepare("SELECT * FROM act_sample WHERE act = ?1 ORDER BY position")?;
    rows(db, "SELECT * FROM act ORDER BY id", [], |row| {
        let id: i64 = row.get("id")?;
        Ok(Act {
            step: number(row, "step")?,
            what: row.get("what").map(word)?,
            why: row.get("why")?,
            samples: samples.query_map([id], sample)?.collect::<Result<_>>()?,
            to: row.get::<_, Option<Bits>>("to_step")?.map(|bits| bits.0),
            factor: real(row, "factor")?,
            file: row.get("file")?,
        })
    })
}

fn rows<T>(
    db: &Connection,
    query: &str,
    params: impl Params,
    each: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    db.prepare(query)?.query_map(params, each)?.collect()
}

fn range(row: &Row<'_>) -> Result<Range> {
    Ok(Range {
        count: number(row, "count")?,
        nan: number(row, "nan")?,
        pos_inf: number(row, "pos_inf")?,
        neg_inf: number(row, "neg_inf")?,
        zeros: number(row, "zeros")?,
        min: row.get::<_, Real>("min")?.0,
        max: row.get::<_, Real>("max")?.0,
    })
}

fn sample(row: &Row<'_>) -> Result<Sample> {
    Ok(Sample { index: number(row, "sample_index")?, name: row.get("sample_name")? })
}

fn place(row: &Row<'_>, [file, line, column, function]: [&str; 4]) -> Result<Option<Place>> {
    let Some(file) = row.get(file)? else {
        return Ok(None);
    };
    let (line, column) = (row.get(line)?, row.get(column)?);
    Ok(Some(Place { file, line, column, function: row.get(function)? }))
}

fn number(row: &Row<'_>, column: &str) -> Result<u64> {
    row.get(column).map(|bits: Bits| bits.0)
}

fn real(row: &Row<'_>, column: &str) -> Result<Option<f64>> {
    row.get(column).map(|number: Option<Real>| number.map(|number| number.0))
}

fn sizes(row: &Row<'_>, column: &str) -> Result<Vec<u64>> {
    row.get(column).map(|sizes: Sizes| sizes.0)
}

fn word<T>(word: Word<T>) -> T {
    word.0
}

/// A row is missing that the writer always writes together with others.
fn no_such(what: &str) -> rusqlite::Error {
    let missing = io::Error::other(format!("no {what}"));
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, Box::new(missing))
}
