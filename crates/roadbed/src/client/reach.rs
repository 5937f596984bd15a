//! Why a registry could not be reached, with what to do about it.

use std::error::Error;
use std::io;

use reqwest::Url;
use rustls::{CertificateError, InvalidMessage};

/// What to do about a request that got no answer, if its cause tells.
pub(super) fn remedy(base: &Url, error: &reqwest::Error) -> Option<&'static str> {
    let is_plain = base.scheme() == "http";
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return remedy_of_tls(error);
        }
        if is_plain
            && error
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_parse)
        {
            return Some("the server does not answer in plain HTTP: if it speaks TLS, write https://");
        }
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            return Some("nothing listens there: start the server, or correct the address");
        }
        // An I/O error's source is that of the error within, which is passed over that way.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = within
            .map(|within| within as &(dyn Error + 'static))
            .or_else(|| error.source());
    }
    None
}

fn remedy_of_tls(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("the server does not speak TLS: write http:// in front of its address")
        }
        rustls::Error::InvalidCertificate(wrong) => remedy_of_certificate(wrong),
        _ => None,
    }
}

fn remedy_of_certificate(wrong: &CertificateError) -> Option<&'static str> {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(
            "the server's certificate is of an authority that is not known here: name it with --ca-cert FILE",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("the server's certificate is for another name: use the name that it holds")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("the server's certificate has ended: renew it")
        }
        // The one below has no variant of its own, only this text of the library that checks certificates.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => Some(
            "the server's certificate is one of an authority (CA:TRUE): make it with \
             -addext basicConstraints=critical,CA:FALSE",
        ),
        _ => None,
    }
}
