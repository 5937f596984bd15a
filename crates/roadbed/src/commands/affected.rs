//! `affected QUESTION`: who is affected, whose is it, what fixes it.

use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use road::escape;
use web::wire::{AffectedImage, AffectedOwner, AffectedPlace, AffectedReport};

use crate::cli::Format;
use crate::client::Client;
use crate::moment::MomentArg;
use crate::output;

/// Images that a person is shown, unless all are asked for.
const SHOWN: usize = 100;

/// Images that are asked for at a time where all are wanted.
const PAGE: usize = 1_000;

/// Places of an image that a person is shown, unless all are asked for.
const PLACES: usize = 3;

/// Columns of CSV.
const COLUMNS: [&str; 29] = [
    "owner",
    "application",
    "repository",
    "digest",
    "tags",
    "state",
    "decision",
    "waived",
    "os",
    "first seen",
    "deleted at",
    "scannable",
    "layer",
    "layer digest",
    "origin",
    "path",
    "inner path",
    "package type",
    "package",
    "version",
    "fix",
    "severity",
    "severity by source",
    "conflicts",
    "known exploited",
    "EPSS",
    "confidence",
    "mitigations",
    "evidence",
];

/// Options of `affected`.
#[derive(Debug, Args)]
#[command(after_help = "\
What can be asked about:
  CVE-2021-44228, GHSA-jfh8-c2jp-5v3q   a vulnerability, by any of its ids
  log4j-core, log4j-core@<2.15.0        a package, with or without a range of its versions;
                                        no advisory has to know of it
  pkg:maven/org.example/a@1.2           a package by its URL
  sha256:…                              a file, by what sha256sum prints
  org.example.Name                      a Java class

Only images that you may pull are shown and counted. `at least` says that something is not known: images that could not be looked \
into, that wait to be, or that nobody is known to own. What neither an image here has nor an advisory names fails with status 1: it \
is more often mistyped than absent.

Of a class, EVIDENCE says whether it was seen, or a package that has it in this version, or only one of its group.

Examples:
  roadbed affected CVE-2021-44228
  roadbed affected 'log4j-core@<2.17.1' --all
  roadbed affected CVE-2021-44228 --csv > affected.csv
  roadbed affected CVE-2021-44228 --as-of 2021-12-10T12:00:00Z --output json")]
pub(crate) struct AffectedArgs {
    /// A vulnerability, a package, the digest of a file or a Java class
    question: String,
    /// As of when: a date, a moment (RFC 3339) or a span back from now, such as 7d; tags are those of now
    #[arg(long, value_name = "WHEN")]
    as_of: Option<MomentArg>,
    /// Print CSV, a line for each place of each image; always all of them
    #[arg(long)]
    csv: bool,
    /// Show all images and places, not only the first 100 images
    #[arg(long)]
    all: bool,
}

/// Carries out the command.
pub(crate) async fn run(client: &Client, args: AffectedArgs) -> anyhow::Result<()> {
    let mut query = vec![("q", args.question.clone())];
    query.extend(args.as_of.map(|when| ("as_of", when.ago().0.to_rfc3339())));
    let is_whole = args.all || args.csv;
    let limit = if is_whole { PAGE } else { SHOWN };
    query.push(("limit", limit.to_string()));
    let mut report: AffectedReport = client.get("/affected", &query).await?;
    if args.csv {
        return csv(client, &query, report).await;
    }
    while is_whole && let Some(next) = report.next.take() {
        let page = next_page(client, &query, next).await?;
        report.items.extend(page.items);
        report.next = page.next;
    }
    match client.format() {
        Format::Json => output::show(Format::Json, &report, |_| String::new()),
        Format::Table => output::text(&describe(&report, args.all)),
    }
}

async fn next_page(
    client: &Client,
    query: &[(&str, String)],
    after: String,
) -> anyhow::Result<AffectedReport> {
    let mut query = query.to_vec();
    query.push(("after", after));
    client.get("/affected", &query).await
}

/// Page by page: nobody has to have room for all.
async fn csv(client: &Client, query: &[(&str, String)], first: AffectedReport) -> anyhow::Result<()> {
    output::note(output::printable(&first.headline));
    output::text(&escape::csv_row(COLUMNS))?;
    let mut report = first;
    loop {
        let rows = report.items.iter().flat_map(csv_rows);
        output::text(&rows.collect::<String>())?;
        match report.next {
            Some(next) => report = next_page(client, query, next).await?,
            None => return Ok(()),
        }
    }
}

