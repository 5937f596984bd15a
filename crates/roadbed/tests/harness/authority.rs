//! A certificate authority of the test's own, and the certificates that it issues.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::server::Options;

/// An authority whose certificate clients are told to trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Where a server finds its certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// The files of a certificate in a directory; they may not exist yet.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self {
            cert: directory.join("tls.crt"),
            key: directory.join("tls.key"),
        }
    }
}

impl Authority {
    /// A new one; two authorities of the same name are still two.
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("the system has random bytes");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("the parameters are valid");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for a server at these addresses and writes it with its key, the key first: a server that
    /// looks in between finds two that do not belong together and keeps the ones that it has.
    pub(crate) fn issue(&self, addresses: &[IpAddr], files: &Files) {
        let names: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let params = CertificateParams::new(names).expect("addresses are valid names");
        let key = KeyPair::generate().expect("the system has random bytes");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the parameters are valid");
        fs::write(&files.key, key.serialize_pem()).expect("the directory can be written");
        fs::write(&files.cert, certificate.pem()).expect("the directory can be written");
    }

    /// The options of a server with these files, and of the harness that talks to it.
    pub(crate) fn serve(&self, options: Options, files: &Files) -> Options {
        let (cert, key) = (files.cert.to_string_lossy(), files.key.to_string_lossy());
        options
            .arguments(["--tls-cert", &cert, "--tls-key", &key])
            .trusting(&self.pem)
    }
}
