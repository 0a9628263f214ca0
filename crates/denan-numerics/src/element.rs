//! The four element types, and what the kernels need to know of each.

use std::cell::RefCell;

use half::{bf16, f16};

use crate::isa::Isa;
use crate::kernel::LANES;
use crate::tally::Desk;

/// An element type of a tensor: `f32`, `f64`, [`half::f16`] or [`half::bf16`].
///
/// The trait is sealed: the kernels rely on its figures being right.
pub trait Element: Lane {}

impl<T: Lane> Element for T {}

/// One element as the kernels see it; hidden, and named only by [`Element`].
///
/// Classes are told by the bit pattern alone. So they hold where the processor flushes subnormals
/// to zero, and need no rule for NaN.
pub trait Lane: Copy + Send + Sync + 'static {
    /// Unsigned integer of the same size, also used for counts within one block.
    type Bits: Copy + Default + Ord + Into<u64> + Send + Sync;
    /// Signed integer of the same size.
    type Signed: Copy + Ord;

    /// Whether the square of every finite value is exact in `f64`, and the sum of a block of them
    /// finite.
    const EXACT_SQUARES: bool;
    const MIN_NORMAL: Self::Bits;
    /// Number of leading bits that hold the sign, the exponent and three bits of the mantissa.
    const PREFIX_BITS: u32;
    const NO_MARKS: Self::Bits;

    fn bits(self) -> Self::Bits;
    fn of_bits(bits: Self::Bits) -> Self;
    /// The low bits.
    fn low_bits(bits: u64) -> Self::Bits;
    fn signed(bits: Self::Bits) -> Self::Signed;
    fn unsigned(signed: Self::Signed) -> Self::Bits;
    /// One more where `hit`.
    fn count(so_far: Self::Bits, hit: bool) -> Self::Bits;

    fn is_zero(self) -> bool;
    /// Zero or subnormal.
    fn is_tiny(self) -> bool;
    fn is_finite(self) -> bool;
    fn is_nan(self) -> bool;
    fn is_negative(self) -> bool;

    fn to_f64(self) -> f64;
    fn widen<I: Isa>(lanes: &[Self; LANES]) -> I::Wide;

    /// The leading `PREFIX_BITS`.
    fn prefix(bits: Self::Bits) -> usize;
    /// Sets the bit whose number is the leading bits, as many as it takes to number the bits.
    fn mark(marks: Self::Bits, bits: Self::Bits) -> Self::Bits;
    /// The marks of both.
    fn union(marks: Self::Bits, others: Self::Bits) -> Self::Bits;

    /// Calls `work` with what this thread keeps for it between calls.
    fn with_desk<R>(work: impl FnOnce(&mut Desk<Self>) -> R) -> R;
}

macro_rules! lane {
    ($element:ty, $bits:ty, $signed:ty, infinity $infinity:literal, min_normal $min_normal:literal, $widen:ident, $to_f64:expr) => {
        impl Lane for $element {
            type Bits = $bits;
            type Signed = $signed;

            const EXACT_SQUARES: bool = <$bits>::BITS < 64;
            const MIN_NORMAL: $bits = $min_normal;
            const PREFIX_BITS: u32 = <$bits>::BITS - (<$bits>::trailing_zeros($min_normal) - 3);
            const NO_MARKS: $bits = 0;

            #[inline(always)]
            fn bits(self) -> $bits {
                self.to_bits()
            }

            #[inline(always)]
            fn of_bits(bits: $bits) -> Self {
                Self::from_bits(bits)
            }

            #[inline(always)]
            fn low_bits(bits: u64) -> $bits {
                bits as $bits
            }

            #[inline(always)]
            fn signed(bits: $bits) -> $signed {
                bits as $signed
            }

            #[inline(always)]
            fn unsigned(signed: $signed) -> $bits {
                signed as $bits
            }

            #[inline(always)]
            fn count(so_far: $bits, hit: bool) -> $bits {
                so_far.wrapping_add(<$bits>::from(hit))
            }

            // Magnitudes are compared as signed integers, which every instruction set can.
            #[inline(always)]
            fn is_zero(self) -> bool {
                self.to_bits() as $signed & <$signed>::MAX == 0
            }

            #[inline(always)]
            fn is_tiny(self) -> bool {
                (self.to_bits() as $signed & <$signed>::MAX) < $min_normal
            }

            #[inline(always)]
            fn is_finite(self) -> bool {
                (self.to_bits() as $signed & <$signed>::MAX) < $infinity
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                (self.to_bits() as $signed & <$signed>::MAX) > $infinity
            }

            #[inline(always)]
            fn is_negative(self) -> bool {
                (self.to_bits() as $signed) < 0
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                $to_f64(self)
            }

            #[inline(always)]
            fn widen<I: Isa>(lanes: &[Self; LANES]) -> I::Wide {
                I::$widen(lanes)
            }

            #[inline(always)]
            fn prefix(bits: $bits) -> usize {
                (bits >> (<$bits>::BITS - Self::PREFIX_BITS)) as usize
            }

            #[inline(always)]
            fn mark(marks: $bits, bits: $bits) -> $bits {
                marks | 1 << (bits >> (<$bits>::BITS - <$bits>::BITS.trailing_zeros()))
            }

            #[inline(always)]
            fn union(marks: $bits, others: $bits) -> $bits {
                marks | others
            }

            fn with_desk<R>(work: impl FnOnce(&mut Desk<Self>) -> R) -> R {
                thread_local! {
                    static DESK: RefCell<Desk<$element>> = const { RefCell::new(Desk::new()) };
                }
                DESK.with_borrow_mut(work)
            }
        }
    };
}

lane!(f32, u32, i32, infinity 0x7f80_0000, min_normal 0x0080_0000, widen_f32, f64::from);
lane!(f64, u64, i64, infinity 0x7ff0_0000_0000_0000, min_normal 0x0010_0000_0000_0000, widen_f64, std::convert::identity);
lane!(f16, u16, i16, infinity 0x7c00, min_normal 0x0400, widen_f16, |x| f64::from(f16_to_f32(x)));
lane!(bf16, u16, i16, infinity 0x7f80, min_normal 0x0080, widen_bf16, |x| f64::from(bf16_to_f32(x)));

#[inline(always)]
pub(crate) fn bf16_to_f32(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

/// Widens without a branch, so that the loop around it vectorises; `half` asks for the processor's
/// features at every call.
///
/// Fabian Giesen, "float->half variants", <https://gist.github.com/rygorous/2156668>. Right for
/// every finite value; an infinity or NaN becomes a finite value of at least 65536 in magnitude.
#[inline(always)]
pub(crate) fn f16_to_f32(x: f16) -> f32 {
    const REBIAS: u32 = (127 - 15) << 23;
    const MIN_NORMAL: f32 = f32::from_bits(REBIAS + (1 << 23));
    let bits = u32::from(x.to_bits());
    let magnitude = ((bits & 0x7fff) << 13) + REBIAS;
    let subnormal = (f32::from_bits(magnitude + (1 << 23)) - MIN_NORMAL).to_bits();
    let magnitude = if bits & 0x7c00 == 0 { subnormal } else { magnitude };
    f32::from_bits(magnitude | ((bits & 0x8000) << 16))
}
