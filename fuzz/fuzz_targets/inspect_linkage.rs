//! See `bodies::linkage`.
#![no_main]

#[expect(dead_code, reason = "each target uses one body of the file that all share")]
#[path = "../../crates/inspect/tests/layers/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::linkage(data));
