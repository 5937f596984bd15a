//! What a test says that lacks something of the machine.

use std::io::Write as _;

/// Says past the capture of the test runner that a test did not run; `./test` counts these lines. With `CI=true` it is a failure.
pub(crate) fn skip(why: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!is_ci, "with CI=true a skip is a failure: {why}");
    say("SKIPPED", why);
}

/// The same of what a machine need not have: data that lie beside the workspace, another distribution.
pub(crate) fn impossible(why: &str) {
    say("NOT POSSIBLE", why);
}

fn say(verdict: &str, why: &str) {
    let thread = std::thread::current();
    let line = format!("{verdict}: {}: {why}\n", thread.name().unwrap_or("a test"));
    // Not `eprintln!`: the runner would keep it to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
