//! zstd (RFC 8878): any number of frames, skippable ones between them, a bounded window.

use std::io::{self, BufRead};

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{malformed, truncated};
use crate::Exceeded;

/// The window that no configuration raises: what `zstd --ultra -22` and `--long=27` make.
pub(super) const MOST_WINDOW: u64 = 128 << 20;

/// `ZSTD_error_frameParameter_windowTooLarge`; the library returns errors as negative numbers.
const WINDOW_TOO_LARGE: usize = 0_usize.wrapping_sub(16);

/// Decompresses frames one after another.
pub(super) struct Zstandard {
    context: DCtx<'static>,
    window: u64,
    inside_frame: bool,
}

impl Zstandard {
    /// `window`: bytes of the largest window, rounded down to a power of two.
    pub(super) fn new(window: u64) -> io::Result<Self> {
        let window = window.clamp(1 << 10, MOST_WINDOW);
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context
            .set_parameter(DParameter::WindowLogMax(window.ilog2()))
            .map_err(|_| malformed("the window of zstd cannot be set"))?;
        Ok(Self {
            context,
            window,
            inside_frame: false,
        })
    }

    /// Fills some of `out`; 0 is the end.
    pub(super) fn read(&mut self, source: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = source.fill_buf()?;
            if input.is_empty() && !self.inside_frame {
                return Ok(0);
            }
            let at_end = input.is_empty();
            let mut input = InBuffer::around(input);
            let mut output = OutBuffer::around(&mut *out);
            let left = self
                .context
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| self.error(code))?;
            let (consumed, produced) = (input.pos(), output.pos());
            source.consume(consumed);
            self.inside_frame = left != 0;
            if produced != 0 {
                return Ok(produced);
            }
            if at_end && self.inside_frame {
                return Err(truncated());
            }
        }
    }

    fn error(&self, code: usize) -> io::Error {
        if code != WINDOW_TOO_LARGE {
            return malformed("the zstd frame is damaged");
        }
        io::Error::other(Exceeded {
            limit: "layer.zstd_window",
            detail: format!("a frame wants a window of more than {} bytes", self.window),
        })
    }
}
