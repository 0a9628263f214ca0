//! What a program tells denan's device, as a small integer tensor.
//!
//! The device is built from another package than this one, so it cannot be called. Any device
//! takes a tensor, though, and denan's reads those that begin with [`MAGIC`]: a length in bytes
//! and UTF-8 JSON follow, four bytes an integer, little endian.

use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::OnceLock;

const MAGIC: [i32; 3] = [0x6465_6e61, 0x6e00_0000, 1];

/// The plan that `denan run` gave this process, if it runs under denan.
pub fn plan() -> Option<&'static serde_json::Value> {
    static PLAN: OnceLock<Option<serde_json::Value>> = OnceLock::new();
    PLAN.get_or_init(|| serde_json::from_str(&std::env::var("DENAN_PLAN").ok()?).ok()).as_ref()
}

/// Says something to the device, if denan is there to hear it.
pub fn tell(device: &Device, message: &serde_json::Value) {
    if plan().is_none() {
        return;
    }
    let text = message.to_string();
    let mut integers = MAGIC.to_vec();
    integers.push(text.len() as i32);
    integers.extend(text.as_bytes().chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        i32::from_le_bytes(word)
    }));
    let length = integers.len();
    drop(Tensor::<1, Int>::from_data(TensorData::new(integers, [length]), device));
}
