//! `lineage IMAGE`: whose an image is, what it stands on, and where that is on the road.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use road::cohort::{Because, Cohort};
use road::lineage::{BaseHint, Standing};
use web::wire::{ImageLineage, LineageEntry};

use super::decisions::ImageArg;
use crate::client::Client;
use crate::output;

/// Options of `lineage`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roadbed lineage team/app:1.4
  roadbed lineage team/app@sha256:0ab1… --output json")]
pub(crate) struct LineageArgs {
    /// Image: `team/app:1.4` or `team/app@sha256:…`; without either the tag `latest`
    image: ImageArg,
}

/// Carries out the command.
pub(crate) async fn run(client: &Client, args: LineageArgs) -> Result<()> {
    let entry = of(client, &args.image).await?;
    output::show(client.format(), &entry, describe)
}

/// What the registry knows of it.
pub(super) async fn of(client: &Client, image: &ImageArg) -> Result<LineageEntry> {
    let query = [
        ("repository", image.repository().to_string()),
        ("reference", image.reference().to_string()),
    ];
    client.get("/lineage", &query).await
}

fn describe(entry: &LineageEntry) -> String {
    let mut lines = vec![format!("{}@{}", entry.repository, entry.digest)];
    lines.push(format!("  {}", whose(entry)));
    for image in &entry.images {
        if image.digest != entry.digest {
            lines.push(String::new());
            lines.push(format!(
                "{} ({})",
                image.digest,
                output::printable(&image.platform)
            ));
        }
        for standing in image.lineage.stack.iter().rev() {
            lines.push(format!("  stands on    {}", of_base(standing)));
        }
        lines.push(format!("  road         {}", road(image)));
        lines.push(format!("  findings     {}", findings(image)));
        lines.extend(hint(&image.hint).map(|hint| format!("  its words    {hint}")));
    }
    output::lines(lines)
}

/// One line each for whoever reads a decision.
pub(super) fn summary(entry: &LineageEntry) -> Vec<String> {
    let mut lines = vec![format!("  {}", whose(entry))];
    for image in &entry.images {
        let base = image
            .lineage
            .base()
            .map_or_else(|| "no known base".to_owned(), of_base);
        lines.push(format!("  base         {base}; {}", road(image)));
        lines.push(format!("  findings     {}", findings(image)));
        lines.extend(hint(&image.hint).map(|hint| format!("  its words    {hint}")));
    }
    lines
}

fn whose(entry: &LineageEntry) -> String {
    match (&entry.application, &entry.owner) {
        (None, _) => "application  unknown: no application has this repository".to_owned(),
        (Some(name), None) => format!("application  {name}, of which nobody says whose it is"),
        (Some(name), Some(owner)) => {
            let source = entry.source.map_or("", road::application::Source::as_str);
            format!("application  {name} of {owner} ({source})")
        }
    }
}

fn of_base(standing: &Standing) -> String {
    let news = match standing.superseded {
        Some(by) => format!(", superseded on {}", by.at.date()),
        None => String::new(),
    };
    let layers = output::count(standing.layers as u64, "layer");
    format!(
        "{} {} ({layers}{news})",
        standing.base,
        output::printable(&standing.version)
    )
}

fn road(image: &ImageLineage) -> String {
    let verdict = &image.standing;
    let word = match verdict.cohort {
        Cohort::OwnRoad => "own road",
        cohort => cohort.as_str(),
    };
    let why = match &verdict.because {
        Because::Current { base } => format!("{base} is current"),
        Because::WithinPromise { base, until } => {
            format!("a newer {base} is there, to be taken until {}", until.date())
        }
        Because::PromiseOver { base, since, .. } => {
            format!("a newer {base} should have been taken until {}", since.date())
        }
        Because::SupportEnded { base, replaced_by } => match replaced_by {
            Some(by) => format!("{base} is supported no more: move to {by}"),
            None => format!("{base} is supported no more"),
        },
        Because::Experimental { base } => format!("{base} is an experiment"),
        Because::NotDeclared { base } => format!("{base} is not approved any more"),
        Because::NotSigned { base } => {
            format!("it stands on what the declared signer of {base} has not signed")
        }
        Because::NoBase => "it stands on no approved base".to_owned(),
        Because::LayersUnknown => "a layer could not be read".to_owned(),
        Because::NoImages => "no image was looked into".to_owned(),
    };
    match &verdict.exempt {
        Some(exempt) => format!(
            "{word} from {} until {} ({}): {why}",
            exempt.rule,
            exempt.until.date(),
            output::printable(&exempt.reason)
        ),
        None => format!("{word}: {why}"),
    }
}

fn findings(image: &ImageLineage) -> String {
    let of = &image.findings;
    let mut parts = vec![
        format!("from the base: {}", counts(&of.base)),
        format!("yours: {}", counts(&of.own)),
    ];
    if !of.unknown.is_empty() {
        parts.push(format!("of no known layer: {}", counts(&of.unknown)));
    }
    parts.join("; ")
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let order = ["critical", "high", "medium", "low"];
    let known = order.iter().filter_map(|word| Some((*word, counts.get(*word)?)));
    let others = counts.iter().filter(|(word, _)| !order.contains(&word.as_str()));
    let all = known.chain(others.map(|(word, count)| (word.as_str(), count)));
    let parts: Vec<String> = all.map(|(word, count)| format!("{count} {word}")).collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

/// What is worth a line.
fn hint(hint: &BaseHint) -> Option<String> {
    let instead = |found: &Option<road::names::BaseName>| {
        let found = found.as_ref().map(|base| format!("stands on {base}"));
        found.unwrap_or_else(|| "stands on no approved base".to_owned())
    };
    match hint {
        BaseHint::Silent | BaseHint::Agrees { .. } => None,
        BaseHint::Lies { said, base, found } => Some(format!(
            "FALSE: it says that it is built on {base} ({said}), and {}",
            instead(found)
        )),
        BaseHint::NotBorneOut { base, found } => {
            Some(format!("not borne out: it names {base}, and {}", instead(found)))
        }
    }
}
