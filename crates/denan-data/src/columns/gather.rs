//! Takes in the values that a reader finds in a file.

use super::bars::{AllBars, Bars};
use super::classes::Classes;
use super::column::Column;
use super::hits::{Hit, HitList, Hits};
use super::look::{Look, Number};
use super::part::{Layout, Note, Part, Schema, Shape, Table};
use super::samples::{self, Sample, WHOLE};
use super::{Operation, Options, is_target};
use crate::checks::{self, About};
use crate::listing::DataFile;
use crate::picture::Levels;
use crate::readers::Values;
use denan_numerics::{Element, Tally, tally_columns};
use half::{bf16, f16};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values that are gone through at once: where they are looked at again, they lie in a near cache still.
const BLOCK: usize = 1 << 18;

/// Values that are gone through without a way out in between.
const CHUNK: usize = 256;

/// Takes in what a reader finds in one file, or in a piece of one; makes a [`Part`] of it.
pub(crate) struct Gather<'a> {
    options: &'a Options,
    bars: &'a AllBars,
    file: u32,
    about: &'a DataFile,
    open: Vec<Open>,
    part: Part,
    /// Of each check, how often it said something of the file.
    noted: BTreeMap<String, u64>,
}

/// Position of a table in a [`Gather`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableId(usize);

/// A table that is read.
struct Open {
    table: Table,
    tallies: Vec<Tallies>,
    bars: Arc<[Bars]>,
    hits: Hits,
    /// Of each column what the training does to it.
    operations: Vec<Vec<Operation>>,
    /// Values of an array so far.
    values: u64,
    /// Hashes the rows of an array, once their type is known, where they are compared.
    rows: Option<Option<samples::Rows>>,
    /// Of an array of targets, those of the latest sample that count, and those that do not.
    targets: [u64; 2],
}

/// Tallies of columns of one type.
pub(super) enum Tallies {
    F16(Vec<Tally<f16>>),
    Bf16(Vec<Tally<bf16>>),
    F32(Vec<Tally<f32>>),
    F64(Vec<Tally<f64>>),
    None,
}

/// Rows of some cells.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// One after the other from this on.
    From(u64),
    /// Each one's, relative to this.
    Listed(u64, &'a [u32]),
}

impl Rows<'_> {
    /// That of a cell by its position.
    pub(crate) fn of(self, position: usize) -> u64 {
        match self {
            Self::From(first) => first + position as u64,
            Self::Listed(first, rows) => first + u64::from(rows[position]),
        }
    }
}

impl<'a> Gather<'a> {
    /// For the file at this position of the listing.
    /// `about`: that file.
    pub(crate) fn new(options: &'a Options, bars: &'a AllBars, file: u32, about: &'a DataFile) -> Self {
        Self { options, bars, file, about, open: Vec::new(), part: Part::default(), noted: BTreeMap::new() }
    }

    /// A table or array of the file, new or the one that it goes on with. `layout` says of what type and shape it is in words, where files of one group should agree.
    pub(crate) fn table(&mut self, schema: &Arc<Schema>, layout: Option<String>) -> TableId {
        if let Some(same) = self.open.iter().position(|open| open.table.schema == *schema) {
            return TableId(same);
        }
        let target = self.options.target.as_deref();
        let is_target: Vec<bool> =
            schema.columns.iter().map(|column| is_target(schema, column, target)).collect();
        let column =
            |is_target: &bool| Column { classes: is_target.then(Classes::default), ..Column::default() };
        let layouts =
            layout.map(|layout| (layout, Layout { files: 1, first: vec![self.file] })).into_iter().collect();
        let table = Table {
            schema: schema.clone(),
            file: self.file,
            files: 1,
            rows: 0,
            columns: is_target.iter().map(column).collect(),
            layouts,
        };
        let operations =
            schema.columns.iter().map(|column| self.options.operations_of(schema, column)).collect();
        let groups = if schema.shape == Shape::Table { schema.columns.len() } else { 1 };
        let tallies = (0..groups).map(|_| Tallies::None).collect();
        self.open.push(Open {
            table,
            tallies,
            bars: self.bars.of(schema),
            hits: Hits::default(),
            operations,
            values: 0,
            rows: None,
            targets: [0; 2],
        });
        TableId(self.open.len() - 1)
    }

