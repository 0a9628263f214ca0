//! AVX2 and AVX-512.
//!
//! What is marked `inline(always)` becomes part of one of the functions with `target_feature` at
//! the end of the file, and must be called from nowhere else. There are no closures between the
//! two: the compiler would leave a call to an intrinsic inside one as a call.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::Isa;
use crate::count::{Aside, Counter, Place};
use crate::element::Lane;
use crate::kernel::{self, Accumulator, LANES, ROWS, Sums, Survey, TILE};
use crate::range::Extent;
use crate::summary::Summary;

/// Bytes between what AVX-512 reads and what it has fetched.
const AHEAD: usize = 8192;

pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

pub(super) fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn summarize_avx2<T: Lane>(chunk: &[T]) -> Summary {
    kernel::summarize_chunk::<T, Avx2>(chunk)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn extent_avx2<T: Lane>(chunk: &[T]) -> Extent {
    kernel::extent_chunk::<T, Avx2>(chunk)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn summarize_avx512<T: Lane>(chunk: &[T]) -> Summary {
    kernel::summarize_chunk::<T, Avx512>(chunk)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn extent_avx512<T: Lane>(chunk: &[T]) -> Extent {
    kernel::extent_chunk::<T, Avx512>(chunk)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn summarize_block_avx2<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
    kernel::summarize_block::<T, Avx2>(block, repaired)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn tally_block_avx2<T: Lane>(
    block: &[T],
    place: Place,
    counter: &mut Counter<T>,
    repaired: &mut Vec<T>,
) -> Summary {
    kernel::tally_block::<T, Avx2>(block, place, counter, repaired)
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline(never)]
fn mend_avx2<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
    kernel::mend::<T, Avx2>(block, repaired)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn spread_avx2<T: Lane>(
    rows: &[T],
    stride: usize,
    width: usize,
    counter: Option<&mut Counter<T>>,
    tile: &mut [T],
) {
    kernel::spread::<T, Avx2>(rows, stride, width, counter, tile)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn summarize_block_avx512<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
    kernel::summarize_block::<T, Avx512>(block, repaired)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn tally_block_avx512<T: Lane>(
    block: &[T],
    place: Place,
    counter: &mut Counter<T>,
    repaired: &mut Vec<T>,
) -> Summary {
    kernel::tally_block::<T, Avx512>(block, place, counter, repaired)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
#[inline(never)]
fn mend_avx512<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
    kernel::mend::<T, Avx512>(block, repaired)
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn spread_avx512<T: Lane>(
    rows: &[T],
    stride: usize,
    width: usize,
    counter: Option<&mut Counter<T>>,
    tile: &mut [T],
) {
    kernel::spread::<T, Avx512>(rows, stride, width, counter, tile)
}

struct Avx2;

struct Avx512;

/// Arithmetic on lanes spread over registers of `$n` lanes each.
macro_rules! arithmetic {
    ([$register:ty; $count:literal] of $n:literal: $($i:literal)*, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $fma:ident) => {
        type Wide = [$register; $count];

        #[inline(always)]
        fn splat(x: f64) -> Self::Wide {
            // SAFETY: the calling kernel has the features.
            unsafe { [$splat(x); $count] }
        }

        #[inline(always)]
        fn widen_f64(lanes: &[f64; LANES]) -> Self::Wide {
            let at = lanes.as_ptr();
            // SAFETY: the calling kernel has the features; register `i` holds the `$n` lanes from
            // `i * $n`, all within the sixteen; the load needs no alignment.
            unsafe { [$($load(at.add($i * $n))),*] }
        }

        #[inline(always)]
        fn add(a: Self::Wide, b: Self::Wide) -> Self::Wide {
            // SAFETY: the calling kernel has the features.
            unsafe { [$($add(a[$i], b[$i])),*] }
        }

        #[inline(always)]
        fn sub(a: Self::Wide, b: Self::Wide) -> Self::Wide {
            // SAFETY: the calling kernel has the features.
            unsafe { [$($sub(a[$i], b[$i])),*] }
        }

        #[inline(always)]
        fn mul(a: Self::Wide, b: Self::Wide) -> Self::Wide {
            // SAFETY: the calling kernel has the features.
            unsafe { [$($mul(a[$i], b[$i])),*] }
        }

        #[inline(always)]
        fn add_exact_square(a: Self::Wide, b: Self::Wide) -> Self::Wide {
            // SAFETY: the calling kernel has the features.
            unsafe { [$($fma(b[$i], b[$i], a[$i])),*] }
        }

        #[inline(always)]
        fn to_array(a: Self::Wide) -> [f64; LANES] {
            let mut lanes = [0.0; LANES];
            let at = lanes.as_mut_ptr();
            // SAFETY: the calling kernel has the features; as for the load.
            unsafe { $($store(at.add($i * $n), a[$i]);)* }
            lanes
        }

        #[inline(always)]
        fn prefetch<T>(at: *const T) {
            // SAFETY: a hint, which faults at no address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    };
}

impl Isa for Avx2 {
    arithmetic!([__m256d; 4] of 4: 0 1 2 3, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd,
                _mm256_fmadd_pd);

    #[inline(always)]
    fn widen_f32(lanes: &[f32; LANES]) -> Self::Wide {
        let at = lanes.as_ptr();
        // SAFETY: the calling kernel has the features; four lanes each from 0, 4, 8 and 12,
        // unaligned.
        unsafe {
            [
                _mm256_cvtps_pd(_mm_loadu_ps(at)),
                _mm256_cvtps_pd(_mm_loadu_ps(at.add(4))),
                _mm256_cvtps_pd(_mm_loadu_ps(at.add(8))),
                _mm256_cvtps_pd(_mm_loadu_ps(at.add(12))),
            ]
        }
    }

    #[inline(always)]
    fn widen_f16(lanes: &[f16; LANES]) -> Self::Wide {
        let at = lanes.as_ptr().cast::<__m128i>();
        // SAFETY: the calling kernel has the features; eight lanes of 16 bits fill 128, so these
        // are the two halves of the sixteen, unaligned.
        unsafe {
            avx2_widen(_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at.add(1))))
        }
    }

    #[inline(always)]
    fn widen_bf16(lanes: &[bf16; LANES]) -> Self::Wide {
        let at = lanes.as_ptr().cast::<__m128i>();
        // SAFETY: as for `widen_f16`.
        unsafe {
            let low = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(at)));
            let high = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(at.add(1))));
            avx2_widen(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }
    }

    #[inline(always)]
    fn mend<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
        // SAFETY: the calling kernel has the features.
        unsafe { mend_avx2(block, repaired) }
    }

    #[inline(always)]
    fn turn<T: Lane>(rows: &[T], stride: usize, width: usize, tile: &mut [T], at: usize) {
        turn(rows, stride, width, tile, at);
    }
}

#[inline(always)]
fn avx2_widen(low: __m256, high: __m256) -> [__m256d; 4] {
    // SAFETY: the calling kernel has the features.
    unsafe {
        [
            _mm256_cvtps_pd(_mm256_castps256_ps128(low)),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(low)),
            _mm256_cvtps_pd(_mm256_castps256_ps128(high)),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(high)),
        ]
    }
}

