//! One file per cause, named after its id.

pub(crate) mod degenerate_box;
pub(crate) mod division_by_zero;
pub(crate) mod exp_overflow;
pub(crate) mod infinite_gradient;
pub(crate) mod learning_rate_too_high;
pub(crate) mod log_of_zero;
pub(crate) mod non_finite_input;
pub(crate) mod optimizer_epsilon;
pub(crate) mod unknown;
