//! See `bodies::osv`.
#![no_main]

#[expect(dead_code, reason = "each target uses one body of the file that all share")]
#[path = "../../crates/findings/tests/advisories_generated/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::osv(data));
