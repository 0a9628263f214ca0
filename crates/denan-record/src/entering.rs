//! What enters the engine, in figures: per line of the program, per column.

use crate::model::{DataSeen, Extreme, Place, Sample};
use denan_numerics::Summary;

/// Lines that are kept apart; a program has a handful.
const MOST_LINES: usize = 64;
/// Columns that are kept apart; wider data are one column.
const MOST_COLUMNS: usize = 4096;
/// Elements of one tensor that are looked at; of a larger one its first rows are.
const MOST_ELEMENTS: usize = 1 << 21;
/// Tensors of a line that are all looked at; of later ones only some are.
const FIRST_TENSORS: u64 = 16;
/// Rows from which the typical magnitude of a column is taken.
const TYPICAL_ROWS: usize = 512;

/// All data of the training so far.
#[derive(Default)]
pub struct Entering {
    lines: Vec<(u64, DataSeen)>,
}

/// A tensor that has entered.
pub struct Arrival<'a> {
    /// The adapter's number of the call by which it did.
    pub site: u64,
    /// Its line.
    pub place: Option<&'a Place>,
    /// The shape that the program gives it, right away or by the reshape that follows.
    pub shape: &'a [usize],
    /// Its element type.
    pub dtype: &'a str,
    /// Its first elements in row-major order, at most so many.
    pub values: &'a dyn Fn(usize) -> Vec<f64>,
    /// Its largest magnitude.
    pub largest: f64,
    /// Samples of its batch, in the order of its rows; empty if they are not known.
    pub samples: &'a [Sample],
    /// The step it entered in.
    pub step: u64,
}

impl Entering {
    /// Takes a tensor's figures in.
    pub fn take(&mut self, arrival: &Arrival<'_>) {
        let (axis, columns) = columns_of(arrival.shape);
        let known = self.lines.iter().position(|(site, seen)| {
            *site == arrival.site && seen.columns.len() == columns && seen.axis as usize == axis
        });
        let at = match known {
            Some(at) => at,
            None if self.lines.len() >= MOST_LINES => return,
            None => {
                let seen = DataSeen {
                    place: arrival.place.cloned(),
                    shape: Vec::new(),
                    dtype: arrival.dtype.to_owned(),
                    tensors: 0,
                    axis: axis as u32,
                    columns: vec![Summary::EMPTY; columns],
                    typical: Vec::new(),
                    extreme: None,
                };
                self.lines.push((arrival.site, seen));
                self.lines.len() - 1
            }
        };
        let seen = &mut self.lines[at].1;
        seen.tensors += 1;
        seen.shape = arrival.shape.iter().map(|&size| size as u64).collect();
        // A training brings one batch after the other: the first say what its columns are like, and of the others
        // those matter that hold something larger.
        let is_larger = seen.extreme.as_ref().is_none_or(|extreme| arrival.largest > extreme.value.abs());
        if seen.tensors > FIRST_TENSORS && !seen.tensors.is_power_of_two() && !is_larger {
            return;
        }
        let values = (arrival.values)(MOST_ELEMENTS);
        let inner: usize = match axis {
            // Elements that belong to one index of the channel: height times width.
            1 if arrival.shape.len() >= 4 => arrival.shape[2..].iter().product(),
            _ => 1,
        };
        if inner * columns == 0 || values.is_empty() {
            return;
        }
        let column_of = |position: usize| position / inner % columns;
        let mut tallies = vec![Tally::default(); columns];
        let mut largest: Option<(usize, f64)> = None;
        for (position, &value) in values.iter().enumerate() {
            tallies[column_of(position)].add(value);
            if value.is_finite() && largest.is_none_or(|(_, most)| value.abs() > most.abs()) {
                largest = Some((position, value));
            }
        }
        for (column, tally) in seen.columns.iter_mut().zip(&tallies) {
            *column = column.merge(tally.summary());
        }
        if seen.typical.is_empty() {
            seen.typical = typical(&values, columns, column_of);
        }
        if let Some((position, value)) = largest
            && seen.extreme.as_ref().is_none_or(|extreme| value.abs() > extreme.value.abs())
        {
            let rows = arrival.shape.first().copied().unwrap_or(1).max(1);
            let row = position / (arrival.shape.iter().product::<usize>() / rows).max(1);
            let sample = (arrival.samples.len() == rows).then(|| arrival.samples.get(row).cloned()).flatten();
            seen.extreme = Some(Extreme {
                value,
                column: column_of(position) as u64,
                step: arrival.step,
                row: Some(row as u64),
                sample,
            });
        }
    }

    /// All of it.
    pub fn seen(&self) -> Vec<DataSeen> {
        self.lines.iter().map(|(_, seen)| seen.clone()).collect()
    }
}

/// The dimension whose indices are the columns, and how many there are.
fn columns_of(sizes: &[usize]) -> (usize, usize) {
    let axis = match sizes.len() {
        0 | 1 => return (0, 1),
        2 | 3 => sizes.len() - 1,
        _ => 1,
    };
    if (1..=MOST_COLUMNS).contains(&sizes[axis]) { (axis, sizes[axis]) } else { (0, 1) }
}

