//! Step graphs, what entered the engine, and how parameters began: to rows and back.

use super::cell::{Bits, Real, Sizes, Word};
use crate::model::{Birth, DataSeen, Extreme, Node, Parameter, Place, Rows, Sample, StepGraph, Window};
use denan_numerics::{Range, Summary};
use rusqlite::{Connection, OptionalExtension, Result, Row, ToSql, params};

/// Whether the file has these tables: those of the first version of the schema do not.
pub(super) fn exist(db: &Connection) -> Result<bool> {
    has_table(db, "graph")
}

/// Whether the file has a table of this name.
pub(super) fn has_table(db: &Connection, name: &str) -> Result<bool> {
    let table = db.query_row("SELECT 1 FROM sqlite_schema WHERE name = ?1", [name], |_| Ok(())).optional()?;
    Ok(table.is_some())
}

pub(super) fn insert_graph(db: &Connection, graph: &StepGraph) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO graph VALUES (?1, ?2, ?3)",
        params![Bits(graph.step), graph.producer, Bits(graph.left_out)],
    )?;
    db.execute("DELETE FROM graph_node WHERE step = ?1", [Bits(graph.step)])?;
    let mut insert = db.prepare(
        "INSERT INTO graph_node VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
         ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
    )?;
    for (number, node) in (0u64..).zip(&graph.nodes) {
        let place = node.place.and_then(|place| graph.places.get(place as usize));
        let inputs: Vec<u64> = node.inputs.iter().map(|&input| input.into()).collect();
        let values: Vec<u8> = node.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let row: [&dyn ToSql; 27] = [
            &Bits(graph.step),
            &Bits(number),
            &node.op,
            &node.call,
            &Word(node.phase),
            &node.scalar.map(Real),
            &node.window.as_ref().map(|window| Sizes::text(&window.kernel)),
            &node.window.as_ref().map(|window| Sizes::text(&window.stride)),
            &place.map(|place| &place.file),
            &place.map(|place| place.line),
            &place.map(|place| place.column),
            &place.and_then(|place| place.function.as_ref()),
            &Sizes::text(&inputs),
            &Sizes::text(&node.shape),
            &node.dtype,
            &Word(node.role),
            &node.slot,
            &node.is_new,
            &Bits(node.range.count),
            &Bits(node.range.nan),
            &Bits(node.range.pos_inf),
            &Bits(node.range.neg_inf),
            &Bits(node.range.zeros),
            &Real(node.range.min),
            &Real(node.range.max),
            &node.rows.map(|rows| Sizes::text(&[rows.first, rows.length])),
            &(!values.is_empty()).then_some(values),
        ];
        insert.execute(row)?;
    }
    Ok(())
}

pub(super) fn insert_data(db: &Connection, seen: &[DataSeen]) -> Result<()> {
    let mut insert = db.prepare(
        "INSERT OR REPLACE INTO data VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    let mut column = db.prepare(
        "INSERT OR REPLACE INTO data_column VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for (number, data) in (0u64..).zip(seen) {
        let (place, extreme) = (data.place.as_ref(), data.extreme.as_ref());
        let sample = extreme.and_then(|extreme| extreme.sample.as_ref());
        insert.execute(params![
            Bits(number),
            place.map(|place| &place.file),
            place.map(|place| place.line),
            place.map(|place| place.column),
            place.and_then(|place| place.function.as_ref()),
            Sizes::text(&data.shape),
            data.dtype,
            Bits(data.tensors),
            data.axis,
            extreme.map(|extreme| Real(extreme.value)),
            extreme.map(|extreme| Bits(extreme.column)),
            extreme.map(|extreme| Bits(extreme.step)),
            extreme.and_then(|extreme| extreme.row.map(Bits)),
            sample.map(|sample| Bits(sample.index)),
            sample.and_then(|sample| sample.name.as_ref()),
        ])?;
        for (position, figures) in (0u64..).zip(&data.columns) {
            let typical = data.typical.get(position as usize).copied();
            let mut row: Vec<Box<dyn ToSql>> = vec![Box::new(Bits(number)), Box::new(Bits(position))];
            row.push(Box::new(typical.map(Real)));
            row.extend(figures_to_cells(figures));
            column.execute(rusqlite::params_from_iter(row))?;
        }
    }
    Ok(())
}