/// A line for each place; one for an image of which no place is known.
fn csv_rows(image: &AffectedImage) -> Vec<String> {
    let about = about_image(image);
    let row = |place: [String; 17]| escape::csv_row(about.iter().chain(&place).map(String::as_str));
    if image.places.is_empty() {
        return vec![row([const { String::new() }; 17])];
    }
    image.places.iter().map(|place| row(about_place(place))).collect()
}

fn about_image(image: &AffectedImage) -> [String; 12] {
    let moment = |at: Option<web::wire::Moment>| at.map(|at| at.0.to_rfc3339()).unwrap_or_default();
    [
        image.owner.clone().unwrap_or_default(),
        image.application.clone().unwrap_or_default(),
        image.repository.clone(),
        image.digest.to_string(),
        image.tags.join(" "),
        image.state.clone(),
        image.decision.clone(),
        image.waived.join("; "),
        image.os.clone().unwrap_or_default(),
        moment(image.first_seen),
        moment(image.deleted_at),
        output::yes_or_no(image.scannable),
    ]
}

fn about_place(place: &AffectedPlace) -> [String; 17] {
    let package = place.package.as_ref();
    let finding = place.finding.as_ref();
    let by_source = finding.map(|finding| {
        let sources = finding.sources.iter();
        let words = sources.map(|source| format!("{} {}", source.source, source.severity.as_str()));
        words.collect::<Vec<_>>().join("; ")
    });
    let confidence = package.map(|package| format!("{:?}", package.confidence).to_lowercase());
    [
        place.layer.to_string(),
        place
            .layer_digest
            .map(|digest| digest.to_string())
            .unwrap_or_default(),
        place.origin.clone(),
        place.path.clone(),
        place.inner_path.join("!"),
        package.map(|package| package.kind.clone()).unwrap_or_default(),
        package.map(|package| package.name.clone()).unwrap_or_default(),
        version(place),
        finding
            .map(|finding| finding.fix_words.clone())
            .unwrap_or_default(),
        finding
            .map(|finding| finding.severity.as_str().to_owned())
            .unwrap_or_default(),
        by_source.unwrap_or_default(),
        finding
            .map(|finding| finding.conflicts.join("; "))
            .unwrap_or_default(),
        finding
            .map(|finding| output::yes_or_no(finding.kev))
            .unwrap_or_default(),
        finding
            .and_then(|finding| finding.epss)
            .map(|epss| format!("{epss:.4}"))
            .unwrap_or_default(),
        confidence.unwrap_or_default(),
        place.mitigations.join("; "),
        place.evidence.clone().unwrap_or_default(),
    ]
}

fn version(place: &AffectedPlace) -> String {
    let Some(package) = &place.package else {
        return String::new();
    };
    match &package.last_version {
        Some(last) if *last != package.version => format!("{} to {last}", package.version),
        _ => package.version.clone(),
    }
}

fn describe(report: &AffectedReport, all: bool) -> String {
    let mut text = format!("{}\n", output::printable(&report.headline));
    let notes = report.as_of_notes.iter();
    text += &output::lines(notes.map(|note| output::printable(&format!("not as of then: {note}"))));
    if let Some(known) = &report.vulnerability {
        text += &output::lines(known.title.iter().map(|title| output::printable(title)));
        if !known.fixes.is_empty() {
            text += &output::printable(&format!("fixed in: {}", known.fixes.join(", ")));
            text.push('\n');
        }
    }
    let mut by_owner: BTreeMap<(Option<&str>, Option<&str>), Vec<&AffectedImage>> = BTreeMap::new();
    for image in &report.items {
        let whose = (image.owner.as_deref(), image.application.as_deref());
        by_owner.entry(whose).or_default().push(image);
    }
    for owner in &report.owners {
        text.push('\n');
        text += &describe_owner(owner);
        let whose = (owner.owner.as_deref(), owner.application.as_deref());
        if let Some(images) = by_owner.remove(&whose) {
            text += &table(&images, all, &report.kind);
        }
    }
    // Those of owners that are not listed.
    let others: Vec<&AffectedImage> = by_owner.into_values().flatten().collect();
    if !others.is_empty() {
        let title = match report.more_owners {
            0 => "nothing to do".to_owned(),
            more => format!("{more} more owners, or nothing to do"),
        };
        let _ = write!(text, "\n{title}\n");
        text += &table(&others, all, &report.kind);
    }
    let counts = report.counts;
    let open = counts.affected + counts.mitigated + counts.uncertain;
    let images = open + counts.not_affected + counts.waived + counts.lower_layer;
    let more = images.saturating_sub(report.items.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "… and {} more (--all, --csv)", output::count(more, "image"));
    }
    text
}