/// Median magnitude of the first values of each column.
fn typical(values: &[f64], columns: usize, column_of: impl Fn(usize) -> usize) -> Vec<f64> {
    let mut first: Vec<Vec<f64>> = vec![Vec::new(); columns];
    for (position, value) in values.iter().enumerate() {
        let column = &mut first[column_of(position)];
        if value.is_finite() && column.len() < TYPICAL_ROWS {
            column.push(value.abs());
        }
    }
    let median = |mut column: Vec<f64>| {
        column.sort_by(f64::total_cmp);
        column.get(column.len() / 2).copied().unwrap_or(0.0)
    };
    first.into_iter().map(median).collect()
}

/// Figures of a column, gathered value by value around the first one.
#[derive(Clone, Default)]
struct Tally {
    count: u64,
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
    zeros: u64,
    around: f64,
    sum: f64,
    squares: f64,
    min: Option<f64>,
    max: Option<f64>,
}

impl Tally {
    fn add(&mut self, value: f64) {
        self.count += 1;
        if !value.is_finite() {
            self.nan += u64::from(value.is_nan());
            self.pos_inf += u64::from(value == f64::INFINITY);
            self.neg_inf += u64::from(value == f64::NEG_INFINITY);
            return;
        }
        self.zeros += u64::from(value == 0.0);
        if self.min.is_none() {
            self.around = value;
        }
        let away = value - self.around;
        self.sum += away;
        self.squares += away * away;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    fn summary(&self) -> Summary {
        let finite = (self.count - self.nan - self.pos_inf - self.neg_inf) as f64;
        let (Some(min), Some(max)) = (self.min, self.max) else {
            return Summary {
                count: self.count,
                nan: self.nan,
                pos_inf: self.pos_inf,
                neg_inf: self.neg_inf,
                ..Summary::EMPTY
            };
        };
        Summary {
            count: self.count,
            nan: self.nan,
            pos_inf: self.pos_inf,
            neg_inf: self.neg_inf,
            zeros: self.zeros,
            subnormals: 0,
            min,
            max,
            mean: self.around + self.sum / finite,
            m2: (self.squares - self.sum * self.sum / finite).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(entering: &mut Entering, values: &[f32], shape: &[usize], samples: &[Sample]) {
        let values: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        let largest = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let first = |most: usize| values[..most.min(values.len())].to_vec();
        let arrival = Arrival {
            site: 1,
            place: None,
            shape,
            dtype: "float32",
            values: &first,
            largest,
            samples,
            step: 3,
        };
        entering.take(&arrival);
    }

    #[test]
    fn columns_are_gathered_over_batches() {
        let mut entering = Entering::default();
        let sample = |index| Sample { index, name: None };
        take(&mut entering, &[1.0, 100.0, 3.0, 100.0], &[2, 2], &[sample(5), sample(6)]);
        take(&mut entering, &[-2.0, 100.0, 0.0, -900.0], &[2, 2], &[sample(7), sample(8)]);
        let [seen] = &entering.seen()[..] else { panic!("one line") };
        assert_eq!((seen.tensors, seen.axis, seen.columns.len()), (2, 1, 2));
        let [first, second] = seen.columns[..] else { panic!("two columns") };
        assert_eq!((first.count, first.zeros, first.min, first.max), (4, 1, -2.0, 3.0));
        assert!((first.mean - 0.5).abs() < 1e-12 && (first.m2 - 13.0).abs() < 1e-9, "{first:?}");
        assert_eq!((second.min, second.max), (-900.0, 100.0));
        assert_eq!(seen.typical, [3.0, 100.0]);
        let extreme = seen.extreme.as_ref().expect("an extreme");
        assert_eq!((extreme.value, extreme.column, extreme.sample.as_ref()), (-900.0, 1, Some(&sample(8))));
        assert_eq!(extreme.row, Some(1));
    }

    #[test]
    fn a_late_extreme_is_not_missed() {
        let mut entering = Entering::default();
        for _ in 0..100 {
            take(&mut entering, &[1.0, -1.0], &[1, 2], &[]);
        }
        take(&mut entering, &[1.0, -1e20], &[1, 2], &[]);
        let seen = &entering.seen()[0];
        assert_eq!(seen.tensors, 101);
        assert!(seen.columns[0].count < 30, "{:?}", seen.columns[0]);
        assert_eq!(seen.extreme.as_ref().map(|extreme| extreme.value), Some(f64::from(-1e20_f32)));
    }

    #[test]
    fn channels_of_images_are_columns() {
        let mut entering = Entering::default();
        take(&mut entering, &[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0], &[2, 2, 1, 2], &[]);
        let seen = &entering.seen()[0];
        assert_eq!((seen.axis, seen.columns[0].max, seen.columns[1].min), (1, 4.0, 10.0));
    }

    #[test]
    fn a_column_that_never_changes_has_no_spread() {
        let mut entering = Entering::default();
        take(&mut entering, &[0.1; 30], &[10, 3], &[]);
        assert!(entering.seen()[0].columns.iter().all(|column| column.m2 == 0.0));
    }
}