pub(super) fn insert_start(db: &Connection, parameter: &Parameter) -> Result<()> {
    let figures = parameter.initial.unwrap_or(Summary::EMPTY);
    let mut row: Vec<Box<dyn ToSql>> = vec![
        Box::new(parameter.slot),
        Box::new(parameter.first_update.map(Bits)),
        Box::new(parameter.birth.map(|birth| birth.thread)),
        Box::new(parameter.birth.map(|birth| Bits(birth.operation))),
    ];
    row.extend(figures_to_cells(&figures));
    db.execute(
        "INSERT OR REPLACE INTO parameter_start VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
         ?13, ?14)",
        rusqlite::params_from_iter(row),
    )?;
    Ok(())
}

fn figures_to_cells(figures: &Summary) -> [Box<dyn ToSql>; 10] {
    [
        Box::new(Bits(figures.count)),
        Box::new(Bits(figures.nan)),
        Box::new(Bits(figures.pos_inf)),
        Box::new(Bits(figures.neg_inf)),
        Box::new(Bits(figures.zeros)),
        Box::new(Bits(figures.subnormals)),
        Box::new(Real(figures.min)),
        Box::new(Real(figures.max)),
        Box::new(Real(figures.mean)),
        Box::new(Real(figures.m2)),
    ]
}

pub(super) fn read_graphs(db: &Connection) -> Result<Vec<StepGraph>> {
    let mut query = db.prepare("SELECT step, left_out, producer FROM graph ORDER BY step")?;
    let graphs = query.query_map([], |row| {
        let (step, left_out): (Bits, Bits) = (row.get(0)?, row.get(1)?);
        let (nodes, places) = (Vec::new(), Vec::new());
        let mut graph =
            StepGraph { step: step.0, left_out: left_out.0, producer: row.get(2)?, nodes, places };
        let mut nodes = db.prepare("SELECT * FROM graph_node WHERE step = ?1 ORDER BY node")?;
        let mut rows = nodes.query([step])?;
        while let Some(row) = rows.next()? {
            let place = read_place(row)?.map(|place| number_of(&mut graph.places, place));
            graph.nodes.push(read_node(row, place)?);
        }
        Ok(graph)
    })?;
    graphs.collect()
}

fn number_of(places: &mut Vec<Place>, place: Place) -> u32 {
    let known = places.iter().position(|known| *known == place);
    known.unwrap_or_else(|| {
        places.push(place);
        places.len() - 1
    }) as u32
}

fn read_node(row: &Row<'_>, place: Option<u32>) -> Result<Node> {
    let sizes = |column: &str| row.get::<_, Option<Sizes>>(column).map(|sizes| sizes.map(|sizes| sizes.0));
    let bits = |column: &str| row.get::<_, Bits>(column).map(|bits| bits.0);
    let word = |column: &str| row.get(column).map(|word: Word<_>| word.0);
    let values: Option<Vec<u8>> = row.get("elements")?;
    let rows = sizes("batch_rows")?.and_then(|rows| match rows[..] {
        [first, length] => Some(Rows { first, length }),
        _ => None,
    });
    Ok(Node {
        op: row.get("op")?,
        call: row.get("call")?,
        phase: row.get("phase").map(|word: Word<_>| word.0)?,
        scalar: row.get::<_, Option<Real>>("scalar")?.map(|real| real.0),
        window: sizes("kernel")?.zip(sizes("stride")?).map(|(kernel, stride)| Window { kernel, stride }),
        place,
        inputs: sizes("inputs")?.unwrap_or_default().into_iter().map(|input| input as u32).collect(),
        shape: sizes("shape")?.unwrap_or_default(),
        dtype: row.get("dtype")?,
        role: word("role")?,
        slot: row.get("slot")?,
        is_new: row.get("is_new")?,
        range: Range {
            count: bits("count")?,
            nan: bits("nan")?,
            pos_inf: bits("pos_inf")?,
            neg_inf: bits("neg_inf")?,
            zeros: bits("zeros")?,
            min: row.get::<_, Real>("min")?.0,
            max: row.get::<_, Real>("max")?.0,
        },
        values: values
            .unwrap_or_default()
            .chunks_exact(8)
            .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("chunks of 8")))
            .collect(),
        rows,
    })
}

