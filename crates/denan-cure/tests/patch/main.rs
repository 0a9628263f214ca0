//! Patches of small programs, each written as its author would have formatted it.

mod diffs;
mod drop_samples;
mod layers;
mod learning_rate;
mod lines;
mod optimizers;
mod program;
mod python;
mod safe_op;
