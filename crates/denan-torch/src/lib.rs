//! The Rust half of the PyTorch adapter: what the hooks in Python see is handed here, summarised where it lies, put
//! together to steps, and told to denan.
//!
//! - [`watch::Watch`] follows one training: losses, gradients, updates, batches, and the steps they make up. It is
//!   always on and cheap.
//! - [`look::Look`] takes in every operation of a step that is looked at closely, as a graph of the tensors it made.
//! - [`tensor::Tensor`] is a tensor of the framework, read without a copy.
//!
//! Nothing here knows Python, so that all of it is tested without one; the binding is the crate in `python/`.
//!
//! Invariant: a tensor's memory belongs to the framework. It is only read, only while the call that handed it over
//! lasts, and never written.

#![deny(missing_docs)]

mod breaking;
pub mod describe;
mod forecasting;
mod inner;
mod late;
pub mod look;
mod pace;
pub mod tensor;
pub mod watch;
