//! See `bodies::mail`.
#![no_main]

#[path = "../../crates/outbound/tests/generated/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::mail(data));
