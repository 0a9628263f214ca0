//! The record as a file: what comes back, what survives, what is refused.

mod bounded;
mod damage;
mod document;
mod failure;
mod live;
mod round_trip;
mod sample;