    /// The next values of an array, in the order of memory (row-major).
    pub(crate) fn array(&mut self, id: TableId, values: Values<'_>) {
        let open = &mut self.open[id.0];
        let columns = open.table.columns.len();
        let (size, bytes) = values.bytes();
        if let Some(rows) = open.rows.get_or_insert_with(|| samples::Rows::of(&open.table, self.about, size))
        {
            rows.take(bytes);
        }
        self.numbers(id, 0..columns, values, None);
    }

    /// Numbers in a column of a table.
    pub(crate) fn cells(&mut self, id: TableId, column: usize, values: Values<'_>, rows: Rows<'_>) {
        self.numbers(id, column..column + 1, values, Some(rows));
    }

    /// A cell without a value.
    pub(crate) fn missing(&mut self, id: TableId, column: usize, row: u64) {
        self.missing_rows(id, column, row..row + 1);
    }

    /// A cell without a value in each of these rows.
    pub(crate) fn missing_rows(&mut self, id: TableId, column: usize, rows: std::ops::Range<u64>) {
        let count = rows.end.saturating_sub(rows.start);
        if count > 0 {
            let open = &mut self.open[id.0];
            open.table.columns[column].missing += count;
            open.hit(checks::MISSING_VALUE, column, rows.start, count, None, self.options.most_listed);
        }
    }

    /// A cell with something else than a number.
    pub(crate) fn text(&mut self, id: TableId, column: usize, row: u64, text: &str) {
        /// Characters of a text that are shown.
        const MOST: usize = 40;
        let open = &mut self.open[id.0];
        open.table.columns[column].texts += 1;
        let text: String = text.chars().take(MOST).collect();
        open.hit(checks::TEXT_IN_NUMBERS, column, row, 1, Some(text.into()), self.options.most_listed);
    }

    /// An image, with the levels of its channels.
    pub(crate) fn image(&mut self, schema: &Arc<Schema>, channels: Vec<Levels>) -> TableId {
        let id = self.table(schema, Some(schema.name.clone()));
        let table = &mut self.open[id.0].table;
        table.rows += 1;
        for (column, levels) in table.columns.iter_mut().zip(channels) {
            match &mut column.levels {
                Some(own) => own.merge(levels),
                own => *own = Some(levels),
            }
        }
        id
    }

    /// How many rows a table has had.
    pub(crate) fn rows(&mut self, id: TableId, rows: u64) {
        self.open[id.0].table.rows = rows;
    }

    /// Something a check says of the file.
    pub(crate) fn note(&mut self, check: &str, message: impl Into<String>) {
        /// Notes of one check that are kept; one more counts the others.
        const MOST: u64 = 1000;
        let noted = self.noted.entry(check.to_owned()).or_default();
        *noted += 1;
        let message = if *noted > MOST { "the same of others in it".to_owned() } else { message.into() };
        if *noted > MOST + 1 {
            let last = self.part.notes.iter_mut().rev().find(|note| note.check == check);
            last.into_iter().for_each(|note| note.times += 1);
        } else {
            self.part.notes.push(Note { check: check.to_owned(), file: self.file, message, times: 1 });
        }
    }

    /// Something in the file is not read, which is no fault of it.
    pub(crate) fn unread(&mut self, what: String) {
        self.part.unread.push((self.file, what));
    }

    /// A sample is an image with these contents; `row`: which one of the file, if it holds several.
    pub(crate) fn sample(&mut self, id: TableId, row: Option<u64>, hash: u128) {
        let sample = Sample { hash, file: self.file, table: id.0 as u32, row: row.unwrap_or(WHOLE) };
        self.part.samples.push(sample);
    }

    /// What has been taken in.
    pub(crate) fn finish(self) -> Part {
        let Self { options, file, open, mut part, .. } = self;
        let mut hits = HitList::default();
        for (position, mut open) in open.into_iter().enumerate() {
            let columns = open.table.columns.iter_mut();
            let figures = open.tallies.iter().flat_map(Tallies::figures);
            columns.zip(figures).for_each(|(column, figures)| column.figures = figures);
            let table = position as u32;
            let rows = open.rows.flatten().into_iter().flat_map(|rows| rows.found);
            part.samples.extend(rows.map(|(hash, row)| Sample { hash, file, table, row }));
            hits.push(file, table, open.hits.into_vec(), options.most_listed);
            part.tables.push(open.table);
        }
        part.hits = hits;
        part
    }

