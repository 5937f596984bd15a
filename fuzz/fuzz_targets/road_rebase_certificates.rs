//! See `rebase::certificates`.
#![no_main]

#[expect(dead_code, reason = "each target uses one body of the file that all share")]
#[path = "../../crates/road/tests/generated/rebase.rs"]
mod rebase;

libfuzzer_sys::fuzz_target!(|data: &[u8]| rebase::certificates(data));
