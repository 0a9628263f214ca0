use denan_numerics::{Element, ExponentHistogram, MantissaBits};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::patterns::{bf16s, f16s, f32s, f64s, normal};
use crate::reference::Classed;

/// Every quantile by its definition, against the histogram's.
fn check_quantiles<T: Classed>(data: &[T], bits: MantissaBits, bound: f64) {
    let histogram = ExponentHistogram::of(data, bits);
    let mut finite: Vec<f64> = data.iter().map(|x| x.wide()).filter(|x| x.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    assert_eq!(histogram.finite(), finite.len() as u64);
    assert_eq!(histogram.count(), data.len() as u64);
    for q in [0.0, 0.001, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0] {
        let Some(found) = histogram.quantile(q) else {
            assert!(finite.is_empty());
            continue;
        };
        let rank = ((q * finite.len() as f64).ceil() as usize).max(1);
        let expected = finite[rank - 1];
        // Half of the smallest subnormal, for rounding.
        let tolerance =
            bound * expected.abs() + if expected.abs() < f64::MIN_POSITIVE { 3e-324 } else { 0.0 };
        assert!((found - expected).abs() <= tolerance, "quantile {q} is {expected:e}, found {found:e}");
    }
}

fn check<T: Classed>(data: &[T]) {
    check_quantiles(data, MantissaBits::Three, 0.0625);
    check_quantiles(data, MantissaBits::Zero, 1.0 / 3.0 + 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn quantiles_keep_their_bound(a in f32s(0..200), b in f64s(0..200), c in f16s(0..200), d in bf16s(0..200)) {
        check(&a);
        check(&b);
        check(&c);
        check(&d);
    }

    #[test]
    fn merging_adds_exactly_in_any_order(a in f32s(0..100), b in f32s(0..100)) {
        let whole = ExponentHistogram::of(&[a.clone(), b.clone()].concat(), MantissaBits::Three);
        let [a, b] = [a, b].map(|part| ExponentHistogram::of(&part, MantissaBits::Three));
        prop_assert_eq!(&a.clone().merge(b.clone()), &whole);
        prop_assert_eq!(b.merge(a), whole);
    }
}

/// Long slices are counted in tables, short ones element by element.
fn check_long<T: Element>(data: &[T]) {
    let parts = data.chunks(300).map(|part| ExponentHistogram::of(part, MantissaBits::Three));
    let merged = parts.reduce(ExponentHistogram::merge).unwrap();
    assert_eq!(ExponentHistogram::of(data, MantissaBits::Three), merged);
}

#[test]
fn table_and_single_elements_agree() {
    check_long(&(0..=u16::MAX).map(f16::from_bits).collect::<Vec<_>>());
    check_long(&(0..=u16::MAX).map(bf16::from_bits).collect::<Vec<_>>());
    check_long(&(0..70_001u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761))).collect::<Vec<_>>());
    check_long(
        &(0..70_001u64).map(|i| f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect::<Vec<_>>(),
    );
    check(&normal(100_000, 1.0, 2.0).map(|x| x as f32).collect::<Vec<_>>());
}

#[test]
fn element_types_share_their_bins() {
    let values = [1.0, -3.5, 0.0, 6e-8, 65504.0];
    let half = ExponentHistogram::of(&values.map(f16::from_f64), MantissaBits::Three);
    let wide = ExponentHistogram::of(&values.map(f16::from_f64).map(f16::to_f64), MantissaBits::Three);
    assert_eq!(half, wide);
}

#[test]
fn the_coarser_histogram_decides() {
    let data = [1.0f32, 1.5, -1.9, 4.0];
    let [fine, coarse] =
        [MantissaBits::Three, MantissaBits::Zero].map(|bits| ExponentHistogram::of(&data, bits));
    assert_eq!(fine.merge(ExponentHistogram::empty(MantissaBits::Zero)), coarse);
    let bins: Vec<_> = coarse.bins().map(|bin| (bin.negative, bin.exponent, bin.lower, bin.count)).collect();
    assert_eq!(bins, [(true, 0, 1.0, 1), (false, 0, 1.0, 2), (false, 2, 4.0, 1)]);
}

#[test]
fn what_a_narrower_type_loses() {
    let data = [1e-9f32, -1e-5, 1e-4, 0.0, 1.0, f32::NAN];
    let histogram = ExponentHistogram::of(&data, MantissaBits::Zero);
    assert_eq!(histogram.below(-14), 2); // no normal f16
    assert_eq!((histogram.nan(), histogram.zeros(), histogram.pos_inf(), histogram.neg_inf()), (1, 1, 0, 0));
}

#[test]
fn a_quantile_needs_values_and_a_probability() {
    let some = ExponentHistogram::of(&[1.0f32], MantissaBits::Three);
    assert_eq!(ExponentHistogram::of(&[f32::NAN], MantissaBits::Three).quantile(0.5), None);
    assert_eq!([-0.1, 1.1, f64::NAN].map(|q| some.quantile(q)), [None; 3]);
}