    fn numbers(
        &mut self,
        id: TableId,
        columns: std::ops::Range<usize>,
        values: Values<'_>,
        rows: Option<Rows<'_>>,
    ) {
        let Self { options, file, open, .. } = self;
        let open = &mut open[id.0];
        let mut go = Block { options, file: *file, open, columns, rows };
        match values {
            Values::F16(values) => go.through(values),
            Values::Bf16(values) => go.through(values),
            Values::F32(values) => go.through(values),
            Values::F64(values) => go.through(values),
            Values::I8(values) => go.widened::<_, f32>(values),
            Values::U8(values) => go.widened::<_, f32>(values),
            Values::I16(values) => go.widened::<_, f32>(values),
            Values::U16(values) => go.widened::<_, f32>(values),
            Values::I32(values) => go.widened::<_, f64>(values),
            Values::U32(values) => go.widened::<_, f64>(values),
            Values::I64(values) => go.wide(values, |value| *value as f64),
            Values::U64(values) => go.wide(values, |value| *value as f64),
        }
    }
}

impl Open {
    /// Cells without a number fail a check.
    fn hit(&mut self, check: u8, column: usize, row: u64, rows: u64, text: Option<Box<str>>, most: u64) {
        *self.table.columns[column].failed.entry(check).or_default() += rows;
        let hit = Hit { check, column: column as u32, row, rows, values: rows, value: f64::NAN, text };
        self.hits.add(hit, most);
    }
}

/// Values that come in for some columns of a table.
struct Block<'a> {
    options: &'a Options,
    file: u32,
    open: &'a mut Open,
    columns: std::ops::Range<usize>,
    rows: Option<Rows<'a>>,
}

impl Block<'_> {
    /// Integers, as the type that has each of them.
    fn widened<I: Copy + Into<T>, T: Number>(&mut self, values: &[I]) {
        self.wide(values, |value| (*value).into());
    }

    fn wide<I, T: Number>(&mut self, values: &[I], widen: impl Fn(&I) -> T) {
        let mut wide: Vec<T> = Vec::with_capacity(values.len().min(BLOCK));
        let mut done = 0;
        for block in values.chunks(BLOCK) {
            wide.clear();
            wide.extend(block.iter().map(&widen));
            self.block(&wide, done);
            done += block.len();
        }
    }

    fn through<T: Number>(&mut self, values: &[T]) {
        let mut done = 0;
        for block in values.chunks(BLOCK) {
            self.block(block, done);
            done += block.len();
        }
    }

    /// `done`: how many of the values that came in have been gone through.
    fn block<T: Number>(&mut self, values: &[T], done: usize) {
        let Open { table, tallies, bars, hits, operations, values: so_far, targets, .. } = &mut *self.open;
        let count = self.columns.len();
        let (inner, row) = match table.schema.shape {
            Shape::Array { inner, row, .. } => (inner, row),
            _ => (1, 1),
        };
        let period = count * inner;
        let phase = if count == 1 { 0 } else { (*so_far % period as u64) as usize };
        let tallies = &mut tallies[if table.schema.shape == Shape::Table { self.columns.start } else { 0 }];
        let tallies = T::tallies(tallies, count);
        tally_columns(values, phase, inner, tallies);
        let look = Look { options: self.options, file: self.file, most: table.schema.most_extremes() };
        // Where columns take turns value by value, they are gone through together.
        let is_mixed = count > 1 && inner == 1;
        let mut sides = vec![[f64::NEG_INFINITY, f64::INFINITY]; if is_mixed { count } else { 0 }];
        let mut is_beyond = false;
        for (position, tally) in tallies.iter().enumerate() {
            let column = self.columns.start + position;
            let summary = tally.last();
            let lane = Lane { values, phase, inner, column: position, columns: count };
            let start = *so_far;
            let rows = self.rows;
            let row_of = |position: usize| row_of(rows, done, start, row, position);
            let operations = &operations[column];
            let own = &mut table.columns[column];
            let is_target = own.classes.is_some();
            let about = About { options: self.options, is_target, operations };
            let mut found = look.at(&summary, &lane, own, &about, &row_of);
            match look.beyond(&summary, own, &bars[column]) {
                Some(beyond) if is_mixed => (sides[position], is_beyond) = (beyond, true),
                Some(mut beyond) => lane.each_beyond(&mut beyond, |at, value, sides| {
                    look.take(value, sides, &|| row_of(at), own)
                }),
                None => {}
            }
            if is_target && row > 1 && position == 0 {
                // A sample has places in all columns.
                let all = Lane { values, phase: 0, inner: 1, column: 0, columns: 1 };
                found.extend(without_target(&all, start, row, targets, self.options));
            }
            for (check, row, value) in found {
                let hit = Hit { check, column: column as u32, row, rows: 1, values: 1, value, text: None };
                *table.columns[column].failed.entry(check).or_default() += 1;
                hits.add(hit, self.options.most_listed);
            }
        }
        if is_beyond {
            let (start, rows) = (*so_far, self.rows);
            each_beyond_in_rows(values, phase, &mut sides, |at, column, value, sides| {
                let row = || row_of(rows, done, start, row, at);
                look.take(value, sides, &row, &mut table.columns[self.columns.start + column])
            });
        }
        *so_far += values.len() as u64;
        if self.rows.is_none() {
            table.rows = so_far.div_ceil(row as u64);
        }
    }
}

