//! Images that are judged by one state of everything: what is the same of two of them is found out once.
//!
//! Builds of an application mostly differ in packages that nothing is known against (their own), in their moments and in their labels. Two
//! images have the same findings when the same is known of their packages, in the same layers, and the same was found in their files, and
//! they are decided alike when all else is the same that the policy asks about ([`policy::Alike`]). What was decided of the first of them
//! is then what is decided of the others; each has its own record of when findings were first made, and its own fingerprint.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use oci::Digest;
use policy::{Alike, FindingsFingerprint, JudgedFinding, Subject, Unknown};
use store::{Judgement, Point, Seen, Verdicts};

use super::{
    POINTS,
    image::Ready,
    judgement_of,
    knowledge::Facts,
    matched::Mark,
    subject::{Frame, Framed, order_unknowns},
    timestamp,
};

/// Decides images by one state.
pub(super) struct Decided<'f> {
    facts: &'f Facts,
    /// Whether it matters when findings were first made.
    asks_first_seen: bool,
    /// By what stands for what is known of the packages.
    known: HashMap<Digest, Vec<Known>>,
}

/// An image that was decided.
struct Known {
    alike: Alike,
    /// What was found in its files and in how it is made.
    others: Vec<JudgedFinding>,
    seen: Option<Seen>,
    /// Kinds of packages of which nothing is known.
    uncovered: BTreeSet<&'static str>,
    /// What could not be found out of its packages.
    unknowns: Vec<Unknown>,
    keys: Vec<u64>,
    fingerprint: FindingsFingerprint,
    verdicts: Verdicts,
}

impl<'f> Decided<'f> {
    /// By a state.
    pub(super) fn by(facts: &'f Facts) -> Self {
        Self {
            asks_first_seen: Alike::asks_first_seen(&facts.policy),
            known: HashMap::new(),
            facts,
        }
    }

    /// What is decided of an image, and by whom it is signed.
    pub(super) fn verdicts(&mut self, ready: &'f Ready) -> Result<(Verdicts, Vec<String>)> {
        match Framed::of(&ready.about, &ready.gathered, self.facts)? {
            Framed::Nothing(subject) => {
                let verdicts = verdicts_of((*subject, Vec::new()), ready, self.facts)?;
                Ok((verdicts, Vec::new()))
            }
            Framed::Image(frame) => {
                let signed_by = frame.subject.image.signed_by.clone();
                Ok((self.of_image(frame, ready)?, signed_by))
            }
        }
    }

    fn of_image(&mut self, frame: Box<Frame<'f>>, ready: &'f Ready) -> Result<Verdicts> {
        let about = &ready.about;
        let alike = frame.vex.is_empty().then(|| self.alike(&frame.subject)).flatten();
        let among = alike.and_then(|alike| {
            let among = self.facts.matched.of(&frame.packages, frame.os, self.facts);
            Some((alike, among?))
        });
        let Some((alike, among)) = among else {
            return verdicts_of(frame.into_subject(about, self.facts), ready, self.facts);
        };
        let seen = self.asks_first_seen.then(|| about.seen.clone());
        let (said, uncovered) = (among.said(), among.uncovered());
        let known = self.known.get(&said).into_iter().flatten();
        let mut same = known.filter(|known| {
            (&known.alike, &known.others, &known.seen) == (&alike, &frame.others, &seen)
                && known.uncovered == uncovered
        });
        if let Some(known) = same.next() {
            return Ok(known.of_another(*frame, ready));
        }
        let (others, was_unknown) = (frame.others.clone(), frame.subject.image.unknowns.clone());
        let (subject, marks) = frame.with(among.found(), about);
        let mut unknowns = subject.image.unknowns.clone();
        unknowns.retain(|unknown| !was_unknown.contains(unknown));
        let keys: Vec<u64> = marks.iter().map(|(key, _)| *key).collect();
        let fingerprint = FindingsFingerprint::of_each(marks.iter().map(|(_, lasting)| lasting));
        let verdicts = decided(&subject, (&keys, fingerprint), ready, self.facts)?;
        self.known.entry(said).or_default().push(Known {
            alike,
            others,
            seen,
            uncovered,
            unknowns,
            keys,
            fingerprint,
            verdicts: verdicts.clone(),
        });
        Ok(verdicts)
    }

    fn alike(&self, subject: &Subject) -> Option<Alike> {
        Alike::of(&self.facts.policy, &self.facts.waivers, subject)
    }
}

impl Known {
    /// What is decided of an image with the same findings.
    fn of_another(&self, frame: Frame<'_>, ready: &Ready) -> Verdicts {
        let mut subject = frame.subject;
        subject.image.unknowns.extend(self.unknowns.iter().cloned());
        order_unknowns(&mut subject);
        let evidence = subject.fingerprint_with(&self.fingerprint).to_string();
        let of_this = |judgement: &Judgement| Judgement {
            evidence: evidence.clone(),
            ..judgement.clone()
        };
        let judgements = self.verdicts.judgements.iter();
        Verdicts {
            judgements: judgements
                .map(|(point, judgement)| (*point, of_this(judgement)))
                .collect(),
            held: self.verdicts.held.as_ref().map(of_this),
            seen: seen_after(ready, &self.keys),
        }
    }
}

/// What is decided of an image by itself, and by whom it is signed.
pub(super) fn alone(ready: &Ready, facts: &Facts) -> Result<(Verdicts, Vec<String>)> {
    let (subject, marks) = match Framed::of(&ready.about, &ready.gathered, facts)? {
        Framed::Nothing(subject) => (*subject, Vec::new()),
        Framed::Image(frame) => frame.into_subject(&ready.about, facts),
    };
    let signed_by = subject.image.signed_by.clone();
    Ok((verdicts_of((subject, marks), ready, facts)?, signed_by))
}

fn verdicts_of((subject, marks): (Subject, Vec<Mark>), ready: &Ready, facts: &Facts) -> Result<Verdicts> {
    let keys: Vec<u64> = marks.iter().map(|(key, _)| *key).collect();
    let fingerprint = FindingsFingerprint::of_each(marks.iter().map(|(_, lasting)| lasting));
    decided(&subject, (&keys, fingerprint), ready, facts)
}

fn decided(
    subject: &Subject,
    (keys, findings): (&[u64], FindingsFingerprint),
    ready: &Ready,
    facts: &Facts,
) -> Result<Verdicts> {
    let fingerprint: Digest = subject.fingerprint_with(&findings);
    let (mut judgements, mut held) = (Vec::new(), None);
    let asked = POINTS.map(|(_, asked)| asked);
    let known = (subject, fingerprint);
    let decisions = policy::decide_at(&facts.policy, &facts.waivers, known, &asked, ready.now);
    for ((point, _), decision) in POINTS.into_iter().zip(decisions) {
        judgements.push((point, judgement_of(&decision)?));
        if point == Point::Pull && subject.in_use && decision.outcome == policy::Outcome::Refuse {
            held = Some(judgement_of(&decision.held_at_warn())?);
        }
    }
    Ok(Verdicts {
        judgements,
        held,
        seen: seen_after(ready, keys),
    })
}

/// When findings were first made, once these are. `None`: that is known already.
fn seen_after(ready: &Ready, keys: &[u64]) -> Option<Seen> {
    let mut seen = ready.about.seen.clone();
    let is_news = seen.note(keys.iter().copied(), timestamp(ready.now));
    is_news.then_some(seen)
}

#[cfg(test)]
mod tests;
