//! Results as the user gets them, in every format.

mod concise;
mod fixtures;
mod full;
mod json;
mod laws;
mod parts;
