//! TLS around a connection that is not HTTP: of mail, or of whoever tries whether there is any.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, crypto};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

use super::Wire;

/// The same stream with TLS on it, if the certificate is the host's by somebody whom the system or the settings trust.
pub(crate) async fn wrap(
    stream: Box<dyn Wire>,
    host: &str,
    authorities: &[Vec<u8>],
) -> Result<Box<dyn Wire>, String> {
    let config = config(authorities).map_err(|error| format!("TLS cannot be prepared: {error}"))?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| "it has no name that a certificate could have".to_owned())?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    match connected {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(format!("no TLS: {error}")),
    }
}

fn config(authorities: &[Vec<u8>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = Vec::new();
    for pem in authorities {
        let read: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
        roots.extend(read.map_err(|error| rustls::Error::General(error.to_string()))?);
    }
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}
