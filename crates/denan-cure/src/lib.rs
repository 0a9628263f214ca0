//! Cures are experiments: the training runs again with exactly one thing changed.
//!
//! - [`experiments`] decides what to try for a diagnosis, searches the value where there is one
//!   (the highest learning rate, the loosest clip, the smallest epsilon that survive), and puts
//!   the results in order;
//! - [`verdict`] judges one re-run against the record;
//! - [`patch`] turns an intervention into a change of the user's own line.
//!
//! Running a training again is the caller's business (trait [`experiments::Rerun`]), so that all
//! of this can be tested without one.

#![deny(missing_docs)]

pub mod experiments;
pub mod patch;
pub mod verdict;

/// Ids of all interventions there are.
pub const INTERVENTIONS: [&str; 22] = [
    "drop-samples",
    "clamp-inputs",
    "normalize-inputs",
    "safe-op",
    "float32",
    "scale-loss",
    "mean-loss",
    "smaller-batch",
    "reinitialize",
    "insert-norm",
    "freeze-batch-norm",
    "replace-anchors",
    "zero-grad",
    "lower-learning-rate",
    "constant-learning-rate",
    "warm-up",
    "change-optimizer",
    "clip-gradients",
    "raise-epsilon",
    "weight-decay",
    "freeze-released",
    "lower-released-rate",
];
