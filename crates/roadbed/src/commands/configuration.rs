//! `config …`.

use clap::Subcommand;
use registry::traffic::tls::CertificateStore;

use super::serve::ConfigFile;
use crate::cli::Format;
use crate::config::{self, Config, Sources};
use crate::output;
use crate::serve::proxying;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check file and environment: names, values, ranges, and the files that they name
    Check {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print what is in effect and where each value comes from
    Show {
        #[command(flatten)]
        file: ConfigFile,
        /// Print a complete file with all defaults and explanations instead
        #[arg(long)]
        defaults: bool,
        /// With --defaults: print the page of the documentation
        #[arg(long, requires = "defaults", hide = true)]
        markdown: bool,
    },
}

/// Carries out a command.
pub(crate) fn run(format: Format, command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check { file } => check(format, file),
        ConfigCommand::Show {
            defaults: true,
            markdown: false,
            ..
        } => output::show(format, &config::defaults_list(), |_| config::defaults_toml()),
        ConfigCommand::Show {
            defaults: true,
            markdown: true,
            ..
        } => output::text(&config::defaults_page()),
        ConfigCommand::Show { file, .. } => {
            let (config, layers) = Config::load_with_origins(&Sources::of_process(file.config, Vec::new()))?;
            let keys = config::effective_list(&config, &layers);
            output::show(format, &keys, |_| config::effective_toml(&config, &layers))
        }
    }
}

fn check(format: Format, file: ConfigFile) -> anyhow::Result<()> {
    let config = Config::load(&Sources::of_process(file.config, Vec::new()))?;
    if let Some((cert, key)) = config.tls_files() {
        CertificateStore::load(cert, key)?;
    }
    proxying::check(&config)?;
    if config.data_dir().is_none() {
        anyhow::bail!("no data directory: set server.data_dir, or XDG_DATA_HOME or HOME in the environment");
    }
    output::done(format, "The configuration is good.")
}
