//! A burn device that runs every operation on burn-flex and watches what comes out.
//!
//! burn's `Tensor` runs on a closed set of devices, so nothing outside can look at a user's
//! tensors. This crate takes the place of `burn-flex` in the user's dependency graph (cargo's
//! `[patch]`, switched on by `denan run`): its [`Flex`] is burn's own router over the real
//! flex, so every forward, backward and optimizer operation passes
//! [`channel`], which hands it to the engine and then to [`watch`]. Without a plan in the
//! environment (`DENAN_PLAN`) nothing is watched and operations just pass.
//!
//! - [`channel`]: the router's plumbing, and the engine behind it.
//! - [`watch`]: what is kept of each operation, and how a break is found.
//! - [`sites`]: where in the program an operation was called, at some 100 ns.
//! - [`intervene`]: the one change an experiment makes.
//! - [`replay`]: a step from the record, carried out again.
//!
//! Invariants: the values a program computes are bit for bit those of flex unless an
//! intervention is in force; no failure of the watching reaches the program.

#![deny(missing_docs)]

pub mod channel;
pub mod describe;
mod element;
mod follow;
mod forecast;
mod graph;
pub mod intervene;
pub mod message;
mod operands;
mod parameters;
pub mod replay;
pub mod sites;
mod trace;
pub mod watch;

/// The watched stand-in for burn-flex's backend.
pub type Flex = burn_router::BackendRouter<channel::WatchChannel>;

pub use real_flex::FlexDevice;