impl Isa for Avx512 {
    arithmetic!([__m512d; 2] of 8: 0 1, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd,
                _mm512_fmadd_pd);

    #[inline(always)]
    fn widen_f32(lanes: &[f32; LANES]) -> Self::Wide {
        // SAFETY: the calling kernel has the features; sixteen lanes of 32 bits fill 512,
        // unaligned.
        unsafe { avx512_widen(_mm512_loadu_ps(lanes.as_ptr())) }
    }

    // Half by half: a conversion reads its half from memory for nothing, and taking the upper one out
    // of a register costs an instruction. Singles are loaded whole for the survey anyway.
    #[inline(always)]
    fn widen_f16(lanes: &[f16; LANES]) -> Self::Wide {
        let at = lanes.as_ptr().cast::<__m128i>();
        // SAFETY: the calling kernel has the features; eight lanes of 16 bits fill 128, so these are
        // the two halves of the sixteen, unaligned.
        unsafe {
            [
                _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128(at))),
                _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128(at.add(1)))),
            ]
        }
    }

    #[inline(always)]
    fn widen_bf16(lanes: &[bf16; LANES]) -> Self::Wide {
        let at = lanes.as_ptr().cast::<__m128i>();
        // SAFETY: as for `widen_f16`.
        unsafe {
            let low = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(at)));
            let high = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(at.add(1))));
            [_mm512_cvtps_pd(_mm256_castsi256_ps(low)), _mm512_cvtps_pd(_mm256_castsi256_ps(high))]
        }
    }

    #[inline(always)]
    fn survey<T: Lane>(block: &[T]) -> Survey<T> {
        one_pass::<T, false, true>(block, &mut ()).0
    }

    #[inline(always)]
    fn survey_and_sum<T: Lane, const RAW: bool>(block: &[T], aside: &mut impl Aside<T>) -> (Survey<T>, Sums) {
        one_pass::<T, true, RAW>(block, aside)
    }

    #[inline(always)]
    fn mend<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
        // SAFETY: the calling kernel has the features.
        unsafe { mend_avx512(block, repaired) }
    }

    #[inline(always)]
    fn turn<T: Lane>(rows: &[T], stride: usize, width: usize, tile: &mut [T], at: usize) {
        turn(rows, stride, width, tile, at);
    }
}

