//! From a document to the signers who stand behind it.

use oci::{Digest, RepoName};
use time::OffsetDateTime;

use crate::{Announced, Form, Problem, TrustedSigner, document::Document, patch::COSIGN_SIGN};

/// Problems that are told of one document, at most: with many signers they are all alike.
const MAX_PROBLEMS: usize = 3;

/// What a signature has to be about.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Where it lies.
    pub repository: &'a RepoName,
    /// Digest of its manifest.
    pub digest: &'a Digest,
    /// Its manifest.
    pub manifest: &'a [u8],
}

/// What is said about the image in an attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// Its type, a URI.
    pub kind: String,
    /// What it says, JSON.
    pub body: String,
}

/// What was found out about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its form.
    pub form: Form,
    /// The trusted signers who made it; none: it does not count.
    pub signers: Vec<String>,
    /// Who stands in its certificate, by its own word as long as there are no signers.
    pub certificate: Option<String>,
    /// What it says beyond that somebody signed the image. A signature has none.
    pub predicate: Option<Predicate>,
    /// Why it does not count.
    pub problem: Option<Problem>,
}

impl Checked {
    /// One that was not even read.
    pub fn unread(form: Form, problem: Problem) -> Self {
        Self {
            form,
            signers: Vec::new(),
            certificate: None,
            predicate: None,
            problem: Some(problem),
        }
    }

    /// Whether it says that somebody signed the image; an attestation says something else.
    pub fn is_signature(&self) -> bool {
        self.predicate.is_none()
    }
}

/// Reads a document and asks the signers about it who are trusted for the repository at that moment.
pub fn check(
    announced: &Announced,
    bytes: &[u8],
    image: &Image<'_>,
    signers: &[TrustedSigner],
    now: OffsetDateTime,
) -> Checked {
    if announced.form == Form::Notation {
        return Checked::unread(announced.form, Problem::NotVerified);
    }
    let document = match Document::read(announced, bytes) {
        Ok(document) => document,
        Err(problem) => return Checked::unread(announced.form, problem),
    };
    let (made_by, problem) = match document.is_about(image.digest) {
        Ok(()) => ask(&document, image, signers, now),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    Checked {
        form: announced.form,
        signers: made_by,
        certificate: document.certificate,
        predicate: document
            .predicate
            .filter(|predicate| predicate.kind != COSIGN_SIGN),
        problem,
    }
}

fn ask(
    document: &Document,
    image: &Image<'_>,
    signers: &[TrustedSigner],
    now: OffsetDateTime,
) -> (Vec<String>, Option<Problem>) {
    let (mut made_by, mut problems) = (Vec::new(), Vec::new());
    let trusted = signers
        .iter()
        .filter(|signer| signer.signs() && signer.is_for(image.repository, now));
    for signer in trusted {
        match signer.verify(document, image.manifest, image.repository) {
            Ok(()) => made_by.push(signer.name().to_owned()),
            Err(problem) => problems.push(format!("{}: {problem}", signer.name())),
        }
    }
    if !made_by.is_empty() {
        return (made_by, None);
    }
    if problems.is_empty() {
        return (made_by, Some(Problem::Nobody));
    }
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    (made_by, Some(Problem::ByNone(problems.join("; "))))
}
