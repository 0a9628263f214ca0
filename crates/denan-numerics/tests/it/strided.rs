use denan_numerics::{
    Extent, Range, StridedError, Summary, extent_strided, range_strided, summarize, summarize_strided,
};
use half::f16;
use proptest::prelude::*;

use crate::reference::{Classed, assert_agree};

/// The elements of a view, one index at a time.
fn materialized<T: Copy>(data: &[T], offset: usize, shape: &[usize], strides: &[isize]) -> Vec<T> {
    let mut at = vec![offset as isize];
    for (&size, &stride) in shape.iter().zip(strides) {
        at = at.iter().flat_map(|start| (0..size as isize).map(move |i| start + i * stride)).collect();
    }
    at.into_iter().map(|i| data[i as usize]).collect()
}

fn check<T: Classed>(data: &[T], offset: usize, shape: &[usize], strides: &[isize]) {
    let copy = summarize(&materialized(data, offset, shape, strides));
    assert_agree(summarize_strided(data, offset, shape, strides).unwrap(), copy);
    assert_eq!(range_strided(data, offset, shape, strides).unwrap(), Range::from(copy));
    assert_eq!(extent_strided(data, offset, shape, strides).unwrap(), Extent::from(copy));
}

fn numbered(len: usize) -> Vec<f32> {
    (0..len).map(|i| if i % 1013 == 7 { f32::NAN } else { (i % 997) as f32 - 300.0 }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn views_are_their_copies(dims in prop::collection::vec((0usize..6, -30isize..30), 0..5), spare in 0usize..5) {
        let (shape, strides): (Vec<_>, Vec<_>) = dims.into_iter().unzip();
        let reach = |side: fn(isize) -> isize| -> isize {
            shape.iter().zip(&strides).map(|(&n, &s): (&usize, &isize)| side(s * (n as isize - 1))).sum()
        };
        let (below, above) = if shape.contains(&0) { (0, 0) } else { (reach(|r| -r.min(0)) as usize, reach(|r| r.max(0)) as usize) };
        let data = numbered(below + above + 1 + spare);
        check(&data, below, &shape, &strides);

        if !shape.contains(&0) {
            // One element less on either side, and the view leaves by it.
            let short = &data[..below + above];
            let outside = StridedError::OutOfBounds { index: (below + above) as i128, len: below + above };
            prop_assert_eq!(summarize_strided(short, below, &shape, &strides), Err(outside));
            if below > 0 {
                let outside = StridedError::OutOfBounds { index: -1, len: data.len() };
                prop_assert_eq!(range_strided(&data, below - 1, &shape, &strides), Err(outside));
            }
        }
    }
}

#[test]
fn views_longer_than_a_chunk() {
    let data = numbered(280_000);
    check(&data, 0, &[280_000], &[1]);
    check(&data, 1, &[100, 2750], &[2750, 1]);
    check(&data, 0, &[1000, 280], &[1, 1000]);
    check(&data, 279_999, &[280, 1000], &[-1000, -1]);
    check(&data, 5, &[9, 30_000], &[31_000, 1]);
    check(&data, 0, &[90_000, 3], &[3, 1]);
    check(&data, 0, &[7, 40_000], &[0, 3]);
    let halves: Vec<f16> = data.iter().map(|&x| f16::from_f32(x)).collect();
    check(&halves, 3, &[30, 9000], &[9100, 1]);
}

#[test]
fn a_view_in_the_order_of_memory_gives_the_bits_of_its_copy() {
    let data = numbered(280_000);
    let (shape, strides) = ([20, 4600, 3], [14_000, 3, 1]);
    let copy = summarize(&materialized(&data, 0, &shape, &strides));
    assert_eq!(summarize_strided(&data, 0, &shape, &strides), Ok(copy));
    let (shape, strides) = ([13, 2000, 3], [21_000, 10, 2]);
    let copy = summarize(&materialized(&data, 11, &shape, &strides));
    assert_eq!(summarize_strided(&data, 11, &shape, &strides), Ok(copy));
    // So does a transposed one, whose memory is dense.
    assert_eq!(summarize_strided(&data, 0, &[1000, 280], &[1, 1000]), Ok(summarize(&data)));
}

#[test]
fn no_dimensions_are_one_element() {
    assert_eq!(summarize_strided(&[1.0f32, 2.0], 1, &[], &[]).unwrap().mean, 2.0);
}

#[test]
fn no_elements_are_read_from_nowhere() {
    assert_eq!(summarize_strided::<f32>(&[], 99, &[3, 0], &[1, 1]), Ok(Summary::EMPTY));
}

#[test]
fn a_broadcast_is_counted_but_not_walked() {
    let summary = summarize_strided(&[1.0f32, 3.0], 0, &[1 << 40, 2], &[0, 1]).unwrap();
    assert_eq!((summary.count, summary.mean, summary.m2), (1 << 41, 2.0, (1u64 << 41) as f64));
}

#[test]
fn refusals_say_what_is_wrong() {
    let check = |result: Result<Summary, StridedError>, expected: &str| {
        assert_eq!(result.unwrap_err().to_string(), expected)
    };
    let data = [0.0f32; 10];
    check(summarize_strided(&data, 0, &[2], &[]), "shape has 1 dimensions but strides have 0");
    check(summarize_strided(&data, 4, &[2, 4], &[3, 1]), "view reaches element 10 of 10");
    check(summarize_strided(&data, 4, &[6], &[-1]), "view reaches element -1 of 10");
    check(summarize_strided(&data, 10, &[], &[]), "view reaches element 10 of 10");
    check(summarize_strided(&data, 0, &[usize::MAX, 2], &[0, 0]), "number of elements overflows");
    check(
        summarize_strided(&data, 0, &[3], &[isize::MAX]),
        "view reaches element 18446744073709551614 of 10",
    );
}