#[inline(always)]
fn avx512_widen(x: __m512) -> [__m512d; 2] {
    // SAFETY: the calling kernel has the features.
    unsafe { [_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x))] }
}

/// Copies eight rows into the columns of a tile by squares of eight columns. At the end of the rows,
/// where a square would reach beyond them, value by value.
#[inline(always)]
fn turn<T: Lane>(rows: &[T], stride: usize, width: usize, tile: &mut [T], at: usize) {
    let reach = width.max(ROWS);
    if rows.len() < (ROWS - 1) * stride + reach {
        return kernel::turn(rows, stride, width, tile, at);
    }
    assert!(at + ROWS <= TILE && width * TILE <= tile.len());
    let mut first = 0;
    while first < width {
        // The last square of several overlaps the one before.
        let start = first.min(reach - ROWS);
        // SAFETY: the calling kernel has the features. Row `i` of the square is read from
        // `i * stride + start` on, eight values that end within `(ROWS - 1) * stride + reach`, all
        // within the rows. Column `j` is written from `(start + j) * TILE + at` on, eight values
        // within the tile, as `start + j` is below `width`.
        unsafe {
            let (from, to) = (rows.as_ptr().add(start), tile.as_mut_ptr().add(start * TILE + at));
            match width - start {
                kept @ 0..ROWS => turn_square(from, stride, to, kept),
                _ => turn_square(from, stride, to, ROWS),
            }
        }
        first = start + ROWS;
    }
}

/// # Safety
///
/// The processor has AVX2. Eight values can be read from each of eight rows, and eight be written to
/// each of the `kept` columns, eight at most.
#[inline(always)]
unsafe fn turn_square<T: Lane>(from: *const T, stride: usize, to: *mut T, kept: usize) {
    // SAFETY: as the caller grants; the element has the size of what it is taken for.
    unsafe {
        match size_of::<T>() {
            2 => turn_16(from.cast(), stride, to.cast(), kept),
            4 => turn_32(from.cast(), stride, to.cast(), kept),
            _ => turn_64(from.cast(), stride, to.cast(), kept),
        }
    }
}

/// # Safety
///
/// As for `turn_square`.
#[inline(always)]
unsafe fn turn_16(from: *const u16, stride: usize, to: *mut u16, kept: usize) {
    // SAFETY: as the caller grants.
    unsafe {
        let mut rows = [_mm_setzero_si128(); ROWS];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = _mm_loadu_si128(from.add(i * stride).cast());
        }
        let mut columns = rows;
        for _ in 0..3 {
            // The index of a value is six bits, three of its row above three of its column. Each
            // time they rotate by one; three times exchange row and column.
            let [a, b, c, d, e, f, g, h] = columns;
            columns = [
                _mm_unpacklo_epi16(a, e),
                _mm_unpackhi_epi16(a, e),
                _mm_unpacklo_epi16(b, f),
                _mm_unpackhi_epi16(b, f),
                _mm_unpacklo_epi16(c, g),
                _mm_unpackhi_epi16(c, g),
                _mm_unpacklo_epi16(d, h),
                _mm_unpackhi_epi16(d, h),
            ];
        }
        for (j, &column) in columns.iter().enumerate().take(kept) {
            _mm_storeu_si128(to.add(j * TILE).cast(), column);
        }
    }
}

