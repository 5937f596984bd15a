//! Documents as they are read, whatever their form.

mod bundle;
mod envelope;
mod legacy;
mod payload;

use oci::{Digest, RepoName};
use sigstore_verify::types::Bundle;

use crate::{Announced, Form, Predicate, Problem, problem::clip};

/// A document that was read. Nothing in it is believed yet.
pub(crate) struct Document {
    signed: Signed,
    /// Signatures of the message; one that verifies is enough.
    pub(crate) signatures: Vec<Vec<u8>>,
    /// The same as a bundle, for who needs certificates or logs; or why it is none.
    pub(crate) bundle: Result<Bundle, Problem>,
    /// Who stands in the certificate, if there is one.
    pub(crate) certificate: Option<String>,
    /// What is attested.
    pub(crate) predicate: Option<Predicate>,
    /// What it is about.
    about: About,
}

/// What the signatures are of.
enum Signed {
    /// These bytes, which name the image.
    Payload(Vec<u8>),
    /// An encoding of a statement, which names the image.
    Statement(Vec<u8>),
    /// The manifest itself.
    Manifest,
}

/// What a document is about, by its own word.
enum About {
    /// Images of these digests, `sha256:…`.
    Digests(Vec<String>),
    /// An image, and the repository for which it was made.
    Image { digest: String, reference: String },
    /// Whatever it is a signature of.
    Manifest,
}

impl Document {
    /// Reads a document of the announced form.
    pub(crate) fn read(announced: &Announced, bytes: &[u8]) -> Result<Self, Problem> {
        let annotations = announced.annotations();
        match announced.form {
            Form::SimpleSigning => payload::read(bytes, annotations),
            Form::Envelope => envelope::read(bytes, annotations),
            Form::Bundle => bundle::read(bytes),
            Form::Notation => Err(Problem::NotVerified),
        }
    }

    /// Whether it is about the image of that digest.
    pub(crate) fn is_about(&self, digest: &Digest) -> Result<(), Problem> {
        let wanted = digest.to_string();
        let found = match &self.about {
            About::Manifest => return Ok(()),
            About::Image { digest, .. } => std::slice::from_ref(digest),
            About::Digests(digests) => digests.as_slice(),
        };
        if found.contains(&wanted) {
            return Ok(());
        }
        let first = found.first().map_or("nothing", String::as_str);
        Err(Problem::OtherImage(clip(first)))
    }

    /// Whether it was made for that repository, on whatever registry.
    pub(crate) fn names_repository(&self, repository: &RepoName) -> Result<(), Problem> {
        let About::Image { reference, .. } = &self.about else {
            return Err(Problem::NoRepository);
        };
        let named = repository_of(reference);
        if named == Some(repository.as_str()) {
            return Ok(());
        }
        Err(named.map_or(Problem::NoRepository, |_| {
            Problem::OtherRepository(clip(reference))
        }))
    }

    /// The bytes that the signatures are of.
    pub(crate) fn message<'a>(&'a self, manifest: &'a [u8]) -> &'a [u8] {
        match &self.signed {
            Signed::Payload(bytes) | Signed::Statement(bytes) => bytes,
            Signed::Manifest => manifest,
        }
    }

    /// What the bundle is about: the payload that was signed, or the manifest that a statement names.
    pub(crate) fn artifact<'a>(&'a self, manifest: &'a [u8]) -> &'a [u8] {
        match &self.signed {
            Signed::Payload(bytes) => bytes,
            Signed::Statement(_) | Signed::Manifest => manifest,
        }
    }
}

/// `team/app` of `registry.example:5000/team/app:tag@sha256:…`.
fn repository_of(reference: &str) -> Option<&str> {
    let (name, _) = reference.split_once('@').unwrap_or((reference, ""));
    let (_, repository) = name.split_once('/')?;
    // A colon behind the last slash begins a tag.
    let slash = repository.rfind('/').map_or(0, |at| at + 1);
    let end = repository[slash..]
        .find(':')
        .map_or(repository.len(), |at| slash + at);
    Some(&repository[..end])
}

fn malformed(error: impl std::fmt::Display) -> Problem {
    Problem::Malformed(clip(&error.to_string()))
}