/// The row of a value of a block by its position: of cells their own, of an array by the `row` values that each row has.
fn row_of(rows: Option<Rows<'_>>, done: usize, start: u64, row: usize, position: usize) -> u64 {
    match rows {
        Some(rows) => rows.of(done + position),
        None => (start + position as u64) / row as u64,
    }
}

/// Hands on values that may be beyond the sides of their column, with their position, column and those sides; says whether these have changed.
/// Columns take turns, and the first value is of column `phase`.
fn each_beyond_in_rows<T: Number>(
    values: &[T],
    phase: usize,
    sides: &mut [[f64; 2]],
    mut take: impl FnMut(usize, usize, f64, &mut [f64; 2]) -> bool,
) {
    let columns = sides.len();
    let length = columns * (CHUNK / columns).max(1);
    let bars = (0..length).map(|at| T::bars(sides[(phase + at) % columns]));
    let (mut low, mut high): (Vec<T::Bar>, Vec<T::Bar>) = bars.map(|[low, high]| (low, high)).unzip();
    for (number, chunk) in values.chunks(length).enumerate() {
        let is_beyond = |any: bool, (value, (low, high)): (&T, (&T::Bar, &T::Bar))| {
            any | (value.bar() <= *low) | (value.bar() >= *high)
        };
        if !chunk.iter().zip(low.iter().zip(&high)).fold(false, is_beyond) {
            continue;
        }
        for (at, value) in chunk.iter().enumerate() {
            if value.bar() > low[at] && value.bar() < high[at] {
                continue;
            }
            let column = (phase + at) % columns;
            if take(number * length + at, column, value.value(), &mut sides[column]) {
                let [below, above] = T::bars(sides[column]);
                for same in (at % columns..length).step_by(columns) {
                    (low[same], high[same]) = (below, above);
                }
            }
        }
    }
}

/// Samples of an array of targets in which none counts. `so_far`: how many of the latest sample did, and did not.
fn without_target<T: Number>(
    lane: &Lane<'_, T>,
    start: u64,
    row: usize,
    so_far: &mut [u64; 2],
    options: &Options,
) -> Vec<(u8, u64, f64)> {
    let mut found = Vec::new();
    lane.each(|position, value| {
        so_far[usize::from(options.is_ignored(value))] += 1;
        if so_far[0] + so_far[1] == row as u64 {
            if so_far[0] == 0 {
                found.push((checks::NO_VALID_TARGET, (start + position as u64) / row as u64, value));
            }
            *so_far = [0; 2];
        }
    });
    found
}

/// The values of one column in a block in which columns take turns.
pub(super) struct Lane<'a, T> {
    values: &'a [T],
    phase: usize,
    inner: usize,
    column: usize,
    columns: usize,
}