pub(super) fn read_data(db: &Connection) -> Result<Vec<DataSeen>> {
    let mut query = db.prepare("SELECT * FROM data ORDER BY data")?;
    let seen = query.query_map([], |row| {
        let number: Bits = row.get("data")?;
        let mut columns = Vec::new();
        let mut typical = Vec::new();
        let mut query = db.prepare("SELECT * FROM data_column WHERE data = ?1 ORDER BY position")?;
        let mut rows = query.query([number])?;
        while let Some(row) = rows.next()? {
            columns.push(read_figures(row)?);
            typical.extend(row.get::<_, Option<Real>>("typical")?.map(|real| real.0));
        }
        let index: Option<Bits> = row.get("sample_index")?;
        let name: Option<String> = row.get("sample_name")?;
        let extreme = row
            .get::<_, Option<Real>>("extreme")?
            .map(|value| -> Result<Extreme> {
                Ok(Extreme {
                    value: value.0,
                    column: row.get::<_, Bits>("extreme_column")?.0,
                    step: row.get::<_, Bits>("extreme_step")?.0,
                    // Records up to version 3 have no such column.
                    row: row.get::<_, Option<Bits>>("extreme_row").ok().flatten().map(|bits| bits.0),
                    sample: index.map(|index| Sample { index: index.0, name }),
                })
            })
            .transpose()?;
        Ok(DataSeen {
            place: read_place(row)?,
            shape: row.get::<_, Sizes>("shape")?.0,
            dtype: row.get("dtype")?,
            tensors: row.get::<_, Bits>("tensors")?.0,
            axis: row.get("axis")?,
            columns,
            typical,
            extreme,
        })
    })?;
    seen.collect()
}

/// Fills in how each parameter began.
pub(super) fn read_starts(db: &Connection, parameters: &mut [Parameter]) -> Result<()> {
    let mut query = db.prepare("SELECT * FROM parameter_start")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let slot: u32 = row.get("slot")?;
        let Some(parameter) = parameters.iter_mut().find(|parameter| parameter.slot == slot) else {
            continue;
        };
        parameter.first_update = row.get::<_, Option<Bits>>("first_update")?.map(|step| step.0);
        let thread: Option<u32> = row.get("thread")?;
        let operation: Option<Bits> = row.get("operation")?;
        parameter.birth =
            thread.zip(operation).map(|(thread, operation)| Birth { thread, operation: operation.0 });
        parameter.initial = Some(read_figures(row)?).filter(|figures| figures.count > 0);
    }
    Ok(())
}

fn read_figures(row: &Row<'_>) -> Result<Summary> {
    let bits = |column: &str| row.get::<_, Bits>(column).map(|bits| bits.0);
    let real = |column: &str| row.get::<_, Real>(column).map(|real| real.0);
    Ok(Summary {
        count: bits("count")?,
        nan: bits("nan")?,
        pos_inf: bits("pos_inf")?,
        neg_inf: bits("neg_inf")?,
        zeros: bits("zeros")?,
        subnormals: bits("subnormals")?,
        min: real("min")?,
        max: real("max")?,
        mean: real("mean")?,
        m2: real("m2")?,
    })
}

fn read_place(row: &Row<'_>) -> Result<Option<Place>> {
    let Some(file) = row.get("file")? else {
        return Ok(None);
    };
    let (line, column) = (row.get("line")?, row.get("column")?);
    Ok(Some(Place { file, line, column, function: row.get("function")? }))
}
