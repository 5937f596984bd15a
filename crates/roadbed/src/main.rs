//! Roadbed: a self-hosted registry for container images, and its command line.
//!
//! `serve` is the registry. Every other command is a client of its JSON API, except those that work on the data
//! directory of a stopped server (`--data`). Read first: `cli.rs` (what there is), then the module of a command.

mod apply_files;
mod catalogue;
mod cli;
mod client;
mod commands;
mod config;
#[cfg(test)]
mod dice;
mod feeds;
mod fleet;
mod freshness;
mod gate;
mod incidents;
mod inside;
mod jobs;
mod judge;
mod local;
mod maturity;
mod mirror;
mod moment;
mod output;
mod paving;
mod progress;
mod prompt;
mod rebase;
mod reevaluate;
mod serve;
mod telemetry;
mod telling;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

/// Returns freed memory to the system sooner and fragments less than the system's allocator under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    install_crypto();
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => output::failed(&error),
    }
}

/// One provider of cryptography in the whole process; it must be there before anything makes a TLS configuration.
fn install_crypto() {
    // Fails only when there is one already, and nothing ran before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
