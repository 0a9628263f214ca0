//! The device from outside: where calls come from, and programs with several threads.

mod sites;
mod threads;
