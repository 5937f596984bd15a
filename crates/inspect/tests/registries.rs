//! The catalogers on what the registries serve. A test whose registry is not reached says so and
//! passes, except with `CI=true`.
//!
//! What was fetched is kept below the target directory and fetched once.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod registries {
    mod fetch;
    mod java;
    mod languages;
    mod scan;
}
