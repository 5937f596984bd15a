//! The distribution specification, 1.1 and its main branch, asked of the real binary with authentication on.
//!
//! Black box: nothing of our own crates is used, every expectation is written from the specification. Each test is a
//! table of checks against a server of its own; a table names all that failed and prints how many it made, and the
//! last line printed counts them all. `data_sets` says what is pushed, `journey` what is done with it; the other
//! modules take one endpoint each, and `bad_*` what a registry must survive.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

mod protocol {
    mod bad_bytes;
    mod bad_clients;
    mod bad_manifests;
    mod bad_paths;
    mod bad_uploads;
    mod blob_pushes;
    mod blob_ranges;
    mod caps;
    mod data_sets;
    mod errors;
    mod journey;
    mod lists;
    mod logins;
    mod manifests;
    mod mounts;
    mod namespaces;
    mod referrers;
    mod roles;
    mod tenants;
    mod uploads;
    mod witness;
}
