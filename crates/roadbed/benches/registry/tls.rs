//! One certificate for both servers, and clients that behave like those of registries.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use rustls::{
    CipherSuite, ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// A self-signed certificate for 127.0.0.1, as files.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// PEM of the certificate.
    pub(crate) certificate: PathBuf,
    /// PEM of its private key (ECDSA P-256).
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes the two files.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let files = Self {
            certificate: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
        };
        fs::write(&files.certificate, made.cert.pem())?;
        fs::write(&files.key, made.signing_key.serialize_pem())?;
        Ok(files)
    }
}

/// A client that trusts the certificate and offers AES-128-GCM before AES-256-GCM.
///
/// Clients of registries (docker, containerd, podman, skopeo) are Go programs, and that is Go's order. Left to its own,
/// rustls would ask ours for AES-256 while a Go server takes AES-128 whatever the order: a different cipher for each.
pub(crate) fn client_config(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let mut provider = default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).context("cannot read the certificate")?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
