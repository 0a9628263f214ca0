//! Looks at values one by one, where the summary of their block says that there is something to see.

use super::bars::Bars;
use super::column::Column;
use super::extremes::Placed;
use super::gather::{InTallies, Lane};
use super::{Operation, Options, Precision};
use crate::checks::{About, NEAR_ONE, NEAR_ZERO, VALUE_CHECKS};
use denan_numerics::Summary;
use half::{bf16, f16};

/// A number in a column.
pub(super) trait Number: InTallies {
    /// Whether a precision has all values of this type.
    fn is_within(precision: Precision) -> bool;

    /// Its value, exactly.
    fn value(self) -> f64;

    /// A type in which many are compared at once.
    type Bar: Copy + PartialOrd;

    /// Its value, exactly, to be compared.
    fn bar(self) -> Self::Bar;

    /// What all values up to the first are below, and all from the second on above, if not a little more are.
    fn bars(sides: [f64; 2]) -> [Self::Bar; 2];
}

/// The bars as `f32`, a little wider.
fn narrow([low, high]: [f64; 2]) -> [f32; 2] {
    let (near_low, near_high) = (low as f32, high as f32);
    [
        if f64::from(near_low) < low { near_low.next_up() } else { near_low },
        if f64::from(near_high) > high { near_high.next_down() } else { near_high },
    ]
}

impl Number for f16 {
    fn is_within(precision: Precision) -> bool {
        precision != Precision::Bfloat16
    }

    fn value(self) -> f64 {
        f64::from(self)
    }

    type Bar = f32;

    fn bar(self) -> Self::Bar {
        self.to_f32()
    }

    fn bars(sides: [f64; 2]) -> [Self::Bar; 2] {
        narrow(sides)
    }
}

impl Number for bf16 {
    fn is_within(precision: Precision) -> bool {
        precision != Precision::Float16
    }

    fn value(self) -> f64 {
        f64::from(self)
    }

    type Bar = f32;

    fn bar(self) -> Self::Bar {
        self.to_f32()
    }

    fn bars(sides: [f64; 2]) -> [Self::Bar; 2] {
        narrow(sides)
    }
}

impl Number for f32 {
    fn is_within(precision: Precision) -> bool {
        precision == Precision::Float32
    }

    fn value(self) -> f64 {
        self.into()
    }

    type Bar = f32;

    fn bar(self) -> Self::Bar {
        self
    }

    fn bars(sides: [f64; 2]) -> [Self::Bar; 2] {
        narrow(sides)
    }
}

impl Number for f64 {
    fn is_within(_: Precision) -> bool {
        false
    }

    fn value(self) -> f64 {
        self
    }

    type Bar = f64;

    fn bar(self) -> Self::Bar {
        self
    }

    fn bars(sides: [f64; 2]) -> [Self::Bar; 2] {
        sides
    }
}

/// How values are looked at.
pub(super) struct Look<'a> {
    pub(super) options: &'a Options,
    pub(super) file: u32,
    /// Extreme values that are kept.
    pub(super) most: usize,
}

