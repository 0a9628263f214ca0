use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;

use super::Level;
use crate::count::{Counter, Place, TURNS};
use crate::kernel::{BLOCK, TILE};
use crate::{Element, ExponentHistogram, MantissaBits, Summary};

fn levels() -> impl Iterator<Item = Level> {
    #[cfg(target_arch = "x86_64")]
    let all = [Level::Avx2, Level::Avx512];
    #[cfg(not(target_arch = "x86_64"))]
    let all = [];
    all.into_iter().filter(|level| level.is_available())
}

/// Every copy gives the bits of the portable one.
fn check<T: Element>(data: &[T]) {
    let summary = Level::Portable.summarize(data);
    let extent = Level::Portable.extent(data);
    for level in levels() {
        let found = level.summarize(data);
        assert_eq!(found, summary, "{level:?}");
        assert_eq!(found.mean.to_bits(), summary.mean.to_bits(), "{level:?}");
        assert_eq!(found.m2.to_bits(), summary.m2.to_bits(), "{level:?}");
        assert_eq!(level.extent(data), extent, "{level:?}");
    }
}

/// Summary and counts of at most one block, counted in turns.
fn tally<T: Element>(level: Level, block: &[T]) -> (Summary, ExponentHistogram) {
    let (mut counter, mut histogram) = (Counter::new(), ExponentHistogram::empty(MantissaBits::Three));
    assert!(counter.reserve(BLOCK / TURNS));
    let summary = level.tally_block(block, Place::InTurns, &mut counter, &mut Vec::new());
    counter.drain(0, 1, &mut histogram);
    (summary, histogram)
}

/// Columns of at most one block of rows, and their counts.
fn spread<T: Element>(
    level: Level,
    values: &[T],
    stride: usize,
    width: usize,
) -> Vec<(Vec<u64>, Summary, ExponentHistogram)> {
    let (mut counter, mut tile) = (Counter::new(), vec![T::of_bits(T::NO_MARKS); width * TILE]);
    assert!(counter.reserve(BLOCK));
    level.spread(values, stride, width, Some(&mut counter), &mut tile);
    let column = |lane: usize| {
        let column = &tile[lane * TILE..][..values.len().saturating_sub(lane).div_ceil(stride)];
        let summary = match column {
            [] => Summary::EMPTY,
            _ => level.tally_block(column, Place::Table(lane), &mut counter, &mut Vec::new()),
        };
        let mut histogram = ExponentHistogram::empty(MantissaBits::Three);
        counter.drain(lane, stride, &mut histogram);
        (column.iter().map(|x| x.bits().into()).collect(), summary, histogram)
    };
    (0..width).map(column).collect()
}

/// Every copy gives the bits, the columns and the counts of the portable one.
fn check_tallies<T: Element>(values: &[T], stride: usize, width: usize) {
    let block = &values[..values.len().min(BLOCK)];
    let width = width.min(stride).min(Counter::<T>::COLUMNS);
    let expected = (tally(Level::Portable, block), spread(Level::Portable, values, stride, width));
    for level in levels() {
        let found = (tally(level, block), spread(level, values, stride, width));
        assert_eq!(found, expected, "{level:?}");
        assert_eq!(found.0.0.m2.to_bits(), expected.0.0.m2.to_bits(), "{level:?}");
    }
    for (lane, (column, ..)) in expected.1.into_iter().enumerate() {
        let of_lane = values.iter().skip(lane).step_by(stride);
        assert_eq!(column, of_lane.map(|x| x.bits().into()).collect::<Vec<u64>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn copies_agree_on_any_pattern(bits in vec(any::<u64>(), 0..150)) {
        check(&bits.iter().map(|&b| f64::from_bits(b)).collect::<Vec<_>>());
        check(&bits.iter().map(|&b| f32::from_bits(b as u32)).collect::<Vec<_>>());
        check(&bits.iter().map(|&b| f16::from_bits(b as u16)).collect::<Vec<_>>());
        check(&bits.iter().map(|&b| bf16::from_bits(b as u16)).collect::<Vec<_>>());
    }

    #[test]
    fn copies_agree_on_tallies(bits in vec(any::<u64>(), 1..2500), stride in 1usize..40, width in 1usize..17) {
        check_tallies(&bits.iter().map(|&b| f64::from_bits(b)).collect::<Vec<_>>(), stride, width);
        check_tallies(&bits.iter().map(|&b| f32::from_bits(b as u32)).collect::<Vec<_>>(), stride, width);
        check_tallies(&bits.iter().map(|&b| f16::from_bits(b as u16)).collect::<Vec<_>>(), stride, width);
        check_tallies(&bits.iter().map(|&b| bf16::from_bits(b as u16)).collect::<Vec<_>>(), stride, width);
    }

    #[test]
    fn copies_agree_on_finite_values(values in vec(-2.0f64..3.0, 3000..5000), scale in -20i32..4, offset in prop_oneof![Just(0.0), Just(1e3)]) {
        let values: Vec<f64> = values.iter().map(|x| x * 2f64.powi(scale) + offset).collect();
        check(&values);
        check(&values.iter().map(|&x| x as f32).collect::<Vec<_>>());
        check(&values.iter().map(|&x| f16::from_f64(x)).collect::<Vec<_>>());
        check(&values.iter().map(|&x| bf16::from_f64(x)).collect::<Vec<_>>());
    }
}

#[test]
fn copies_agree_on_blocks_of_one_element_repeated() {
    // The most that a 16-bit counter of one block is asked to hold.
    for len in [1, 15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 10_000] {
        check(&vec![0.0f32; len]);
        check(&vec![f16::ZERO; len]);
        check(&vec![bf16::MIN_POSITIVE_SUBNORMAL; len]);
        check(&vec![f16::NAN; len]);
        check(&vec![f64::MAX; len]);
        assert_eq!(Level::best().summarize(&vec![f16::ZERO; len]).zeros, len as u64);
    }
}
