//! Signers ready to verify.

use oci::RepoName;
use sigstore_verify::{
    PublicKeyVerificationPolicy, SubjectAltName, VerificationPolicy, Verifier, trust_root::TrustedRoot,
    types::Bundle,
};
use time::OffsetDateTime;

use crate::{
    Identity, Problem, SignerError, SignerSpec, document::Document, glob, key::PublicKey, problem::clip,
};

/// A signer whose key or roots have been read.
pub struct TrustedSigner {
    spec: SignerSpec,
    proof: Proof,
}

enum Proof {
    Key {
        key: PublicKey,
        roots: Option<Roots>,
    },
    Identity {
        identity: Identity,
        roots: Roots,
    },
    /// Of imported documents; signs nothing.
    Author,
}

/// Authorities and logs that are believed.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what there is of each kind, asked one by one"
)]
struct Roots {
    verifier: Verifier,
    /// Without one, the time of a signature is that of a timestamp, and no log is asked.
    has_log: bool,
    /// Without one, certificates need not have been published.
    has_certificate_log: bool,
    has_authority: bool,
    has_timestamps: bool,
}

impl TrustedSigner {
    /// Reads key and roots.
    ///
    /// # Errors
    /// Something is missing, contradictory, too large, or no key or root.
    pub fn new(spec: SignerSpec) -> Result<Self, SignerError> {
        spec.check()?;
        let roots = spec.roots.as_deref().map(Roots::read).transpose()?;
        let proof = match (&spec.key, &spec.identity) {
            (Some(key), _) => {
                if roots.as_ref().is_some_and(|roots| !roots.has_log) {
                    return Err(SignerError::EmptyRoots("transparency log"));
                }
                Proof::Key {
                    key: PublicKey::from_pem(key)?,
                    roots,
                }
            }
            (None, Some(identity)) => Proof::Identity {
                identity: identity.clone(),
                roots: roots.ok_or(SignerError::NoRoots)?.for_identities()?,
            },
            (None, None) => Proof::Author,
        };
        Ok(Self { spec, proof })
    }

    /// What was declared.
    pub fn spec(&self) -> &SignerSpec {
        &self.spec
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Whether it is trusted for the repository at that moment.
    pub fn is_for(&self, repository: &RepoName, now: OffsetDateTime) -> bool {
        let is_over = self.spec.until.is_some_and(|until| until < now);
        !is_over
            && self
                .spec
                .repositories
                .iter()
                .any(|pattern| pattern.matches(repository))
    }

    /// Whether it signs anything; an author of imported documents does not.
    pub fn signs(&self) -> bool {
        !matches!(self.proof, Proof::Author)
    }

    /// Whether its VEX statements about a product count that is called so: by package URLs and digests.
    pub fn speaks_of<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        let products = &self.spec.products;
        let is_named = |name: &str| products.iter().any(|product| glob::matches(product, name));
        self.spec.vex && (products.is_empty() || names.any(is_named))
    }

    /// Whether it made the signature of a document, which is about the image in `manifest`.
    pub(crate) fn verify(
        &self,
        document: &Document,
        manifest: &[u8],
        repository: &RepoName,
    ) -> Result<(), Problem> {
        if self.spec.match_reference {
            document.names_repository(repository)?;
        }
        let artifact = document.artifact(manifest);
        match &self.proof {
            Proof::Key { key, roots } => {
                if document.certificate.is_some() {
                    return Err(Problem::NotByKey);
                }
                if !document
                    .signatures
                    .iter()
                    .any(|made| key.made(document.message(manifest), made))
                {
                    return Err(Problem::Signature);
                }
                match roots {
                    Some(roots) => roots.verify_key(key, logged(document)?, artifact),
                    None => Ok(()),
                }
            }
            Proof::Identity { identity, roots } => {
                if document.certificate.is_none() {
                    return Err(Problem::NotByCertificate);
                }
                let bundle = document.bundle.as_ref().map_err(Clone::clone)?;
                roots.verify_identity(identity, bundle, artifact)
            }
            Proof::Author => Err(Problem::Signature),
        }
    }
}

/// A document with an entry of a log.
fn logged(document: &Document) -> Result<&Bundle, Problem> {
    let bundle = document.bundle.as_ref().map_err(Clone::clone)?;
    if bundle.verification_material.tlog_entries.is_empty() {
        return Err(Problem::NotLogged);
    }
    Ok(bundle)
}

impl Roots {
    fn read(json: &str) -> Result<Self, SignerError> {
        let unusable = |error: &dyn std::fmt::Display| SignerError::Roots(clip(&error.to_string()));
        let root = TrustedRoot::from_json(json).map_err(|error| unusable(&error))?;
        Ok(Self {
            verifier: Verifier::new(&root).map_err(|error| unusable(&error))?,
            has_log: !root.tlogs.is_empty(),
            has_certificate_log: !root.ctlogs.is_empty(),
            has_authority: !root.certificate_authorities.is_empty(),
            has_timestamps: !root.timestamp_authorities.is_empty(),
        })
    }

    /// An identity that no authority certifies could never sign, nor could one at no known time.
    fn for_identities(self) -> Result<Self, SignerError> {
        if !self.has_authority {
            return Err(SignerError::EmptyRoots("certificate authority"));
        }
        if !self.has_log && !self.has_timestamps {
            return Err(SignerError::EmptyRoots(
                "transparency log and no timestamp authority",
            ));
        }
        Ok(self)
    }

    fn verify_key(&self, key: &PublicKey, bundle: &Bundle, artifact: &[u8]) -> Result<(), Problem> {
        let policy = PublicKeyVerificationPolicy::new(key.der.clone());
        self.verifier
            .verify(artifact, bundle, &policy)
            .map(drop)
            .map_err(|error| unproven(&error))
    }

    fn verify_identity(&self, identity: &Identity, bundle: &Bundle, artifact: &[u8]) -> Result<(), Problem> {
        if self.has_log && bundle.verification_material.tlog_entries.is_empty() {
            return Err(Problem::NotLogged);
        }
        let mut policy = VerificationPolicy::any_identity();
        if !self.has_log {
            policy = policy.skip_tlog_unsafe();
        }
        if !self.has_certificate_log {
            policy = policy.skip_sct();
        }
        let verified = self
            .verifier
            .verify(artifact, bundle, &policy)
            .map_err(|error| unproven(&error))?;
        let subject = verified
            .identity()
            .map(SubjectAltName::as_str)
            .unwrap_or_default();
        let issuer = verified.issuer().unwrap_or_default();
        if issuer == identity.issuer && glob::matches(&identity.subject, subject) {
            return Ok(());
        }
        Err(Problem::OtherIdentity {
            found: clip(&format!("{subject} of {issuer}")),
            expected: clip(&format!("{} of {}", identity.subject, identity.issuer)),
        })
    }
}

fn unproven(error: &sigstore_verify::Error) -> Problem {
    Problem::Unproven(clip(&error.to_string()))
}
