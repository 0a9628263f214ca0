use denan_numerics::{
    Extent, Range, Summary, extent, range, summarize, summarize_bf16, summarize_f16, summarize_f32,
    summarize_f64, summarize_parallel,
};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::patterns::{bf16s, f16s, f32s, f64s, normal};
use crate::reference::{self, Classed, assert_agree};

fn check<T: Classed>(data: &[T]) {
    let found = summarize(data);
    assert_agree(found, reference::summarize(data));
    assert_eq!(range(data), Range::from(found));
    assert_eq!(extent(data), Extent::from(found));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_pattern_is_classified(a in f32s(0..200), b in f64s(0..200), c in f16s(0..200), d in bf16s(0..200)) {
        check(&a);
        check(&b);
        check(&c);
        check(&d);
    }

    #[test]
    fn finite_values_around_the_ends_of_blocks(len in 4000usize..9000, mean in -1e4..1e4, std in 0.0..1e3) {
        let values: Vec<f64> = normal(len, mean, std).collect();
        check(&values.iter().map(|&x| f32::narrow(x)).collect::<Vec<_>>());
        check(&values.iter().map(|&x| f16::narrow(x)).collect::<Vec<_>>());
        check(&values.iter().map(|&x| bf16::narrow(x)).collect::<Vec<_>>());
        check(&values);
    }

    #[test]
    fn merged_parts_are_the_whole(data in f32s(1..300), cut in any::<prop::sample::Index>()) {
        let (left, right) = data.split_at(cut.index(data.len()));
        assert_agree(summarize(left).merge(summarize(right)), summarize(&data));
        prop_assert_eq!(range(left).merge(range(right)), range(&data));
    }

    #[test]
    fn any_order_agrees((data, shuffled) in f32s(0..300).prop_flat_map(|data| (Just(data.clone()), Just(data).prop_shuffle()))) {
        assert_agree(summarize(&shuffled), summarize(&data));
        prop_assert_eq!(range(&shuffled), range(&data));
    }

    #[test]
    fn merging_is_associative(a in f32s(0..50), b in f32s(0..50), c in f32s(0..50)) {
        let [a, b, c] = [summarize(&a), summarize(&b), summarize(&c)];
        assert_agree(a.merge(b).merge(c), a.merge(b.merge(c)));
    }
}

#[test]
fn all_sixteen_bit_patterns() {
    check(&(0..=u16::MAX).map(f16::from_bits).collect::<Vec<_>>());
    check(&(0..=u16::MAX).map(bf16::from_bits).collect::<Vec<_>>());
}

#[test]
fn one_value_anywhere_in_a_block_is_found() {
    // Both ends of the block, the whole of the next, which ends within a group of lanes.
    for at in (0..70).chain(4060..4200) {
        let mut data = vec![1.0f32; 4200];
        data[at] = f32::NAN;
        assert_eq!(summarize(&data).nan, 1, "at {at}");
        assert_eq!(range(&data).nan, 1, "at {at}");
        data[at] = f32::NEG_INFINITY;
        assert_eq!(summarize(&data).neg_inf, 1, "at {at}");
        data[at] = -7.0;
        assert_eq!(range(&data).min, -7.0, "at {at}");
        assert_eq!(summarize(&data).max, 1.0, "at {at}");
    }
}

#[test]
fn nothing_but_non_finite_values() {
    let summary = summarize(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY]);
    assert_eq!(summary, Summary { count: 4, nan: 1, pos_inf: 2, neg_inf: 1, ..Summary::EMPTY });
    assert_eq!((summary.min_opt(), summary.max_opt(), summary.abs_max()), (None, None, 0.0));
    assert_eq!((summary.std(), summary.l2_norm(), summary.finite()), (0.0, 0.0, 0));
    assert!(!summary.is_finite());
}

#[test]
fn no_elements() {
    assert_eq!(summarize::<f32>(&[]), Summary::EMPTY);
    assert_eq!(range::<f16>(&[]), Range::EMPTY);
    assert!(Summary::default().is_finite());
}

#[test]
fn bounds_of_zeros_are_positive() {
    for data in [[-0.0f32, 0.0], [0.0, -0.0], [-0.0, -0.0]] {
        let summary = summarize(&data);
        assert!(summary.min.is_sign_positive() && summary.max.is_sign_positive());
        assert_eq!(summary.zeros, 2);
    }
}

#[test]
fn spread_survives_a_far_larger_mean() {
    for (mean, std) in [(1e4, 1.0), (1e6, 1.0), (-1e5, 1e-1)] {
        let data: Vec<f32> = normal(200_000, mean, std).map(|x| x as f32).collect();
        let expected = reference::summarize(&data).m2;
        let off = |m2: f64| (m2 / expected - 1.0).abs();
        assert!(off(summarize(&data).m2) < 1e-9, "mean {mean}: off by {:e}", off(summarize(&data).m2));
        // The test can fail: sums in f32 do.
        let (sum, squares) = data.iter().fold((0f32, 0f32), |(s, q), x| (s + x, q + x * x));
        assert!(off(f64::from(squares - sum * sum / data.len() as f32)) > 1e-6);
    }
}

#[test]
fn an_outlier_in_front_hides_no_spread() {
    let mut data: Vec<f32> = normal(4096, 0.0, 1.0).map(|x| x as f32).collect();
    for outlier in [1e3, 1e10, 1e30, f32::MAX, 1e-40] {
        data[0] = outlier;
        check(&data);
        data[1] = f32::NAN;
        check(&data);
        data[1] = 0.5;
    }
}

#[test]
fn a_constant_has_no_spread() {
    for x in [0.0, 0.1, 1.0, -1e30] {
        let summary = summarize_f32(&vec![x; 10_000]);
        assert_eq!((summary.mean, summary.m2), (f64::from(x), 0.0));
    }
}

#[test]
fn huge_doubles_overflow_nothing_but_the_spread() {
    let summary = summarize_f64(&[f64::MAX; 5000]);
    assert!((summary.mean / f64::MAX - 1.0).abs() < 1e-12);
    assert!(summary.is_finite() && summary.m2 >= 0.0);

    let mut data = [f64::MAX; 100];
    (data[0], data[50]) = (f64::NAN, f64::INFINITY);
    assert_eq!((summarize(&data).finite(), summarize(&data).max), (98, f64::MAX));

    let summary = summarize_f64(&[f64::MAX, -f64::MAX]);
    assert_eq!((summary.mean, summary.m2, summary.count), (0.0, f64::INFINITY, 2));
}

#[test]
fn figures_of_a_known_tensor() {
    let summary = summarize_f16(&[3.0, 4.0, 0.0, -5.0].map(f16::from_f32));
    assert_eq!((summary.mean, summary.m2, summary.zeros), (0.5, 49.0, 1));
    assert_eq!((summary.std(), summary.l2_norm()), (3.5, 50f64.sqrt()));
    assert_eq!(summarize_bf16(&[bf16::MIN_POSITIVE_SUBNORMAL]).subnormals, 1);
}

#[test]
fn threads_change_no_bit() {
    let mut data: Vec<f32> = normal(800_003, 3.0, 100.0).map(|x| x as f32).collect();
    data[567_890] = f32::NAN;
    let expected = summarize(&data);
    for threads in [0, 1, 2, 3, 1000] {
        assert_eq!(summarize_parallel(&data, threads), expected, "{threads} threads");
    }
}
