//! Certificates that are reloaded when their files change.
//!
//! Certificates are renewed by other programs (cert-manager, an ACME client) that replace the files. The files are looked
//! at every few seconds; a new pair is taken when both parse and belong together, otherwise the old one stays and the
//! reason is logged.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

/// How often the files are looked at.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Largest certificate or key file that is read, in bytes.
pub const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Why a certificate was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file could not be read.
    #[error("cannot read {path}: check that it exists and that the user who runs the server may read it")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_PEM_BYTES`].
    #[error("{path} is larger than {MAX_PEM_BYTES} bytes and cannot be a PEM file of certificates")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file does not hold what it should.
    #[error("{path} holds no {what} in PEM form")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or the key's kind is not supported.
    #[error("certificate {cert} and key {key} cannot be used together")]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
}

/// The pair of files and what was last read from them.
#[derive(Debug)]
pub struct CertificateStore {
    cert: PathBuf,
    key: PathBuf,
    current: arc_swap::ArcSwap<CertifiedKey>,
}

impl CertificateStore {
    /// Reads the pair for the first time.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let pair = read_pair(cert, key)?;
        Ok(Arc::new(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            current: arc_swap::ArcSwap::from_pointee(pair),
        }))
    }

    /// Reads the pair again; on an error the present one stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read_pair(&self.cert, &self.key)?));
        Ok(())
    }

    /// A server configuration that always uses the newest pair. HTTP/1.1 only (ADR 0003).
    pub fn server_config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_half_rtt_data = false;
        Arc::new(config)
    }

    /// The same for clients that show a certificate of an authority (PEM, any number of them), and for nobody else.
    ///
    /// # Errors
    /// [`TlsError`]: the file of the authority cannot be read, or has none.
    pub fn mutual_config(self: &Arc<Self>, authority: &Path) -> Result<Arc<ServerConfig>, TlsError> {
        let none = || TlsError::Pem {
            path: authority.to_owned(),
            what: "certificate",
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&read(authority)?) {
            let added = certificate.map_err(|_| none())?;
            roots.add(added).map_err(|_| none())?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| none())?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_half_rtt_data = false;
        Ok(Arc::new(config))
    }

    /// Watches the files until the returned task is aborted.
    pub fn watch(self: Arc<Self>) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            let mut seen = self.stamps();
            loop {
                tokio::time::sleep(RELOAD_INTERVAL).await;
                let stamps = self.stamps();
                if stamps == seen {
                    continue;
                }
                match self.reload() {
                    Ok(()) => {
                        tracing::info!(cert = %self.cert.display(), "certificate reloaded");
                        seen = stamps;
                    }
                    // Tried again next time: the reason may be of the moment.
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "certificate not reloaded, the old one stays"
                        );
                    }
                }
            }
        })
    }

    fn stamps(&self) -> [Option<(SystemTime, u64)>; 2] {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        [stamp(&self.cert), stamp(&self.key)]
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read_pair(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(cert)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or(TlsError::Pem {
        path: cert.to_owned(),
        what: "certificate",
    })?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| TlsError::Pem {
        path: key.to_owned(),
        what: "private key",
    })?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|source| {
        TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
            source,
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_PEM_BYTES {
        return Err(TlsError::TooLarge {
            path: path.to_owned(),
        });
    }
    fs::read(path).map_err(failed)
}
