//! The record: everything denan knows of one training.
//!
//! An adapter inside the training follows a [`plan::Plan`] and tells [`event::Event`]s, which
//! travel over [`wire`]; denan collects them in one SQLite file (feature `store`) and reads them
//! back as a [`model::Run`], which is all that causes and cures ever see. A re-run may put the breaking step
//! on [`tape`], which can be carried out again.
//!
//! The adapter does not write SQLite itself: a training may link an SQLite of its own, and
//! cargo admits only one; and a training must not wait for a disk.

#![deny(missing_docs)]

pub mod entering;
pub mod event;
pub mod forecast;
pub mod model;
pub mod origin;
pub mod plan;
pub mod producer;
#[cfg(feature = "store")]
pub mod store;
pub mod tape;
pub mod tell;
pub mod wire;
