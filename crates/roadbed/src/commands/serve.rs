//! `roadbed serve`.

use std::path::PathBuf;

use crate::config::{Config, Flag, Sources};

const ENVIRONMENT: &str = "\
Every key of the file can be set in the environment as ROADBED_SECTION__KEY; `roadbed config show --defaults` lists them.
ROADBED_ADMIN_PASSWORD sets the password of the first administrator (user `admin`) on an empty data directory; without
it one is made up and printed once.

Examples:
  roadbed serve
  roadbed serve --data /srv/roadbed --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem
  ROADBED_ADMIN_PASSWORD=\"$(cat password)\" roadbed serve --config /etc/roadbed.toml";

/// Options of `serve`; each wins over the environment, which wins over the file.
#[derive(Debug, clap::Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct ServeArgs {
    /// Directory of the database and the blobs [default: the user's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
}

/// The configuration file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigFile {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "ROADBED_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigFile {
    /// As it was typed, or as the environment has it.
    pub(crate) fn words(&self) -> Vec<String> {
        let config = self.config.iter();
        config
            .flat_map(|config| ["--config".to_owned(), config.display().to_string()])
            .collect()
    }
}

impl ServeArgs {
    fn into_sources(self) -> Sources {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let flags = [
            ("--data", "server.data_dir", self.data.map(path)),
            ("--listen", "server.listen", self.listen),
            ("--tls-cert", "server.tls_cert", self.tls_cert.map(path)),
            ("--tls-key", "server.tls_key", self.tls_key.map(path)),
        ];
        Sources::of_process(self.file.config, Flag::given(flags))
    }
}

/// Serves until told to stop.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    crate::serve::copying::choose_well();
    // It is large.
    Box::pin(crate::serve::run(Config::load(&args.into_sources())?)).await
}
