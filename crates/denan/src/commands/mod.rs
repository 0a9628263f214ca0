//! One file per command.

pub mod anchors;
pub mod clean;
mod cluster;
pub mod completions;
mod cures;
pub mod demo;
pub mod explain;
mod look;
pub mod replay;
mod rerun;
pub mod run;
pub mod scan;
mod screen;
pub mod show;
