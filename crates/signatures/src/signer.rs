//! Signers as administrators declare them.

use oci::RepoPattern;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::limits::{MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_ROOTS_BYTES};

/// Who is trusted, where and until when, and how they prove to be it: exactly one of `key`, `identity` and `author`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerSpec {
    /// Its name in rules (`image.signed_by`) and reports: 1 to 64 of a-z, A-Z, 0-9, `-`, `.` and `_`.
    pub name: String,
    /// The repositories for which it is trusted.
    pub repositories: Vec<RepoPattern>,
    /// A public key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Who stands in the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The author of `OpenVEX` documents that administrators import; they carry no signature, and the import stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Sigstore's `trusted_root.json`: the authorities and logs that are believed. An identity needs it; with a key it means that
    /// the log must know the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<String>,
    /// Whether a signature must name the repository that it lies in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub match_reference: bool,
    /// Its last moment; nothing that it signed counts afterwards.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub until: Option<OffsetDateTime>,
    /// Whether its VEX statements count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vex: bool,
    /// Products that they may be about, as package URLs or digests with `*`; none: everything in its repositories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<String>,
}

/// Who stands in a certificate of Fulcio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The issuer that signed them in, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// Their address or URI; `*` stands for any text.
    pub subject: String,
}

/// What is wrong with a signer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignerError {
    /// Its name.
    #[error("the name of a signer has 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, -, . and _")]
    Name,
    /// It proves to be itself in no way, or in several.
    #[error("a signer has exactly one of `key`, `identity` and `author`")]
    Proof,
    /// No or too many patterns.
    #[error("a signer has 1 to {MAX_PATTERNS} `repositories`")]
    Repositories,
    /// Too many, too long or empty patterns of products.
    #[error("a signer has at most {MAX_PATTERNS} `products` of 1 to {MAX_PATTERN_BYTES} bytes")]
    Products,
    /// Not a key that can be used.
    #[error(
        "`key` is no public key: it takes a PEM block `PUBLIC KEY` of ECDSA (P-256, P-384, P-521), Ed25519, or RSA of at least \
         2048 bits, such as cosign.pub"
    )]
    Key,
    /// Issuer, subject or author is empty or too long.
    #[error("`{0}` has 1 to {MAX_PATTERN_BYTES} bytes")]
    Text(&'static str),
    /// A subject that anybody has.
    #[error("a `subject` of nothing but `*` trusts whoever the issuer signs in: name more of it")]
    AnySubject,
    /// An identity needs roots.
    #[error("an `identity` needs `roots`: Sigstore's trusted_root.json, of the public instance or your own")]
    NoRoots,
    /// Roots that cannot be used.
    #[error("`roots` is no trusted_root.json that can be used: {0}")]
    Roots(String),
    /// Roots that certify nothing.
    #[error("`roots` names no {0}")]
    EmptyRoots(&'static str),
    /// An author needs to be trusted for VEX and has no roots.
    #[error(
        "an `author` is trusted for imported VEX only: it needs `vex: true`, and has neither `roots` nor `match_reference`"
    )]
    Author,
    /// Products without VEX.
    #[error("`products` are for VEX: they need `vex: true`")]
    ProductsWithoutVex,
}

impl SignerSpec {
    /// What is wrong with it, as far as that is seen without reading keys and roots.
    pub(crate) fn check(&self) -> Result<(), SignerError> {
        self.check_name()?;
        if self.repositories.is_empty() || self.repositories.len() > MAX_PATTERNS {
            return Err(SignerError::Repositories);
        }
        let is_good = |product: &String| !product.is_empty() && product.len() <= MAX_PATTERN_BYTES;
        if self.products.len() > MAX_PATTERNS || !self.products.iter().all(is_good) {
            return Err(SignerError::Products);
        }
        if !self.products.is_empty() && !self.vex {
            return Err(SignerError::ProductsWithoutVex);
        }
        if self
            .roots
            .as_ref()
            .is_some_and(|roots| roots.len() > MAX_ROOTS_BYTES)
        {
            return Err(SignerError::Roots(format!("it has over {MAX_ROOTS_BYTES} bytes")));
        }
        match (&self.key, &self.identity, &self.author) {
            (Some(key), None, None) if key.len() > MAX_KEY_BYTES => Err(SignerError::Key),
            (Some(_), None, None) => Ok(()),
            (None, Some(identity), None) => self.check_identity(identity),
            (None, None, Some(author)) => self.check_author(author),
            _ => Err(SignerError::Proof),
        }
    }

    fn check_name(&self) -> Result<(), SignerError> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let has_length = (1..=MAX_NAME_BYTES).contains(&self.name.len());
        if has_length && self.name.bytes().all(is_good) {
            Ok(())
        } else {
            Err(SignerError::Name)
        }
    }

    fn check_identity(&self, identity: &Identity) -> Result<(), SignerError> {
        check_text("issuer", &identity.issuer)?;
        check_text("subject", &identity.subject)?;
        if identity.subject.bytes().all(|byte| byte == b'*') {
            return Err(SignerError::AnySubject);
        }
        if self.roots.is_none() {
            return Err(SignerError::NoRoots);
        }
        Ok(())
    }

    fn check_author(&self, author: &str) -> Result<(), SignerError> {
        check_text("author", author)?;
        if !self.vex || self.roots.is_some() || self.match_reference {
            return Err(SignerError::Author);
        }
        Ok(())
    }
}

fn check_text(what: &'static str, text: &str) -> Result<(), SignerError> {
    if (1..=MAX_PATTERN_BYTES).contains(&text.len()) {
        Ok(())
    } else {
        Err(SignerError::Text(what))
    }
}
