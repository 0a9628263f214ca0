//! What denan says of trainings that broke, each built by hand.

mod arithmetic;
mod data;
mod pages;
mod ranking;
mod support;
mod training;
