use denan_numerics::{
    Element, ExponentHistogram, Figures, MantissaBits, Summary, Tally, summarize, tally_columns,
};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::patterns::{bf16s, f16s, f32s, f64s, normal};

/// To the last bit, as a summary of zeros and one of negative zeros would not differ.
fn assert_same(found: Summary, expected: Summary) {
    assert_eq!(found, expected);
    assert_eq!(found.mean.to_bits(), expected.mean.to_bits());
    assert_eq!(found.m2.to_bits(), expected.m2.to_bits());
}

/// Calls of `split` values at most on one column.
fn check_column<T: Element>(values: &[T], split: usize) {
    let mut tally = Tally::new();
    let mut summary = Summary::EMPTY;
    for part in values.chunks(split) {
        tally.add(part);
        assert_same(tally.last(), summarize(part));
        summary = summary.merge(summarize(part));
    }
    let figures = tally.figures();
    assert_same(figures.summary, summary);
    assert_eq!(figures.histogram, one_by_one(values));
}

/// Counted without a table.
fn one_by_one<T: Element>(values: &[T]) -> ExponentHistogram {
    let each = values.chunks(200).map(|part| ExponentHistogram::of(part, MantissaBits::Three));
    each.fold(ExponentHistogram::empty(MantissaBits::Three), ExponentHistogram::merge)
}

/// Calls of `split` values at most on all columns, from `phase` on.
fn check_columns<T: Element>(values: &[T], phase: usize, inner: usize, columns: usize, split: usize) {
    let period = columns * inner;
    let mut together = vec![Tally::new(); columns];
    let mut apart = together.clone();
    for (index, part) in values.chunks(split).enumerate() {
        let phase = (phase + index * split) % period;
        tally_columns(part, phase, inner, &mut together);
        for (column, tally) in apart.iter_mut().enumerate() {
            let of_column = |at: usize| ((phase + at) / inner) % columns == column;
            let gathered: Vec<T> = (0..part.len()).filter(|&at| of_column(at)).map(|at| part[at]).collect();
            tally.add(&gathered);
        }
        for (together, apart) in together.iter().zip(&apart) {
            assert_same(together.last(), apart.last());
        }
    }
    for (together, apart) in together.iter().zip(&apart) {
        assert_same(together.figures().summary, apart.figures().summary);
        assert_eq!(together.figures().histogram, apart.figures().histogram);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_column_has_the_figures_of_its_parts(
        a in f32s(0..600), b in f64s(0..600), c in f16s(0..600), d in bf16s(0..600), split in 1usize..400,
    ) {
        check_column(&a, split);
        check_column(&b, split);
        check_column(&c, split);
        check_column(&d, split);
    }

    #[test]
    fn columns_side_by_side_are_those_gathered(
        a in f32s(0..600), b in f64s(0..600), c in f16s(0..600), d in bf16s(0..600),
        columns in 1usize..40, inner in prop_oneof![Just(1), 1usize..60], phase in any::<prop::sample::Index>(),
        split in 1usize..700,
    ) {
        let phase = phase.index(columns * inner);
        check_columns(&a, phase, inner, columns, split);
        check_columns(&b, phase, inner, columns, split);
        check_columns(&c, phase, inner, columns, split);
        check_columns(&d, phase, inner, columns, split);
    }

    #[test]
    fn long_columns_of_like_values(
        columns in 1usize..36, inner in prop_oneof![Just(1), 2usize..9, 700usize..9000],
        phase in any::<prop::sample::Index>(), offset in prop_oneof![Just(0.0), Just(1e3)],
        special in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..9),
    ) {
        let mut values: Vec<f64> = normal(150_000, offset, 1.0).collect();
        for (at, bits) in special {
            let at = at.index(values.len());
            values[at] = f64::from_bits(bits);
        }
        let phase = phase.index(columns * inner);
        let singles: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        let halves: Vec<f16> = values.iter().map(|&x| f16::from_f64(x)).collect();
        let brains: Vec<bf16> = values.iter().map(|&x| bf16::from_f64(x)).collect();
        check_columns(&values, phase, inner, columns, 70_000);
        check_columns(&singles, phase, inner, columns, 70_000);
        check_columns(&halves, phase, inner, columns, 70_000);
        check_columns(&brains, phase, inner, columns, 70_000);
        check_column(&values, 70_000);
        check_column(&singles, 70_000);
        check_column(&halves, 70_000);
        check_column(&brains, 70_000);
    }

    #[test]
    fn any_split_counts_alike(values in f32s(0..600), columns in 1usize..20, split in 1usize..30) {
        let figures = |split: usize| -> Vec<Figures> {
            let mut tallies = vec![Tally::new(); columns];
            for (index, part) in values.chunks(split).enumerate() {
                tally_columns(part, index * split % columns, 1, &mut tallies);
            }
            tallies.iter().map(Tally::figures).collect()
        };
        for (whole, parts) in figures(usize::MAX / columns).iter().zip(figures(split * columns)) {
            prop_assert_eq!(&whole.histogram, &parts.histogram);
            prop_assert_eq!(whole.summary.count, parts.summary.count);
            prop_assert_eq!(whole.summary.nonfinite(), parts.summary.nonfinite());
            prop_assert_eq!((whole.summary.min, whole.summary.max), (parts.summary.min, parts.summary.max));
        }
    }
}

