//! The command line against a real server, as a person and as a script use it.
//!
//! `person` runs the binary with a home directory of its own; the other modules go through one group of commands each.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

#[expect(dead_code, reason = "each test binary uses its part of the server")]
#[path = "../../outbound/tests/server/mod.rs"]
mod feed_server;

#[cfg(test)]
mod cli {
    mod access;
    mod configuration;
    mod copy;
    mod declared;
    mod first_start;
    mod housekeeping;
    mod login;
    mod maturity;
    mod person;
    mod road;
    mod rulings;
    mod scan;
    mod signers;
    mod stopped;
    mod traffic;
}
