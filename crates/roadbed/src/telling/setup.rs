//! From the configuration to a client.

use std::io::{self, Read as _};
use std::path::PathBuf;

use outbound::{AddressGuard, OutboundError, Settings};
use thiserror::Error;

use crate::config::{self, Config};

/// Bytes of the file of authorities.
const FILE_BYTES: u64 = 4 << 20;

/// What a registry is called that has no URL of its own.
const NAMELESS: &str = "/roadbed";

/// Why nobody can be told anything.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    /// The file of authorities cannot be read.
    #[error("telling.ca_file: cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No client can be made of the configuration.
    #[error("telling: nothing can be sent")]
    Client(#[from] OutboundError),
}

/// How the client behaves.
pub(super) fn settings(telling: &config::Telling) -> Result<Settings, SetupError> {
    let listed = telling.allowed_private.clone();
    let authorities = match &telling.ca_file {
        Some(path) => vec![read(path.clone())?],
        None => Vec::new(),
    };
    Ok(Settings {
        guard: AddressGuard::with_listed(move |address| {
            listed.iter().any(|network| network.contains(address))
        }),
        authorities,
        proxy: telling.proxy.as_ref().map(|url| url.0.clone()),
        connect_timeout: telling.connect_timeout.0,
        // The whole is what counts.
        idle_timeout: telling.answer_timeout.0.saturating_mul(2),
        total_timeout: telling.answer_timeout.0,
        redirects: telling.redirects,
        ..Settings::default()
    })
}

fn read(path: PathBuf) -> Result<Vec<u8>, SetupError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(source) => Err(SetupError::File { path, source }),
    }
}

/// What this registry is called in events.
pub(super) fn source(config: &Config) -> String {
    let url = config.server.public_url.as_ref();
    url.map_or_else(|| NAMELESS.to_owned(), |url| url.as_str().to_owned())
}