/// # Safety
///
/// As for `turn_square`.
#[inline(always)]
unsafe fn turn_32(from: *const f32, stride: usize, to: *mut f32, kept: usize) {
    // SAFETY: as the caller grants.
    unsafe {
        let mut columns = [_mm256_setzero_ps(); ROWS];
        for half in [0, 4] {
            let mut rows = [_mm256_setzero_ps(); 4];
            for (i, row) in rows.iter_mut().enumerate() {
                // Rows `i` and `i + 4`, so that no value has to change its half of the register.
                let at = from.add(i * stride + half);
                let low = _mm256_castps128_ps256(_mm_loadu_ps(at));
                *row = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(at.add(4 * stride)));
            }
            let [a, b, c, d] = rows;
            let (ac, bd) = (_mm256_unpacklo_ps(a, c), _mm256_unpacklo_ps(b, d));
            columns[half] = _mm256_unpacklo_ps(ac, bd);
            columns[half + 1] = _mm256_unpackhi_ps(ac, bd);
            let (ac, bd) = (_mm256_unpackhi_ps(a, c), _mm256_unpackhi_ps(b, d));
            columns[half + 2] = _mm256_unpacklo_ps(ac, bd);
            columns[half + 3] = _mm256_unpackhi_ps(ac, bd);
        }
        for (j, &column) in columns.iter().enumerate().take(kept) {
            _mm256_storeu_ps(to.add(j * TILE), column);
        }
    }
}

/// # Safety
///
/// As for `turn_square`.
#[inline(always)]
unsafe fn turn_64(from: *const f64, stride: usize, to: *mut f64, kept: usize) {
    // SAFETY: as the caller grants.
    unsafe {
        for half in [0, 4] {
            let mut columns = [_mm256_setzero_pd(); ROWS];
            for pair in [0, 2, 4, 6] {
                let mut rows = [_mm256_setzero_pd(); 2];
                for (i, row) in rows.iter_mut().enumerate() {
                    // Rows `i` and `i + 2`, so that no value has to change its half of the register.
                    let at = from.add((half + i) * stride + pair);
                    let low = _mm256_castpd128_pd256(_mm_loadu_pd(at));
                    *row = _mm256_insertf128_pd::<1>(low, _mm_loadu_pd(at.add(2 * stride)));
                }
                columns[pair] = _mm256_unpacklo_pd(rows[0], rows[1]);
                columns[pair + 1] = _mm256_unpackhi_pd(rows[0], rows[1]);
            }
            for (j, &column) in columns.iter().enumerate().take(kept) {
                _mm256_storeu_pd(to.add(j * TILE + half), column);
            }
        }
    }
}

/// Survey and, where `SUM`, sums in one loop. Its registers suffice for both, so that arithmetic and
/// memory overlap throughout.
#[inline(always)]
fn one_pass<T: Lane, const SUM: bool, const RAW: bool>(
    block: &[T],
    aside: &mut impl Aside<T>,
) -> (Survey<T>, Sums) {
    match size_of::<T>() {
        2 => one_pass_with::<T, Census16, SUM, RAW>(block, aside),
        4 => one_pass_with::<T, Census32, SUM, RAW>(block, aside),
        _ => one_pass_with::<T, Census64, SUM, RAW>(block, aside),
    }
}

#[inline(always)]
fn one_pass_with<T: Lane, C: Census, const SUM: bool, const RAW: bool>(
    block: &[T],
    aside: &mut impl Aside<T>,
) -> (Survey<T>, Sums) {
    let mut sums = Accumulator::<Avx512, RAW>::new(block);
    let mut census = C::new(block[0].bits().into());
    // A pair of groups, since a single one of 16-bit elements fills but half a register.
    let (pairs, rest) = block.as_chunks::<{ 2 * LANES }>();
    for pair in pairs {
        let at = pair.as_ptr().cast::<__m512i>();
        for line in 0..size_of_val(pair) / 64 {
            Avx512::prefetch(at.wrapping_add(line).wrapping_byte_add(AHEAD));
            // SAFETY: a line is a register, and the lines make up the pair; the load needs no
            // alignment.
            census.add(unsafe { _mm512_loadu_si512(at.add(line)) }, T::MIN_NORMAL.into());
        }
        if SUM {
            let (groups, _) = pair.as_chunks::<LANES>();
            sums.add(&groups[0]);
            sums.add(&groups[1]);
        }
        aside.take(pair);
    }
    aside.finish(rest);
    if !rest.is_empty() {
        // Filled up with the first element, which moves no bound.
        let mut pair = [block[0]; 2 * LANES];
        pair[..rest.len()].copy_from_slice(rest);
        for line in 0..size_of_val(&pair) / 64 {
            // SAFETY: as above.
            census.add(
                unsafe { _mm512_loadu_si512(pair.as_ptr().cast::<__m512i>().add(line)) },
                T::MIN_NORMAL.into(),
            );
        }
    }
    let fill = if rest.is_empty() { 0 } else { (2 * LANES - rest.len()) as u64 };
    let survey = census.survey(block[0], fill);
    let (groups, rest) = rest.as_chunks::<LANES>();
    if SUM {
        for group in groups {
            sums.add(group);
        }
    }
    (survey, sums.finish(block, rest))
}