impl Look<'_> {
    /// Takes into `column` what the summary leaves open, and gives what checks find: check, row, value.
    pub(super) fn at<T: Number>(
        &self,
        block: &Summary,
        lane: &Lane<'_, T>,
        column: &mut Column,
        about: &About<'_>,
        row_of: &dyn Fn(usize) -> u64,
    ) -> Vec<(u8, u64, f64)> {
        let mut found = Vec::new();
        if block.count == 0 {
            return found;
        }
        let precision = self.options.precision;
        let near = Near::of(precision);
        let may_be_rounded = if T::is_within(precision) {
            // Only subnormals have infinite reciprocals there.
            block.subnormals > 0
        } else {
            lane.any(|value| near.is_rounded(value))
        };
        if may_be_rounded || block.max > near.exp_infinite || block.abs_max() > near.square_infinite {
            let is_near = |value: f64| near.is_rounded(value) | near.is_large(value);
            lane.each_that(
                |value| is_near(value) & value.is_finite(),
                |position, value| {
                    if let Some(check) = near.count(value, precision, column) {
                        found.push((check, row_of(position), value));
                    }
                },
            );
        }
        if let Some(classes) = &mut column.classes {
            lane.each(|_, value| {
                if value.is_finite() {
                    classes.take(value);
                }
            });
        }
        for (number, check) in VALUE_CHECKS.iter().enumerate() {
            if check.applies(about) && check.may_fail(block, self.options) {
                lane.each(|position, value| {
                    if check.fails(value, self.options) {
                        found.push((number as u8, row_of(position), value));
                    }
                });
            }
        }
        found
    }

    /// Values of the block up to the first, and from the second on, may be among the extremes of the column; nothing if there are none.
    pub(super) fn beyond(&self, block: &Summary, column: &Column, bars: &Bars) -> Option<[f64; 2]> {
        let [low, high] = column.extremes.bars(bars.get(), self.most);
        (block.count > 0 && (block.min <= low || block.max >= high)).then_some([low, high])
    }

    /// Takes a value in among the extremes of its column, if it is beyond these sides, which become narrower then.
    pub(super) fn take(
        &self,
        value: f64,
        sides: &mut [f64; 2],
        row: &dyn Fn() -> u64,
        column: &mut Column,
    ) -> bool {
        let [low, high] = *sides;
        let is_beyond = ((value <= low) | (value >= high)) & value.is_finite();
        if is_beyond {
            column.extremes.take(Placed { value, file: self.file, row: row() }, self.most);
            *sides = column.extremes.bars(*sides, self.most);
        }
        is_beyond
    }
}

/// Where the values begin for which a precision has to be asked one by one.
struct Near {
    small: f64,
    huge: f64,
    exp_infinite: f64,
    square_infinite: f64,
}

impl Near {
    fn of(precision: Precision) -> Self {
        /// A little nearer than where it begins; 8 bits of a bfloat16 are the fewest.
        const A_LITTLE: f64 = 0.99;
        let max = precision.max();
        Self {
            small: precision.small(),
            huge: max * A_LITTLE,
            exp_infinite: max.ln() * A_LITTLE,
            square_infinite: max.sqrt() * A_LITTLE,
        }
    }

    /// Whether rounding may make 0, 1 or an infinity of it, or its reciprocal may be infinite.
    fn is_rounded(&self, value: f64) -> bool {
        let magnitude = value.abs();
        ((magnitude < self.small) & (magnitude > 0.0))
            | (0.99..1.0).contains(&value)
            | (magnitude > self.huge)
    }

    /// Whether its exponential or its square may be infinite.
    fn is_large(&self, value: f64) -> bool {
        (value > self.exp_infinite) | (value.abs() > self.square_infinite)
    }

    /// Counts what becomes of a value; the check that has something to say of it, should the column hold shares.
    fn count(&self, value: f64, precision: Precision, column: &mut Column) -> Option<u8> {
        let mut check = None;
        let below_zero = usize::from(value < 0.0);
        if self.is_rounded(value) {
            let rounded = precision.round(value);
            column.tiny[below_zero] += u64::from(rounded == 0.0);
            column.huge[below_zero] += u64::from(rounded.is_infinite());
            if Operation::Divide.of(value, precision).is_infinite() {
                column.near_zero += 1;
                check = Some(NEAR_ZERO);
            } else if rounded == 1.0 {
                column.near_one += 1;
                check = Some(NEAR_ONE);
            }
        }
        let is_infinite = |operation: Operation| operation.of(value, precision).is_infinite();
        if value > self.exp_infinite {
            column.exp_infinite += u64::from(is_infinite(Operation::Exp));
        }
        if value.abs() > self.square_infinite {
            column.square_infinite += u64::from(is_infinite(Operation::Square));
        }
        check
    }
}
