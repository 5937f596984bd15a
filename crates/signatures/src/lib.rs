//! Signatures of images: what is attached to an image, and which trusted signer stands behind it.
//!
//! Whoever may push can attach anything. So nothing that is attached counts by its own word: a document counts once a signer whom
//! an administrator trusts for the repository is found to have signed it, and it is about exactly this image. Everything is
//! verified offline, from the documents, the signer's key or roots, and the moment; nothing is ever fetched.
//!
//! - [`announced()`] tells which documents of a manifest are signatures, in the forms of [`Form`]: cosign's signatures and
//!   attestations, Sigstore's bundles, and Notation's, which are only recognised.
//! - [`check()`] reads one document and asks the trusted signers about it. What it answers, [`Checked`], also says why nobody
//!   stands behind it.
//! - [`BlobKey`] verifies detached signatures of files, which are hashed piece by piece.
//! - [`patch`] is the registry's own key, for what it makes of images itself.
//! - [`SignerSpec`] is a signer as administrators declare them, [`TrustedSigner`] the same ready to verify.
//!
//! # Hostile input
//!
//! Documents are bounded before they are read ([`limits`]), and so is how many certificates, log entries and signatures one
//! has. Certificates, logs and timestamps are the business of `sigstore-verify`; keys without a log of `aws-lc-rs`.
//!
//! Read first: `check.rs`, then `document.rs`.

mod blob;
mod check;
mod document;
mod form;
mod glob;
mod key;
pub mod limits;
pub mod patch;
mod problem;
mod signer;
mod trusted;

pub use blob::{BlobDigest, BlobHasher, BlobKey, MAX_SIGNATURE_BYTES, signature_in};
pub use check::{Checked, Image, Predicate, check};
pub use form::{Announced, Form, announced};
pub use problem::Problem;
pub use signer::{Identity, SignerError, SignerSpec};
pub use trusted::TrustedSigner;

#[cfg(test)]
mod tests;