/// Extremes and counts of bit patterns of one width.
trait Census: Sized {
    fn new(first: u64) -> Self;
    fn add(&mut self, x: __m512i, min_normal: u64);
    /// `fill` of the elements added were copies of `first` that do not count.
    fn survey<T: Lane>(self, first: T, fill: u64) -> Survey<T>;
}

macro_rules! census {
    ($name:ident, $bits:ty, $signed:ty, $set:ident, $max:ident, $min:ident, $max_unsigned:ident, $sub:ident, $zero:ident, $less:ident) => {
        struct $name {
            most: __m512i,
            least: __m512i,
            largest: __m512i,
            zeros: __m512i,
            tiny: __m512i,
        }

        impl Census for $name {
            #[inline(always)]
            fn new(first: u64) -> Self {
                // SAFETY: the calling kernel has the features.
                let (first, zero) = unsafe { ($set(first as $signed), _mm512_setzero_si512()) };
                Self { most: first, least: first, largest: first, zeros: zero, tiny: zero }
            }

            #[inline(always)]
            fn add(&mut self, x: __m512i, min_normal: u64) {
                // SAFETY: the calling kernel has the features.
                unsafe {
                    self.most = $max(self.most, x);
                    self.least = $min(self.least, x);
                    self.largest = $max_unsigned(self.largest, x);
                    let magnitude = _mm512_and_si512(x, $set(<$signed>::MAX));
                    let is_zero = $zero(magnitude, magnitude);
                    let is_tiny = $less(magnitude, $set(min_normal as $signed));
                    // Adds 1 where the mask is set.
                    self.zeros = $sub(self.zeros, is_zero, self.zeros, $set(-1));
                    self.tiny = $sub(self.tiny, is_tiny, self.tiny, $set(-1));
                }
            }

            #[inline(always)]
            fn survey<T: Lane>(self, first: T, fill: u64) -> Survey<T> {
                const N: usize = 64 / size_of::<$bits>();
                // SAFETY: a register and an array of integers, of the same size and valid for every
                // pattern.
                let [most, least, largest, zeros, tiny] = unsafe {
                    std::mem::transmute::<[__m512i; 5], [[$bits; N]; 5]>([
                        self.most,
                        self.least,
                        self.largest,
                        self.zeros,
                        self.tiny,
                    ])
                };
                let (mut high, mut low, mut top, mut zero, mut small) =
                    (most[0] as $signed, least[0] as $signed, largest[0], 0, 0);
                for j in 0..N {
                    high = high.max(most[j] as $signed);
                    low = low.min(least[j] as $signed);
                    top = top.max(largest[j]);
                    zero += zeros[j];
                    small += tiny[j];
                }
                Survey::new(
                    T::signed(T::low_bits(high as $bits as u64)),
                    T::signed(T::low_bits(low as $bits as u64)),
                    T::low_bits(top as u64),
                    zero as u64 - if first.is_zero() { fill } else { 0 },
                    small as u64 - if first.is_tiny() { fill } else { 0 },
                )
            }
        }
    };
}

census!(
    Census16,
    u16,
    i16,
    _mm512_set1_epi16,
    _mm512_max_epi16,
    _mm512_min_epi16,
    _mm512_max_epu16,
    _mm512_mask_sub_epi16,
    _mm512_testn_epi16_mask,
    _mm512_cmplt_epi16_mask
);
census!(
    Census32,
    u32,
    i32,
    _mm512_set1_epi32,
    _mm512_max_epi32,
    _mm512_min_epi32,
    _mm512_max_epu32,
    _mm512_mask_sub_epi32,
    _mm512_testn_epi32_mask,
    _mm512_cmplt_epi32_mask
);
census!(
    Census64,
    u64,
    i64,
    _mm512_set1_epi64,
    _mm512_max_epi64,
    _mm512_min_epi64,
    _mm512_max_epu64,
    _mm512_mask_sub_epi64,
    _mm512_testn_epi64_mask,
    _mm512_cmplt_epi64_mask
);
