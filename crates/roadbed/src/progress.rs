//! Bars on standard error, only where somebody looks.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Bytes of a known total.
pub(crate) fn of_bytes(total: u64) -> ProgressBar {
    bar(
        Some(total),
        "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
}

/// Bytes of which nobody knows how many there will be.
pub(crate) fn of_unknown() -> ProgressBar {
    bar(None, "{spinner} {bytes}, {bytes_per_sec} {msg}")
}

/// Things of a known total.
pub(crate) fn of_items() -> ProgressBar {
    bar(Some(0), "{bar:30} {pos} of {len} {msg}, {eta} left")
}

/// Something that somebody else does. Shown from its first tick on.
pub(crate) fn of_waiting(what: &'static str) -> ProgressBar {
    bar(None, "{spinner} {msg}, {elapsed}").with_message(what)
}

fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(total, target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for template in [
            "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            "{spinner} {bytes}, {bytes_per_sec} {msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
        of_bytes(10).inc(10);
        of_unknown().inc(1);
        of_items().finish();
    }
}
