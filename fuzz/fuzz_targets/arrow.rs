#![no_main]

use denan_fuzz::{Reader, scan_as};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| scan_as("x.arrow", bytes, Reader::Library));
