//! One file per command.

pub mod completions;
pub mod demo;
pub mod explain;
mod look;
pub mod replay;
pub mod run;
mod screen;
pub mod show;