#[test]
fn every_pattern_of_sixteen_bits_is_counted() {
    let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let brains: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
    check_column(&halves, halves.len());
    check_column(&brains, brains.len());
    check_columns(&halves, 1, 1, 3, halves.len());
    check_columns(&brains, 5, 4, 7, brains.len());
}

#[test]
fn many_copies_of_one_value_are_counted() {
    // More than a counter of 16 bits holds.
    for value in [0.0f32, -3.0, f32::MIN_POSITIVE / 2.0, f32::NAN, f32::NEG_INFINITY] {
        let mut values = vec![value; 1_200_000];
        check_column(&values, values.len());
        check_columns(&values, 0, 1, 2, values.len());
        check_columns(&values, 7, 1, 9, values.len());
        check_columns(&values, 0, 300_000, 2, values.len());
        // No block is of one value.
        values.iter_mut().step_by(1000).for_each(|x| *x = 1.0);
        check_column(&values, values.len());
        check_columns(&values, 0, 1, 2, values.len());
        check_columns(&values, 7, 1, 9, values.len());
        check_columns(&values, 0, 300_000, 2, values.len());
    }
}

#[test]
fn merged_figures_are_those_of_both_parts() {
    let values = [1.0f32, -2.5, 0.0, f32::NAN, 1e-40, 7.0];
    let [whole, left, right] = [&values[..], &values[..3], &values[3..]].map(|part| {
        let mut tally = Tally::new();
        tally.add(part);
        tally.figures()
    });
    assert_eq!(left.clone().merge(right.clone()).histogram, whole.histogram);
    assert_eq!([left, right].into_iter().collect::<Figures>().summary.count, 6);
    assert_eq!(Figures::default().merge(whole.clone()), whole);
    assert_eq!(Tally::<f64>::default().figures(), Figures::EMPTY);
}

#[test]
fn a_call_that_adds_nothing_leaves_nothing_as_its_last() {
    let mut tallies = vec![Tally::new(); 3];
    tally_columns(&[1.0f32, 2.0, 3.0], 0, 1, &mut tallies);
    tally_columns(&[4.0], 1, 1, &mut tallies);
    let last: Vec<Summary> = tallies.iter().map(Tally::last).collect();
    assert_eq!(last, [Summary::EMPTY, summarize(&[4.0f32]), Summary::EMPTY]);
    assert_eq!(tallies[0].figures().summary, summarize(&[1.0f32]));
}
