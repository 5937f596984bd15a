//! `diff IMAGE-A IMAGE-B`: packages and findings gained and lost.

use std::{collections::BTreeMap, fs, path::PathBuf, str::FromStr};

use anyhow::Context as _;
use clap::Args;
use findings::ScanResult;
use road::diff::{Diff, LonePackage, Problem, Told};
use serde_json::{Value, json};
use web::wire::ReportEntry;

use super::decisions::ImageArg;
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::output;

/// Bytes of a report that is read from a file.
const REPORT_BYTES: u64 = 256 << 20;

/// Options of `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Both images are judged by the advisories of today, so what differs is in the images. A file is what
`roadbed scan --output json` printed; it was judged by the advisories of its day.

Examples:
  roadbed diff team/app:1.4 team/app:1.5
  roadbed diff team/app:1.4 ./scan.json --output json")]
pub(crate) struct DiffArgs {
    /// The image before: `team/app:1.4`, `team/app@sha256:…`, or a file that `scan` printed (a path with a `/` that
    /// begins with `.` or `/`)
    from: Source,
    /// The image after
    to: Source,
    /// Of indexes: the image for this platform, as `os/architecture[/variant]`
    #[arg(long)]
    platform: Option<String>,
}

/// Where a report comes from.
#[derive(Debug, Clone)]
enum Source {
    Image(String, ImageArg),
    File(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(['.', '/']) {
            return Ok(Self::File(text.into()));
        }
        text.parse().map(|image| Self::Image(text.to_owned(), image))
    }
}

/// Carries out the command.
pub(crate) async fn run(client: &ClientArgs, args: DiffArgs) -> anyhow::Result<()> {
    let [from, to] = [
        report(client, &args.from, args.platform.as_deref()).await?,
        report(client, &args.to, args.platform.as_deref()).await?,
    ];
    let diff = Diff::between(&from, &to);
    output::show(client.output, &as_json(&diff), |_| describe(&diff))
}

async fn report(client: &ClientArgs, of: &Source, platform: Option<&str>) -> anyhow::Result<ScanResult> {
    match of {
        Source::File(path) => {
            let name = path.display();
            let size = fs::metadata(path)
                .with_context(|| format!("cannot read {name}"))?
                .len();
            anyhow::ensure!(size <= REPORT_BYTES, "{name} has more than {REPORT_BYTES} bytes");
            let text = fs::read(path).with_context(|| format!("cannot read {name}"))?;
            serde_json::from_slice(&text)
                .with_context(|| format!("{name} is not what `roadbed scan --output json` prints"))
        }
        Source::Image(name, image) => {
            let mut query = vec![
                ("repository", image.repository().to_string()),
                ("reference", image.reference().to_string()),
            ];
            query.extend(platform.map(|platform| ("platform", platform.to_owned())));
            let entry: ReportEntry = Client::connect(client)?
                .get("/reports", &query)
                .await
                .with_context(|| format!("no report of {name}"))?;
            Ok(entry.result)
        }
    }
}

fn as_json(diff: &Diff) -> Value {
    let lone = |packages: &[LonePackage]| -> Vec<Value> {
        let told = |package: &LonePackage| json!({ "kind": package.kind.purl_type(), "name": package.name, "versions": package.versions });
        packages.iter().map(told).collect()
    };
    let changed = diff.changed_packages.iter().map(|package| {
        json!({ "kind": package.kind.purl_type(), "name": package.name, "from": package.from, "to": package.to })
    });
    let told = |told: &Told| json!({ "severity": told.severity, "fix": told.fix });
    let findings = |problems: &BTreeMap<Problem, Told>| -> Vec<Value> {
        let one = |(problem, of): (&Problem, &Told)| json!({ "id": problem.id, "subject": problem.subject, "severity": of.severity, "fix": of.fix });
        problems.iter().map(one).collect()
    };
    let otherwise = diff.changed_findings.iter().map(|(problem, (from, to))| {
        json!({ "id": problem.id, "subject": problem.subject, "from": told(from), "to": told(to) })
    });
    json!({
        "packages": {
            "gained": lone(&diff.gained_packages), "lost": lone(&diff.lost_packages),
            "changed": changed.collect::<Vec<_>>(),
        },
        "findings": {
            "gained": findings(&diff.gained_findings), "lost": findings(&diff.lost_findings),
            "changed": otherwise.collect::<Vec<_>>(),
        },
        "unknowns": diff.unknowns,
    })
}

fn describe(diff: &Diff) -> String {
    let mut lines = Vec::new();
    if diff.is_empty() {
        lines.push("no difference".to_owned());
    }
    let lone = |sign: char, package: &LonePackage| {
        let versions: Vec<&str> = package.versions.iter().map(String::as_str).collect();
        format!(
            "{sign} {} {} {}",
            package.kind.purl_type(),
            package.name,
            versions.join(", ")
        )
    };
    lines.extend(diff.lost_packages.iter().map(|package| lone('-', package)));
    lines.extend(diff.gained_packages.iter().map(|package| lone('+', package)));
    lines.extend(diff.changed_packages.iter().map(|package| {
        let join = |versions: &std::collections::BTreeSet<String>| {
            let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
            if versions.is_empty() {
                "(kept)".to_owned()
            } else {
                versions.join(", ")
            }
        };
        let (from, to) = (join(&package.from), join(&package.to));
        format!("~ {} {} {from} -> {to}", package.kind.purl_type(), package.name)
    }));
    let finding = |sign: &str, (problem, told): (&Problem, &Told)| {
        let fix = told
            .fix
            .as_deref()
            .map(|fix| format!(", fix: {fix}"))
            .unwrap_or_default();
        format!(
            "{sign} {} [{}] {}{fix}",
            problem.id,
            told.severity.as_str(),
            problem.subject
        )
    };
    lines.extend(diff.lost_findings.iter().map(|of| finding("- finding", of)));
    lines.extend(diff.gained_findings.iter().map(|of| finding("+ finding", of)));
    lines.extend(diff.changed_findings.iter().map(|(problem, (from, to))| {
        let from = from.severity.as_str();
        finding(&format!("~ finding (was {from})"), (problem, to))
    }));
    if !diff.unknowns.is_empty() {
        let unknowns: Vec<&str> = diff.unknowns.iter().map(String::as_str).collect();
        lines.push(format!(
            "not everything is known of both: {}",
            unknowns.join(", ")
        ));
    }
    output::lines(lines.iter().map(|line| output::printable(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_files_are_told_apart() {
        assert!(matches!("team/app:1".parse(), Ok(Source::Image(..))));
        assert!(matches!("./scan.json".parse(), Ok(Source::File(_))));
        assert!(matches!("/tmp/scan.json".parse(), Ok(Source::File(_))));
        assert!("Team/App:1".parse::<Source>().is_err());
    }
}
