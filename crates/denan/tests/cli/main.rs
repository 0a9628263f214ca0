//! The program as its users call it: exit codes, messages, documents.

mod anchors;
mod bad_input;
mod explain;
mod protocol;
mod scan;
mod support;