fn describe_owner(owner: &AffectedOwner) -> String {
    let whose = match (&owner.owner, &owner.application) {
        (Some(name), Some(application)) => format!("{name}, {application}"),
        (Some(name), None) => name.clone(),
        (None, Some(application)) => format!("owner unknown, {application}"),
        (None, None) => "owner unknown".to_owned(),
    };
    let images = output::count(owner.images, "image");
    let mut lines = vec![output::printable(&format!("{whose}: {images}"))];
    lines.extend(
        owner
            .actions
            .iter()
            .map(|action| output::printable(&format!("  to do: {action}"))),
    );
    output::lines(lines)
}

/// `kind`: of the question. A class has neither severity nor fix; what matters is whether it was seen.
fn table(images: &[&AffectedImage], all: bool, kind: &str) -> String {
    let most = if all { usize::MAX } else { PLACES };
    let (fix, severity) = match kind {
        "class" => ("CONFIDENCE", "EVIDENCE"),
        _ => ("FIX", "SEVERITY"),
    };
    let rows = images.iter().flat_map(|image| {
        let mut rows = rows(image, most);
        if kind != "vulnerability" {
            held(&image.state).clone_into(&mut rows[0][1]);
        }
        rows
    });
    output::table(
        [
            "IMAGE", "STATE", "PULLS", "PACKAGE", "VERSION", fix, severity, "LAYER", "WHERE",
        ],
        rows,
    )
}

/// The state of an image where what is asked about is no vulnerability: nobody is affected by having a package.
fn held(state: &str) -> &str {
    match state {
        "affected" => "has it",
        "mitigated" => "had it",
        "uncertain" => "may have it",
        other => other,
    }
}

/// On what it rests that a class is there, and how sure name and version of the package are.
fn evidence(place: &AffectedPlace) -> Option<[String; 2]> {
    let words = match place.evidence.as_deref()? {
        "class-seen" => "class seen",
        "package-has-it" => "package that has it",
        _ => "package of its group",
    };
    let confidence = place
        .package
        .as_ref()
        .map(|package| format!("{:?}", package.confidence));
    Some([confidence.unwrap_or_default().to_lowercase(), words.to_owned()])
}

/// A row for each place; the image is named in the first.
fn rows(image: &AffectedImage, most: usize) -> Vec<[String; 9]> {
    let mut rows: Vec<[String; 9]> = image.places.iter().take(most).map(row).collect();
    if rows.is_empty() {
        rows.push([const { String::new() }; 9]);
    }
    let name = match image.tags.split_first() {
        Some((tag, [])) => format!("{}:{tag}", image.repository),
        Some((tag, others)) => format!("{}:{tag} (+{})", image.repository, others.len()),
        None => format!("{}@{:.19}…", image.repository, image.digest.to_string()),
    };
    rows[0][0] = name;
    rows[0][1].clone_from(&image.state);
    let is_told = matches!(image.state.as_str(), "not-affected" | "waived");
    let waived = if image.waived.is_empty() || is_told {
        ""
    } else {
        ", waived"
    };
    rows[0][2] = format!("{}{waived}", image.decision);
    let more = image.places.len().saturating_sub(most) as u64 + image.more_places;
    if more > 0 {
        let mut row = [const { String::new() }; 9];
        row[8] = format!("… and {more} more places");
        rows.push(row);
    }
    rows
}

fn row(place: &AffectedPlace) -> [String; 9] {
    let finding = place.finding.as_ref();
    let path = std::iter::once(&place.path).chain(&place.inner_path);
    let severity = finding.map(|finding| {
        let exploited = if finding.kev { ", exploited" } else { "" };
        format!("{}{exploited}", finding.severity.as_str())
    });
    let package = place.package.as_ref().map(|package| package.name.clone());
    let layer = match place.origin.as_str() {
        "unknown" => place.layer.to_string(),
        origin => format!("{} ({origin})", place.layer),
    };
    let fix = finding.map(|finding| finding.fix.clone().unwrap_or_else(|| finding.fix_words.clone()));
    let [fix, severity] =
        evidence(place).unwrap_or_else(|| [fix.unwrap_or_default(), severity.unwrap_or_default()]);
    [
        String::new(),
        String::new(),
        String::new(),
        package.unwrap_or_default(),
        version(place),
        fix,
        severity,
        layer,
        path.map(String::as_str).collect::<Vec<_>>().join("!"),
    ]
}

#[cfg(test)]
mod tests;