impl<T: Number> Lane<'_, T> {
    /// Hands on each value with its position in the block.
    pub(super) fn each(&self, mut take: impl FnMut(usize, f64)) {
        for (from, to) in self.runs() {
            (from..to).for_each(|position| take(position, self.values[position].value()));
        }
    }

    /// Whether any value is so; quick where it is not.
    pub(super) fn any(&self, is_so: impl Fn(f64) -> bool + Copy) -> bool {
        // Without a way out in between, the loop over a few hundred values takes several at once.
        let in_run = |(from, to): (usize, usize)| {
            let mut chunks = self.values[from..to].chunks(CHUNK);
            chunks.any(|chunk| chunk.iter().fold(false, |any, value| any | is_so(value.value())))
        };
        self.runs().any(in_run)
    }

    /// Hands on values that may be beyond these sides, with their positions and those sides; quick where there are few.
    pub(super) fn each_beyond(
        &self,
        sides: &mut [f64; 2],
        mut take: impl FnMut(usize, f64, &mut [f64; 2]) -> bool,
    ) {
        let [mut low, mut high] = T::bars(*sides);
        for (from, to) in self.runs() {
            for (number, chunk) in self.values[from..to].chunks(CHUNK).enumerate() {
                let is_beyond = |any: bool, value: &T| any | (value.bar() <= low) | (value.bar() >= high);
                if !chunk.iter().fold(false, is_beyond) {
                    continue;
                }
                for (position, value) in chunk.iter().enumerate() {
                    let is_within = value.bar() > low && value.bar() < high;
                    if !is_within && take(from + number * CHUNK + position, value.value(), sides) {
                        [low, high] = T::bars(*sides);
                    }
                }
            }
        }
    }

    /// Hands on each value that is so, with its position; quick where few are.
    pub(super) fn each_that(&self, is_so: impl Fn(f64) -> bool + Copy, mut take: impl FnMut(usize, f64)) {
        if self.inner == 1 && self.columns > 1 {
            let first = (self.column + self.columns - self.phase) % self.columns;
            for position in (first..self.values.len()).step_by(self.columns) {
                let value = self.values[position].value();
                if is_so(value) {
                    take(position, value);
                }
            }
            return;
        }
        for (from, to) in self.runs() {
            for (number, chunk) in self.values[from..to].chunks(CHUNK).enumerate() {
                if !chunk.iter().fold(false, |any, value| any | is_so(value.value())) {
                    continue;
                }
                for (position, value) in chunk.iter().enumerate() {
                    if is_so(value.value()) {
                        take(from + number * CHUNK + position, value.value());
                    }
                }
            }
        }
    }

    /// Where the column's values follow each other, from the first to before the last.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> {
        let end = self.values.len();
        let (inner, period, begin) = if self.columns == 1 {
            (end.max(1), end.max(1), 0)
        } else {
            let period = self.columns * self.inner;
            (self.inner, period, self.column * self.inner)
        };
        // The first run may have begun before the block.
        let phase = if self.columns == 1 { 0 } else { self.phase };
        let first = begin as isize - phase as isize;
        let first = if first + inner as isize <= 0 { first + period as isize } else { first };
        (0..)
            .map(move |run: isize| first + run * period as isize)
            .take_while(move |run| *run < end as isize)
            .map(move |run| (run.max(0) as usize, ((run + inner as isize) as usize).min(end)))
    }
}

impl Tallies {
    fn figures(&self) -> Vec<denan_numerics::Figures> {
        fn of<T: Element>(tallies: &[Tally<T>]) -> Vec<denan_numerics::Figures> {
            tallies.iter().map(Tally::figures).collect()
        }
        match self {
            Self::F16(tallies) => of(tallies),
            Self::Bf16(tallies) => of(tallies),
            Self::F32(tallies) => of(tallies),
            Self::F64(tallies) => of(tallies),
            Self::None => vec![denan_numerics::Figures::default()],
        }
    }
}

macro_rules! tallied {
    ($($type:ty, $variant:ident);*) => {
        $(impl InTallies for $type {
            fn tallies(tallies: &mut Tallies, count: usize) -> &mut [Tally<Self>] {
                if !matches!(tallies, Tallies::$variant(_)) {
                    *tallies = Tallies::$variant((0..count).map(|_| Tally::new()).collect());
                }
                match tallies {
                    Tallies::$variant(tallies) => tallies,
                    _ => unreachable!("it has just become that"),
                }
            }
        })*
    };
}

/// A type that has its variant of [`Tallies`].
pub(super) trait InTallies: Sized + Element {
    /// Those of this type: a table's or array's values are of one type all through.
    fn tallies(tallies: &mut Tallies, count: usize) -> &mut [Tally<Self>];
}

tallied!(f16, F16; bf16, Bf16; f32, F32; f64, F64);
