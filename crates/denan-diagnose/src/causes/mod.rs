//! One file per cause, named after its id: `log_of_zero.rs` holds `LogOfZero` with the id `log-of-zero`.
//!
//! The build script finds them, so a new file is a new cause.

include!(concat!(env!("OUT_DIR"), "/causes.rs"));
