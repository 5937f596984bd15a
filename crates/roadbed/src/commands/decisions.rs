//! `decision IMAGE`: what becomes of an image when it is pulled, and why.

use std::{fmt::Write as _, str::FromStr};

use clap::Args;
use oci::{Digest, DigestError, Reference, RepoName, RepoNameError, Tag, TagError};
use policy::{Attached, Eased, Effect, Reason, Waived, WaivedAs};
use serde::Serialize;
use store::Timestamp;
use web::wire::{DecisionEntry, ImageDecision, LineageEntry, WaiverImage};

use super::lineage;
use crate::client::Client;
use crate::output;

/// Reasons that a person is shown of each image, unless all are asked for.
const REASONS: usize = 20;

/// Options of `decision`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roadbed decision team/app:1.4
  roadbed decision team/app@sha256:0ab1… --output json")]
pub(crate) struct DecisionArgs {
    /// Image: `team/app:1.4` or `team/app@sha256:…`; without either the tag `latest`
    image: ImageArg,
    /// Show all reasons, not only the worst 20
    #[arg(long)]
    all: bool,
}

/// An image within the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageArg {
    repository: RepoName,
    reference: Reference,
}

impl ImageArg {
    /// Where it lies.
    pub(crate) fn repository(&self) -> &RepoName {
        &self.repository
    }

    /// Its tag or digest.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }
}

impl FromStr for ImageArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain = |error: &dyn std::error::Error| {
            format!("{error}; write team/app:1.4 or team/app@sha256:…, without the registry's address")
        };
        let (repository, reference) = if let Some((repository, digest)) = text.split_once('@') {
            let digest: Digest = digest.parse().map_err(|error: DigestError| explain(&error))?;
            (repository, Reference::Digest(digest))
        } else {
            let (repository, tag) = text.split_once(':').unwrap_or((text, "latest"));
            let tag: Tag = tag.parse().map_err(|error: TagError| explain(&error))?;
            (repository, Reference::Tag(tag))
        };
        let repository = repository.parse();
        Ok(Self {
            repository: repository.map_err(|error: RepoNameError| explain(&error))?,
            reference,
        })
    }
}

impl From<ImageArg> for WaiverImage {
    fn from(image: ImageArg) -> Self {
        Self {
            repository: image.repository,
            reference: image.reference.to_string(),
        }
    }
}

/// Carries out the command.
pub(crate) async fn run(client: &Client, args: DecisionArgs) -> anyhow::Result<()> {
    let query = [
        ("repository", args.image.repository.to_string()),
        ("reference", args.image.reference.to_string()),
    ];
    let entry: DecisionEntry = client.get("/decisions", &query).await?;
    let most = if args.all { usize::MAX } else { REASONS };
    // What was decided is shown also where nobody can say yet what it stands on.
    let place = lineage::of(client, &args.image).await.ok();
    let shown = Shown { entry, place };
    output::show(client.format(), &shown, |shown| {
        describe(&shown.entry, shown.place.as_ref(), most)
    })
}

/// A decision, and whose the image is.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: DecisionEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<LineageEntry>,
}

fn describe(entry: &DecisionEntry, place: Option<&LineageEntry>, most: usize) -> String {
    let image = format!("{}@{}", entry.repository, entry.digest);
    let mut lines = vec![format!("{image}: {}", told(&entry.outcome))];
    for of in &entry.images {
        if of.digest != entry.digest {
            lines.push(String::new());
            lines.push(format!("{}: {}", of.digest, told(&of.outcome)));
        }
        describe_image(of, most, &mut lines);
    }
    lines.extend(place.map(lineage::summary).unwrap_or_default());
    lines.extend(next_steps(entry));
    output::lines(lines)
}

fn told(outcome: &str) -> &'static str {
    match outcome {
        "allow" => "allowed",
        "warn" => "served with a warning",
        "refuse" => "refused",
        "not-applicable" => "not judged: nothing that runs",
        _ => "not decided yet: it is being looked into",
    }
}

fn describe_image(image: &ImageDecision, most: usize, lines: &mut Vec<String>) {
    for reason in image.reasons.iter().take(most) {
        describe_reason(reason, lines);
    }
    let more = image.reasons.len().saturating_sub(most) as u64 + image.more_reasons;
    if more > 0 {
        lines.push(format!("  … and {more} more (--all, --output json)"));
    }
    for (word, list) in [("waived", &image.waived), ("waiver ended", &image.expired)] {
        lines.extend(list.iter().take(most).map(|waived| describe_waived(word, waived)));
    }
    describe_signatures(&image.signatures, most, lines);
    let (Some(decided), Some(generation)) = (image.decided_at, image.generation) else {
        return;
    };
    let again = image
        .review_at
        .map(|at| format!(", looked at again {}", output::moment(at.0)))
        .unwrap_or_default();
    lines.push(format!(
        "  so since {}, by advisories of generation {generation}{again}",
        output::moment(decided.0)
    ));
}

