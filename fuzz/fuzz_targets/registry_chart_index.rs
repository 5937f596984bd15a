//! An index of charts, as its repository sends it.
#![no_main]

use registry::proxy::{ChartIndex, IndexLimits};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = IndexLimits {
        bytes: 1 << 20,
        versions: 1_000,
    };
    let _ = ChartIndex::read(data, &limits);
});
