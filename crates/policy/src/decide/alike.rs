//! Which images are decided alike: those of which all is the same that a policy asks about.
//!
//! Builds of one application have the same packages and so the same findings, but another digest, another moment at which they were
//! built and other labels. Where no rule, no message and no waiver reads what is different, the decision about one of them is that
//! about the others, but for the fingerprint of its facts.

use super::unknowns;
use crate::{ImageFacts, Policy, Subject, Waiver};

/// What the decision about an image depends on beside its findings. Two images with equal ones and the same findings are decided alike,
/// at the same moment and by the same advisories.
#[derive(Debug, Clone, PartialEq)]
pub struct Alike(Subject);

impl Alike {
    /// Of an image, whose findings it leaves out. `None`: the image has to be decided by itself.
    pub fn of(policy: &Policy, waivers: &[Waiver], subject: &Subject) -> Option<Self> {
        // How long texts are is told of the image, whatever asks for them.
        let frame = Subject {
            repo: subject.repo.clone(),
            image: subject.image.clone(),
            workload: subject.workload.clone(),
            in_use: subject.in_use,
            pushed_by: subject.pushed_by.clone(),
            findings: Vec::new(),
            advisory_generation: subject.advisory_generation,
        };
        if unknowns::has_too_long_facts(&frame) {
            return None;
        }
        let mut alike = Self(frame);
        let unread = |name: &str| !policy.rules().iter().any(|rule| rule.reads_of_image(name));
        let (image, nothing) = (&mut alike.0.image, ImageFacts::default());
        if unread("digest") && waivers.iter().all(|waiver| waiver.digest.is_none()) {
            image.digest = nothing.digest;
        }
        if unread("created") {
            image.created = None;
        }
        if unread("size") {
            image.size = 0;
        }
        if unread("labels") {
            image.labels.clear();
        }
        if unread("annotations") {
            image.annotations.clear();
        }
        Some(alike)
    }

    /// Whether decisions by this policy depend on when findings were first made here.
    pub fn asks_first_seen(policy: &Policy) -> bool {
        policy.rules().iter().any(|rule| rule.after > 0)
    }
}

#[cfg(test)]
mod tests;