fn describe_reason(reason: &Reason, lines: &mut Vec<String>) {
    let effect = match reason.effect {
        Effect::Refuse => "refuse",
        Effect::Warn => "warn",
    };
    let eased = reason.eased.map(eased).unwrap_or_default();
    let message = output::printable(&reason.message);
    lines.push(format!("  {effect}  [{}] {message}{eased}", reason.rule));
    if let Some(fix) = &reason.fix {
        lines.push(format!("          fix: {}", output::printable(fix)));
    }
}

/// Why it only warns.
fn eased(eased: Eased) -> String {
    match eased {
        Eased::InUse => " (would refuse; the image is in use)".to_owned(),
        Eased::Grace { until: Some(until) } => {
            let micros = until.unix_timestamp_nanos() / 1_000;
            let until = Timestamp(i64::try_from(micros).unwrap_or(i64::MAX));
            format!(" (refuses from {} on)", output::moment(until))
        }
        Eased::Grace { until: None } => " (refuses some days after there is a fix)".to_owned(),
        Eased::Example => " (would refuse; known to be an example)".to_owned(),
        Eased::Brake => " (would refuse; held until an administrator approves the change)".to_owned(),
    }
}

fn describe_waived(word: &str, waived: &Waived) -> String {
    let what = waived.finding.as_deref().unwrap_or("the image");
    if waived.waived_as == WaivedAs::Vex {
        return output::printable(&format!(
            "  suppressed  [{}] {what} by {} (VEX): {}",
            waived.rule, waived.by, waived.reason
        ));
    }
    let until = waived
        .until
        .map(|until| format!(" until {}", until.date()))
        .unwrap_or_default();
    output::printable(&format!(
        "  {word}  [{}] {what}{until} by {} ({}): {}",
        waived.rule, waived.by, waived.waiver, waived.reason
    ))
}

/// Who signed, how, and what does not count and why.
fn describe_signatures(signatures: &[Attached], most: usize, lines: &mut Vec<String>) {
    for attached in signatures.iter().take(most) {
        let mut line = match attached.signers.as_slice() {
            [] => "  not signed".to_owned(),
            signers => format!("  signed by {}", signers.join(", ")),
        };
        let form = attached.predicate.as_deref().map(|kind| format!(" ({kind})"));
        let _ = write!(line, ": {}{}", attached.form, form.unwrap_or_default());
        if let Some(index) = &attached.index {
            let _ = write!(line, " of the index {index}");
        }
        if let Some(certificate) = &attached.certificate {
            let _ = write!(line, ", certificate of {certificate}");
        }
        if let Some(problem) = &attached.problem {
            let _ = write!(line, ": {problem}");
        }
        lines.push(output::printable(&line));
    }
    let more = signatures.len().saturating_sub(most);
    if more > 0 {
        lines.push(format!("  … and {more} more signatures (--all)"));
    }
}

/// What whoever reads it can do.
fn next_steps(entry: &DecisionEntry) -> Vec<String> {
    let mut lines = Vec::new();
    match entry.outcome.as_str() {
        "refuse" => {
            lines.push(
                "To have it served, apply the fixes above and push again. If that cannot be now:".to_owned(),
            );
            let worst = entry
                .images
                .iter()
                .flat_map(|image| &image.reasons)
                .find(|reason| reason.effect == Effect::Refuse);
            lines.extend(worst.map(|reason| format!("  {}", request_for(&entry.repository, reason))));
        }
        "undecided" => lines.push("Ask again in a moment.".to_owned()),
        _ => {}
    }
    lines
}

/// The command that asks for a waiver of a reason.
fn request_for(repository: &RepoName, reason: &Reason) -> String {
    let what = match reason.findings.first() {
        Some(finding) => format!("--finding '{}'", output::printable(finding)),
        None => format!("--rule {}", reason.rule),
    };
    format!("roadbed waiver request NAME {what} --repository {repository} --until 30d --reason '…'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_tag_or_digest() {
        let read = |text: &str| text.parse::<ImageArg>().unwrap().reference.to_string();
        assert_eq!(read("team/app"), "latest");
        assert_eq!(read("team/app:1.4"), "1.4");
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(read(&format!("team/app@{digest}")), digest);
        for bad in ["", "Team/App", "registry.example:5000/team/app", "team/app@1"] {
            let error = bad.parse::<ImageArg>().unwrap_err();
            assert!(error.contains("team/app:1.4"), "{bad}: {error}");
        }
    }
}
