//! See `bodies::mail`.
#![no_main]

#[expect(dead_code, reason = "each target uses one body of the file that all share")]
#[path = "../../crates/outbound/tests/generated/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::mail(data));
