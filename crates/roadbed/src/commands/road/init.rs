//! A first `pavedroad.yaml`, from the bases that most images share.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::SystemTime;

use anyhow::Result;
use oci::RepoName;
use road::adoption::SharedBase;
use road::names::BaseName;
use store::Timestamp;
use time::{Date, Duration};
use web::wire::{AdoptionReport, BaseEntry, Page};

use crate::client::Client;
use crate::output;

/// Bases that are proposed.
const MOST: usize = 10;

pub(super) async fn run(client: &Client) -> Result<()> {
    let report: AdoptionReport = client.get("/road/adoption", &[("days", "1".to_owned())]).await?;
    let declared: Page<BaseEntry> = client.get("/bases", &[("limit", "1000".to_owned())]).await?;
    let known: BTreeSet<RepoName> = declared.items.into_iter().map(|base| base.0.repository).collect();
    let today = Timestamp::from(SystemTime::now()).to_utc().date();
    output::text(&first_file(&report.shared, &known, today))
}

/// The file. What cannot be known stands in comments.
fn first_file(shared: &[SharedBase], known: &BTreeSet<RepoName>, today: Date) -> String {
    let mut text = String::from(
        "# yaml-language-server: $schema=./pavedroad.schema.json\n\
         # The schema: roadbed road schema > pavedroad.schema.json\n\
         #\n\
         # The paved road: what images should be built on, who answers for it, and until when.\n\
         # Look it through, then: roadbed road check pavedroad.yaml && roadbed road apply pavedroad.yaml\n",
    );
    let mut names = BTreeSet::new();
    let mut count = 0;
    for base in shared {
        let repository = repository_of(base);
        match repository {
            Some(repository) if known.contains(&repository) => {}
            Some(repository) if count < MOST => {
                count += 1;
                text.push_str(&entry(base, &repository, &mut names, today));
            }
            None if count < MOST => text.push_str(&unknown(base)),
            _ => break,
        }
    }
    if count == 0 {
        text.push_str(&entry_of(
            "debian12",
            "base/debian12",
            "no two images share a base that lies here: an example",
            today,
        ));
    }
    text.push_str(REST);
    text
}

/// The repository of the first image that is this base and nothing else.
fn repository_of(base: &SharedBase) -> Option<RepoName> {
    let image = base.images.first()?;
    image.rsplit_once(':')?.0.parse().ok()
}

fn entry(base: &SharedBase, repository: &RepoName, names: &mut BTreeSet<String>, today: Date) -> String {
    let last = repository.as_str().rsplit('/').next().unwrap_or_default();
    let mut name = last
        .parse::<BaseName>()
        .map_or_else(|_| "base".to_owned(), |name| name.to_string());
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = format!("{last}-{number}");
        number += 1;
    }
    let about = format!(
        "{} repositories of {} stand on {} ({} layers), such as {}",
        base.repositories,
        output::count(base.team_count, "team"),
        base.images.first().map_or("it", String::as_str),
        base.layers,
        examples(base)
    );
    entry_of(&name, repository.as_str(), &about, today)
}

fn entry_of(name: &str, repository: &str, about: &str, today: Date) -> String {
    let until = today.checked_add(Duration::days(365)).unwrap_or(today);
    format!(
        "---\n# {about}\napiVersion: road/v1\nkind: BaseImage\nmetadata:\n  name: {name}\n  \
         owner: group:platform            # who answers for it: change this\n  # contact: \"#platform\"\nspec:\n  \
         repo: {repository}\n  lifecycle: supported             # experimental, supported, deprecated or retired\n  \
         supportedUntil: {until}       # everything has an end; warned of 90, 30 and 7 days before\n  \
         # channels: {{stable: \"sha256:…\"}} # without channels the newest release is current\n  \
         # replacedBy: another-base\n  \
         # rebase: {{safe: true, abi: glibc-2.36, arch: [amd64, arm64]}}\n  \
         patchWithin: {{critical: 7d, high: 30d}}   # your promise; it is measured and shown\n"
    )
}

