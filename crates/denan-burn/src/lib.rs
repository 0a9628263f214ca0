//! Optional calls for burn programs: names of samples and parameters, for denan to use.
//!
//! `denan run -- cargo run` watches any burn program as it is. What it cannot see from outside is
//! which item of the data set a row of a batch is, and what a parameter is called. A program that
//! says so gets both in the diagnosis, and denan can leave single samples out to prove that they
//! are to blame:
//!
//! - [`data::watched`] and [`data::WatchedBatcher`] around a data set and its batcher;
//! - [`name_parameters`] once after a module is made.
//!
//! [`remedies`] holds what denan's cures do, as calls for a program of one's own.
//!
//! A program that makes these calls computes the same numbers with and without denan. Outside of
//! `denan run` they cost next to nothing.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::Device;
//!
//! let model = LinearConfig::new(4, 2).init(&Device::default().autodiff());
//! denan_burn::name_parameters(&model);
//! ```

#![deny(missing_docs)]

pub mod data;
mod message;
mod names;
pub mod remedies;

pub use names::name_parameters;
