//! Makes columns of numbers from a seed: clean ones, and such with faults and the list of them.

use crate::faults::Fault;
use half::{bf16, f16};
use std::collections::BTreeMap;

/// Numbers that look random, the same of a seed wherever they are made (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Above 0 and below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// How many of events that come once in a unit of time come in `time`.
    fn count(&mut self, time: f64) -> f64 {
        let mut left = time;
        let mut count = 0.0;
        loop {
            left -= self.exponential();
            if left < 0.0 {
                return count;
            }
            count += 1.0;
        }
    }
}

/// The type of the elements of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    F16,
    Bf16,
    F32,
    F64,
}

impl Type {
    /// The nearest value that it has.
    pub(crate) fn round(self, value: f64) -> f64 {
        match self {
            Self::F16 => f16::from_f64(value).to_f64(),
            Self::Bf16 => bf16::from_f64(value).to_f64(),
            Self::F32 => f64::from(value as f32),
            Self::F64 => value,
        }
    }

    /// The bytes of a value, the least significant first.
    pub(crate) fn bytes(self, value: f64) -> Vec<u8> {
        match self {
            Self::F16 => f16::from_f64(value).to_le_bytes().into(),
            Self::Bf16 => bf16::from_f64(value).to_le_bytes().into(),
            Self::F32 => (value as f32).to_le_bytes().into(),
            Self::F64 => value.to_le_bytes().into(),
        }
    }
}

/// A column of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
    /// Cells that hold no number, by row: nothing, or a text.
    pub(crate) odd: BTreeMap<usize, Option<&'static str>>,
}

fn column(name: &str, rows: usize, mut value: impl FnMut(usize) -> f64) -> Column {
    Column { name: name.to_owned(), values: (0..rows).map(&mut value).collect(), odd: BTreeMap::new() }
}

/// Columns as data sets have them, in which nothing is wrong. The last is one of labels.
pub(crate) fn clean(rows: usize, seed: u64, kind: Type) -> Vec<Column> {
    let random = &mut Random(seed);
    let mut columns = vec![
        column("normal", rows, |_| 3.0 + 2.0 * random.normal()),
        column("centred", rows, |_| random.normal()),
        column("uniform", rows, |_| 10.0 * random.unit() - 5.0),
        column("lognormal", rows, |_| (0.5 * random.normal()).exp()),
        column("exponential", rows, |_| random.exponential()),
        column("count", rows, |_| random.count(4.0)),
        column("rare_count", rows, |row| random.count(0.3) + if row < 2 { row as f64 } else { 0.0 }),
        column("whole", rows, |_| random.below(41) as f64 - 20.0),
        column("one_hot", rows, |row| if row % 10 == 3 { 1.0 } else { 0.0 }),
        column("sparse", rows, |row| if row % 17 == 5 { 5.0 + random.normal() } else { 0.0 }),
        column("id", rows, |row| (row % 500) as f64),
        column("day", rows, |_| 1.0 + random.below(366) as f64),
        column("probability", rows, |_| 0.01 + 0.98 * random.unit()),
        column("signed_zero", rows, |row| if row % 2 == 0 { -0.0 } else { random.unit() }),
    ];
    // Brought to 0 to 1, both of which it has.
    let raw: Vec<f64> = (0..rows).map(|_| random.normal()).collect();
    let min = raw.iter().copied().fold(f64::INFINITY, f64::min);
    let max = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    columns.push(column("scaled", rows, |row| (raw[row] - min) / (max - min)));
    columns.push(column("label", rows, |row| (row % 4) as f64));
    for value in columns.iter_mut().flat_map(|column| &mut column.values) {
        *value = kind.round(*value);
    }
    columns
}

/// Whether cells may hold something else than numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    /// Numbers only.
    Numbers,
    /// Nothing as well.
    Nothing,
    /// Nothing, and texts.
    Texts,
}

/// The same columns with every fault that the type and the cells allow, and the list of them. The labels are out of four
/// classes.
pub(crate) fn dirty(rows: usize, seed: u64, kind: Type, cells: Cells) -> (Vec<Column>, Vec<Fault>) {
    let mut columns = clean(rows, seed, kind);
    let mut faults = Vec::new();
    let random = &mut Random(seed ^ 0xfa17);
    let mut row = |place: usize| (place * rows / 8) + random.below(rows / 8);
    let places: Vec<usize> = (0..8).map(&mut row).collect();
    {
        let mut plant = |name: &str, row: usize, value: f64, rules: &[&'static str]| {
            let own = columns.iter_mut().find(|column| column.name == name).unwrap();
            own.values[row] = kind.round(value);
            faults.extend(
                rules.iter().map(|rule| Fault::new(rule).at(row).column(name).value(own.values[row])),
            );
        };
        plant("normal", places[0], f64::NAN, &["non-finite-input"]);
        plant("normal", places[3], f64::INFINITY, &["non-finite-input"]);
        plant("centred", places[7], f64::NEG_INFINITY, &["non-finite-input"]);
        plant("whole", places[5], 3e4, &["outlier-sample"]);
        plant("exponential", places[2], -3e4, &["outlier-sample"]);
        plant("label", places[4], 9.0, &["label-out-of-range"]);
        if kind != Type::F16 {
            plant("uniform", places[1], 1e25, &["square-overflow", "outlier-sample"]);
            plant("scaled", places[6], 1e-40, &["near-zero"]);
            plant("scaled", places[2], -0.0, &[]);
        }
        if kind == Type::F64 {
            plant("lognormal", places[3], 1e300, &["cast-overflow", "outlier-sample"]);
            plant("probability", places[5], 1.0 - 1e-10, &["near-one"]);
            faults.push(Fault::new("sum-overflow").column("lognormal"));
        }
    }
    let mut odd = |name: &str, row: usize, text: Option<&'static str>| {
        let own = columns.iter_mut().find(|column| column.name == name).unwrap();
        own.odd.insert(row, text);
        let fault = Fault::new(if text.is_some() { "text-in-numbers" } else { "missing-value" });
        let fault = fault.at(row).column(name);
        faults.push(match text {
            Some(text) => fault.text(text),
            None => fault,
        });
    };
    if cells != Cells::Numbers {
        odd("count", places[6], None);
        odd("day", places[0], None);
    }
    if cells == Cells::Texts {
        odd("count", places[1], Some("4,5"));
        odd("id", places[7], Some("oh \u{e9}"));
    }
    // Without class 2.
    let labels = columns.iter_mut().find(|column| column.name == "label").unwrap();
    labels.values.iter_mut().filter(|label| **label == 2.0).for_each(|label| *label = 1.0);
    faults.push(Fault::new("missing-class").column("label"));
    let random = &mut Random(seed ^ 0xc0);
    let before = columns.len() - 1;
    let mut more = vec![column("constant", rows, |_| kind.round(7.25))];
    faults.push(Fault::new("constant-feature").column("constant"));
    if kind == Type::F64 || kind == Type::F32 {
        more.push(column("rounded", rows, |row| kind.round(if row % 2 == 0 { 0.1 + 0.2 } else { 0.3 })));
        more.push(column("nearly", rows, |_| kind.round(1.7e9 + 3000.0 * (random.unit() - 0.5).signum())));
        faults.push(Fault::new("constant-feature").column("rounded"));
        faults.push(Fault::new("nearly-constant-feature").column("nearly"));
    }
    let large = if kind == Type::F16 { 2e4 } else { 1e6 };
    more.push(column("large", rows, |_| kind.round(large * (1.0 + random.unit()))));
    faults.push(Fault::new("feature-scale"));
    columns.splice(before..before, more);
    (columns, faults)
}