fn unknown(base: &SharedBase) -> String {
    let mut text = String::from("# ---\n");
    let _ = writeln!(
        text,
        "# {} repositories share their first {}, such as {}: no image here is that base alone.\n\
         # Push the base to a repository of its own, then declare it.",
        base.repositories,
        output::count(base.layers as u64, "layer"),
        examples(base)
    );
    text
}

fn examples(base: &SharedBase) -> String {
    let first: Vec<&str> = base.examples.iter().take(3).map(RepoName::as_str).collect();
    first.join(", ")
}

/// The other kinds, to be taken up when they are needed.
const REST: &str = "\
# The other kinds, for when they are needed:
# ---
# apiVersion: road/v1
# kind: Toolchain
# metadata: {name: ci, owner: group:platform}
# spec: {builders: [\"https://github.com/actions/runner/github-hosted\"], slsaLevel: 2, supportedUntil: 2027-12-31}
# ---
# apiVersion: road/v1
# kind: GoldenPath
# metadata: {name: java-service, owner: group:platform}
# spec: {version: 1, template: \"https://git.example/templates/java\", bases: [java17], supportedUntil: 2027-12-31}
# ---
# apiVersion: road/v1
# kind: AppRoad
# metadata: {name: checkout}
# spec: {path: java-service@1, ring: early, autoRebase: ask, freeze: [2026-12-20/2027-01-03]}
# ---
# apiVersion: road/v1
# kind: Exemption
# spec:
#   {app: video, rule: TE-CON-2, reason: \"needs CUDA\", owner: team-video, approvedBy: [platform],
#    createdAt: 2026-11-01, expiresAt: 2027-02-01, maxRenewals: 2, compensating: \"weekly rebuild\"}
";

#[cfg(test)]
mod tests {
    use oci::{Algorithm, Digest};
    use road::catalog::{CatalogLimits, SourceFile, read_paved_road};
    use time::macros::date;

    use super::*;

    fn shared(images: &[&str], layers: usize) -> SharedBase {
        SharedBase {
            chain: Digest::of(Algorithm::Sha256, images.concat().as_bytes()),
            layers,
            repositories: 7,
            teams: vec!["shop".parse().unwrap()],
            team_count: 1,
            examples: vec!["shop/cart".parse().unwrap()],
            images: images.iter().map(|image| (*image).to_owned()).collect(),
        }
    }

    fn bases(shared: &[SharedBase], known: &[&str]) -> Vec<String> {
        let known = known.iter().map(|name| name.parse().unwrap()).collect();
        let text = first_file(shared, &known, date!(2026 - 11 - 28));
        let file = SourceFile {
            name: "pavedroad.yaml",
            text: &text,
        };
        let road = read_paved_road(&[file], &CatalogLimits::default()).unwrap();
        road.bases
            .iter()
            .map(|base| format!("{} {}", base.name, base.repository))
            .collect()
    }

    #[test]
    fn the_first_file_is_one() {
        let all = [
            shared(&["library/debian:12"], 1),
            shared(&[], 3),
            shared(&["mirror/debian:12", "other/debian:12"], 1),
            shared(&["base/java17:1"], 2),
        ];
        assert_eq!(
            bases(&all, &["base/java17"]),
            ["debian library/debian", "debian-2 mirror/debian"]
        );
        assert_eq!(bases(&[], &[]), ["debian12 base/debian12"]);
        let many: Vec<_> = (0..50).map(|n| shared(&[&format!("base/b{n}:1")], 1)).collect();
        assert_eq!(bases(&many, &[]).len(), MOST);
    }

    #[test]
    fn what_is_in_its_comments_is_right_too() {
        let text: Vec<&str> = REST
            .lines()
            .skip(1)
            .map(|line| line.trim_start_matches("# "))
            .collect();
        let text = text
            .join("\n")
            .replace("\n#", "\n")
            .replace("[java17]", "[debian12]");
        let base = entry_of("debian12", "base/debian12", "an example", date!(2026 - 11 - 28));
        let text = format!("{base}{text}\n");
        let file = SourceFile {
            name: "pavedroad.yaml",
            text: &text,
        };
        let road = read_paved_road(&[file], &CatalogLimits::default()).unwrap();
        assert_eq!((road.bases.len(), road.entries.len()), (1, 4));
    }
}
