//! Counting checks: a table goes on after a failure, and names all of them at its end.

use std::{
    fmt::Display,
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;

use super::server::Server;

static TABLES: AtomicUsize = AtomicUsize::new(0);
static PASSED: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);

/// Failures that are shown in full.
const SHOWN_FAILURES: usize = 30;

/// The checks of one table.
#[derive(Debug)]
pub(crate) struct Tally {
    table: String,
    passed: usize,
    failed: Vec<String>,
}

impl Tally {
    /// An empty table.
    pub(crate) fn new(table: impl Display) -> Self {
        Self {
            table: table.to_string(),
            passed: 0,
            failed: Vec::new(),
        }
    }

    /// Counts one check.
    pub(crate) fn record(&mut self, check: impl Display, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => self.failed.push(format!("{check}: {error:#}")),
        }
    }

    /// Counts a check of plain values.
    pub(crate) fn check(&mut self, check: impl Display, holds: bool) {
        let outcome = if holds {
            Ok(())
        } else {
            Err(anyhow::anyhow!("does not hold"))
        };
        self.record(check, outcome);
    }

    /// Prints the counts past the capture of the test runner and fails if a check failed.
    pub(crate) fn finish(self, server: &Server) {
        let tables = TABLES.fetch_add(1, Ordering::SeqCst) + 1;
        let passed = PASSED.fetch_add(self.passed, Ordering::SeqCst) + self.passed;
        let failed = FAILED.fetch_add(self.failed.len(), Ordering::SeqCst) + self.failed.len();
        let line = format!(
            "{}: {} checks passed, {} failed; {tables} tables so far: {passed} passed, {failed} failed, 0 skipped\n",
            self.table,
            self.passed,
            self.failed.len()
        );
        // Not `eprintln!`: the runner would keep it to itself.
        let _ = std::io::stderr().write_all(line.as_bytes());
        let shown: Vec<&str> = self
            .failed
            .iter()
            .take(SHOWN_FAILURES)
            .map(String::as_str)
            .collect();
        assert!(
            shown.is_empty(),
            "{}: {} of {} checks failed\n- {}\n--- end of the server's log ---\n{}",
            self.table,
            self.failed.len(),
            self.failed.len() + self.passed,
            shown.join("\n- "),
            server.log_tail()
        );
    }
}
