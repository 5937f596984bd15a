//! Fingerprints of facts: of a whole subject, and of what one finding rests on.

use std::io;

use oci::{Algorithm, Digest, Hasher};
use serde::Serialize;

use super::{JudgedFinding, Subject};

impl Subject {
    /// Stands for everything that was judged. The generation of the advisories is left out: it moves with every import,
    /// whether or not anything changed for this image. So is when findings were first made here: that says nothing of the image.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint_with(&FindingsFingerprint::of(&self.findings))
    }

    /// The same of an image that has the findings of another one.
    pub fn fingerprint_with(&self, findings: &FindingsFingerprint) -> Digest {
        let facts = (
            &self.repo,
            &self.image,
            &self.workload,
            self.in_use,
            &self.pushed_by,
            findings.0,
        );
        of(&facts)
    }
}

/// Stands for the findings of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingsFingerprint(Digest);

impl FindingsFingerprint {
    /// Of all of them, in their order.
    pub fn of(findings: &[JudgedFinding]) -> Self {
        let each: Vec<Digest> = findings.iter().map(JudgedFinding::lasting).collect();
        Self::of_each(&each)
    }

    /// The same where it is known what stands for each: see [`JudgedFinding::lasting`].
    pub fn of_each<'a>(lasting: impl IntoIterator<Item = &'a Digest>) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for one in lasting {
            hasher.update(one.bytes());
        }
        Self(hasher.finish())
    }
}

impl JudgedFinding {
    /// Stands for all that is said of it but when it was first made here.
    pub fn lasting(&self) -> Digest {
        of(&lasting(self))
    }
}

fn lasting(finding: &JudgedFinding) -> impl Serialize + '_ {
    // Field by field, so that one that comes to it is not forgotten.
    let JudgedFinding {
        kind,
        id,
        aliases,
        severity,
        fix,
        package,
        version,
        ecosystem,
        path,
        layer,
        kev,
        epss,
        confidence,
        source,
        published,
        fix_known_at,
        first_seen: _,
        rule,
        pack,
        suppressed,
        mitigated,
        is_example,
        from_base,
        evidence,
    } = finding;
    let moment = |at: &Option<time::OffsetDateTime>| at.map(time::OffsetDateTime::unix_timestamp_nanos);
    (
        (kind, id, aliases, severity, fix, package, version, ecosystem),
        (path, layer, kev, epss, confidence, source),
        (moment(published), moment(fix_known_at)),
        (rule, pack, suppressed, mitigated, is_example, from_base, evidence),
    )
}

impl JudgedFinding {
    /// Stands for what was called a false positive; the waiver ends when it changes. What others think of the problem
    /// (severity, EPSS, KEV, fixes) is left out: it says nothing about whether the finding is true.
    pub fn fingerprint(&self) -> Digest {
        let facts = (
            (self.kind, &self.id, &self.package, &self.version, &self.ecosystem),
            (
                &self.path,
                &self.rule,
                &self.pack,
                self.confidence,
                &self.evidence,
            ),
        );
        of(&facts)
    }
}

impl JudgedFinding {
    /// Names the finding among those of one image, whatever is thought of it: the beginning of a digest of what is found where.
    /// For the moment at which it was first made.
    pub fn key(&self) -> u64 {
        let place = of(&(self.kind, &self.id, &self.package, &self.path, &self.rule));
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(place.bytes()) {
            *to = *from;
        }
        u64::from_le_bytes(first)
    }
}

/// Digest of `value` as JSON. Written field by field, so that no two values run into one another.
pub(crate) fn of(value: &impl Serialize) -> Digest {
    let mut sink = Sink(Hasher::new(Algorithm::Sha256));
    // Plain values and a sink that takes everything: this cannot fail.
    let written = serde_json::to_writer(&mut sink, value);
    debug_assert!(written.is_ok());
    sink.0.finish()
}

struct Sink(Hasher);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
