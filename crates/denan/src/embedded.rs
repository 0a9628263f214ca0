//! Sources that travel inside the binary, so that an installed denan needs no checkout.

use std::hash::{DefaultHasher, Hash, Hasher};

/// One file.
#[derive(Hash)]
pub struct Embedded {
    /// Where it belongs, relative.
    pub path: &'static str,
    /// What it holds.
    pub text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A name for this state of the files and of the manifests that go with them: another state has another one.
pub fn digest(files: &[Embedded], manifests: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    (files, manifests).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
