//! The `roadbed` binary.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod config;
mod serve;
mod telemetry;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the registry.
    Serve {
        #[arg(long)]
        data: Option<PathBuf>,
        #[arg(long)]
        listen: Option<String>,
        #[arg(long)]
        tls_cert: Option<PathBuf>,
        #[arg(long)]
        tls_key: Option<PathBuf>,
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Command::Serve { data, listen, tls_cert, tls_key, config } = Cli::parse().command;
    let text = |path: PathBuf| path.display().to_string();
    let flags = [
        ("--data", "server.data_dir", data.map(text)),
        ("--listen", "server.listen", listen),
        ("--tls-cert", "server.tls_cert", tls_cert.map(text)),
        ("--tls-key", "server.tls_key", tls_key.map(text)),
    ];
    let flags = flags.into_iter().filter_map(|(flag, key, value)| Some(config::Flag { flag, key, value: value? }));
    let sources = config::Sources::of_process(config, flags.collect());
    let config = config::Config::load(&sources)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve::run(config))
}
