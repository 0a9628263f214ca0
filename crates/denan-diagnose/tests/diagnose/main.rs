//! What denan says of trainings that broke, each built by hand.

mod arithmetic;
mod data;
mod network;
mod pages;
mod ranking;
mod state;
mod support;
mod training;
