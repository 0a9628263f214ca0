//! The laws of the summaries, against a reference that looks at one element at a time.

mod histogram;
mod patterns;
mod reference;
#[cfg(feature = "serde")]
mod round_trip;
mod strided;
mod summary;
mod tally;
