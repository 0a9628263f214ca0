//! Elements of every class: any bit pattern, and often one of those on the edge of a class.

use half::{bf16, f16};
use proptest::collection::{SizeRange, vec};
use proptest::prelude::*;

pub fn f32s(len: impl Into<SizeRange>) -> impl Strategy<Value = Vec<f32>> {
    let edges =
        [0, 1, 0x007f_ffff, 0x0080_0000, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_0000];
    let edge = (proptest::sample::select(edges.to_vec()), any::<bool>())
        .prop_map(|(bits, sign)| bits | u32::from(sign) << 31);
    vec(prop_oneof![any::<u32>(), edge].prop_map(f32::from_bits), len)
}

pub fn f64s(len: impl Into<SizeRange>) -> impl Strategy<Value = Vec<f64>> {
    let edges = [
        0,
        1,
        (1 << 52) - 1,
        1 << 52,
        0x3ff << 52,
        (0x7ff << 52) - 1,
        0x7ff << 52,
        (0x7ff << 52) + 1,
        0xfff << 51,
    ];
    let edge = (proptest::sample::select(edges.to_vec()), any::<bool>())
        .prop_map(|(bits, sign)| bits | u64::from(sign) << 63);
    vec(prop_oneof![any::<u64>(), edge].prop_map(f64::from_bits), len)
}

pub fn f16s(len: impl Into<SizeRange>) -> impl Strategy<Value = Vec<f16>> {
    vec(sixteen(&[0, 1, 0x3ff, 0x400, 0x3c00, 0x7bff, 0x7c00, 0x7c01, 0x7e00]).prop_map(f16::from_bits), len)
}

pub fn bf16s(len: impl Into<SizeRange>) -> impl Strategy<Value = Vec<bf16>> {
    vec(sixteen(&[0, 1, 0x7f, 0x80, 0x3f80, 0x7f7f, 0x7f80, 0x7f81, 0x7fc0]).prop_map(bf16::from_bits), len)
}

fn sixteen(edges: &'static [u16]) -> impl Strategy<Value = u16> {
    let edge = (proptest::sample::select(edges), any::<bool>())
        .prop_map(|(bits, sign)| bits | u16::from(sign) << 15);
    prop_oneof![any::<u16>(), edge]
}

/// Numbers of one distribution, from a linear congruential generator: the sum of twelve uniform
/// ones is nearly normal.
pub fn normal(len: usize, mean: f64, std: f64) -> impl Iterator<Item = f64> {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..len).map(move |_| mean + std * ((0..12).map(|_| uniform()).sum::<f64>() - 6.0))
}
