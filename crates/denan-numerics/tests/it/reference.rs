//! The figures as their definitions say, without regard to speed.

use denan_numerics::{Element, Range, Summary};
use half::{bf16, f16};
use std::num::FpCategory;

pub trait Classed: Element + std::fmt::Debug {
    fn category(self) -> FpCategory;
    fn wide(self) -> f64;
    fn narrow(x: f64) -> Self;
}

macro_rules! classed {
    ($type:ty, $wide:expr, $narrow:expr) => {
        impl Classed for $type {
            fn category(self) -> FpCategory {
                self.classify()
            }
            fn wide(self) -> f64 {
                $wide(self)
            }
            fn narrow(x: f64) -> Self {
                $narrow(x)
            }
        }
    };
}

classed!(f32, f64::from, |x| x as f32);
classed!(f64, |x| x, |x| x);
classed!(f16, f16::to_f64, f16::from_f64);
classed!(bf16, bf16::to_f64, bf16::from_f64);

pub fn summarize<T: Classed>(data: &[T]) -> Summary {
    let mut summary = Summary { count: data.len() as u64, ..Summary::EMPTY };
    let mut finite = Vec::new();
    for &x in data {
        match x.category() {
            FpCategory::Nan => summary.nan += 1,
            FpCategory::Infinite if x.wide() > 0.0 => summary.pos_inf += 1,
            FpCategory::Infinite => summary.neg_inf += 1,
            class => {
                summary.zeros += u64::from(class == FpCategory::Zero);
                summary.subnormals += u64::from(class == FpCategory::Subnormal);
                finite.push(x.wide());
            }
        }
    }
    if !finite.is_empty() {
        summary.min = finite.iter().copied().fold(f64::INFINITY, f64::min);
        summary.max = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A second pass over the distances takes out what rounding left in the first.
        let n = finite.len() as f64;
        let rough = compensated(finite.iter().map(|x| x / n));
        summary.mean = rough + compensated(finite.iter().map(|x| x / n - rough / n));
        summary.m2 = compensated(finite.iter().map(|x| (x - summary.mean).powi(2)));
    }
    summary
}

/// Neumaier's sum.
fn compensated(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0);
    for x in terms {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    if sum.is_finite() { sum + lost } else { sum }
}

/// Counts and bounds alike, mean and M2 within rounding.
pub fn assert_agree(found: Summary, expected: Summary) {
    assert_eq!(Range::from(found), Range::from(expected));
    assert_eq!(found.subnormals, expected.subnormals);
    let unit = 1e-12 * expected.abs_max();
    assert!((found.mean - expected.mean).abs() <= unit, "mean {:e} for {:e}", found.mean, expected.mean);
    if expected.m2 < 1e300 {
        let n = expected.finite() as f64;
        let tolerance = 1e-9 * expected.m2 + unit * (n * expected.m2).sqrt() + n * unit * unit;
        assert!((found.m2 - expected.m2).abs() <= tolerance, "m2 {:e} for {:e}", found.m2, expected.m2);
    } else {
        assert!(found.m2 > 1e299, "m2 {:e} for {:e}", found.m2, expected.m2);
    }
}
