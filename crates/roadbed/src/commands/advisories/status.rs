//! `advisories status`.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use store::{FeedHold, StoreConfig};
use web::Syncing as _;
use web::wire::{AdvisoryStatus, BundleOrigin, SourceState, SourceStatus};

use super::held;
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::commands::serve::ConfigFile;
use crate::config::{Config, Sources, Span};
use crate::feeds::Feeds;
use crate::local::DataArgs;
use crate::{local, output};

/// Options of `advisories status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    file: ConfigFile,
}

/// Shows sources and imports.
pub(crate) async fn status(client: &ClientArgs, args: StatusArgs) -> Result<()> {
    let status: AdvisoryStatus = match args.data.data {
        Some(data) => {
            let config = Config::load(&Sources::of_process(args.file.config, Vec::new()))?;
            let store = local::open_with(StoreConfig {
                limits: config.store_limits(),
                ..StoreConfig::at(&data)
            })
            .await?;
            let imports = store.advisory_imports().await?;
            let status = AdvisoryStatus {
                generation: store.advisory_generation().await?,
                imports: imports.into_iter().map(Into::into).collect(),
                sources: Feeds::new(&config.feeds, store.clone(), None).sources().await?,
            };
            local::close(store).await?;
            status
        }
        None => Client::connect(client)?.get("/advisories", &[]).await?,
    };
    output::show(client.output, &status, describe)
}

fn describe(status: &AdvisoryStatus) -> String {
    let mut text = String::new();
    if !status.sources.is_empty() {
        let head = [
            "SOURCE",
            "STATE",
            "AGE",
            "COVERS",
            "GENERATION",
            "CAME",
            "BY",
            "LAST TRY",
            "NEXT TRY",
        ];
        text.push_str(&output::table(head, status.sources.iter().map(source)));
        for failed in status.sources.iter().filter(|source| source.error.is_some()) {
            let error = failed.error.as_deref().unwrap_or_default();
            // Writing to memory does not fail.
            let _ = writeln!(text, "{}: {}", failed.source, output::printable(error));
            if let Some(held) = &failed.held {
                text += &describe_hold(&failed.source, held);
            }
        }
        text.push('\n');
    }
    if status.imports.is_empty() {
        text.push_str(
            "No advisories: fetch some with `roadbed advisories sync`, or import some with `roadbed advisories import`.\n",
        );
        return text;
    }
    let rows = status.imports.iter().map(|import| {
        [
            import.generation.to_string(),
            output::moment(import.at.0),
            import.by.clone(),
            import.about["changed"].to_string(),
            import.origin.clone(),
        ]
    });
    text.push_str(&output::table(
        ["GENERATION", "AT", "BY", "CHANGED", "FROM"],
        rows,
    ));
    text
}

/// What would pass, and how to let it.
fn describe_hold(source: &str, held: &FeedHold) -> String {
    let words = ["sync", "--source", source].map(str::to_owned);
    match held {
        FeedHold::Lifts { lifts } => held::listed(lifts, &words),
        FeedHold::Unreadable => held::accepting(&words, ""),
        FeedHold::Shrunk { .. } => held::accepting(&words, "--accept-removals"),
    }
}

fn source(source: &SourceStatus) -> [String; 9] {
    let state = match source.state {
        SourceState::Fresh => "fresh",
        SourceState::Failing => "failing",
        SourceState::Held => "HELD",
        SourceState::Stale => "STALE",
        SourceState::Carried => "carried",
        SourceState::Never => "never fetched",
        SourceState::Off => "switched off",
    };
    let number = |number: u64| {
        if number == 0 {
            String::new()
        } else {
            number.to_string()
        }
    };
    let moment =
        |moment: Option<web::wire::Moment>| moment.map(|moment| output::moment(moment.0)).unwrap_or_default();
    [
        source.source.clone(),
        state.to_owned(),
        source.age_seconds.map(age).unwrap_or_default(),
        number(source.covers),
        number(source.generation),
        moment(
            source
                .carried
                .as_ref()
                .map(|carried| carried.at)
                .or(source.succeeded_at),
        ),
        came_by(source),
        moment(source.tried_at),
        moment(source.next_at),
    ]
}

/// By what it came last.
fn came_by(source: &SourceStatus) -> String {
    match (&source.carried, source.succeeded_at) {
        (Some(carried), _) => match &carried.bundle {
            Some(bundle) => of_bundle(bundle),
            None => format!("import by {}", carried.by),
        },
        (None, Some(_)) => "fetch".to_owned(),
        (None, None) => String::new(),
    }
}

/// `bundle of 2026-11-27T04:41:00Z, signed by /etc/roadbed/cosign.pub`.
pub(super) fn of_bundle(bundle: &BundleOrigin) -> String {
    format!(
        "bundle of {}, signed by {}",
        output::moment(bundle.made_at.0),
        bundle.signed_by.as_deref().unwrap_or("nobody")
    )
}

/// The largest whole unit.
fn age(seconds: u64) -> String {
    let unit = [24 * 60 * 60, 60 * 60, 60]
        .into_iter()
        .find(|unit| seconds >= *unit);
    Span::seconds(unit.map_or(seconds, |unit| seconds / unit * unit)).to_string()
}

#[cfg(test)]
mod tests {
    use store::{LiftedCause, Lifts};

    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m"), (7_300, "2h"), (200_000, "2d")] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_source_that_fails_says_why() {
        let status = AdvisoryStatus {
            generation: 0,
            imports: Vec::new(),
            sources: vec![SourceStatus {
                source: "Maven".to_owned(),
                state: SourceState::Stale,
                url: "https://feeds.example/".to_owned(),
                tried_at: None,
                succeeded_at: None,
                changed_at: None,
                next_at: None,
                carried: None,
                age_seconds: Some(200_000),
                failures: 3,
                error: Some("cannot reach feeds.example (name a mirror)".to_owned()),
                held: Some(FeedHold::Lifts {
                    lifts: Lifts {
                        refused: 40,
                        lifted: 6,
                        images: vec!["team/app@sha256:0".to_owned()],
                        causes: vec![LiftedCause {
                            id: "CVE-2021-44228".to_owned(),
                            images: 6,
                        }],
                        ..Lifts::default()
                    },
                }),
                generation: 4,
                covers: 546,
            }],
        };
        let text = describe(&status);
        assert!(text.contains("Maven   STALE  2d   546     4"), "{text}");
        assert!(
            text.contains(
                "\nMaven: cannot reach feeds.example (name a mirror)\n  no longer refused for CVE-2021-44228: 6 images\n  \
                 would pass: team/app@sha256:0\n  and 5 more\n  if that is right: roadbed advisories sync --source \
                 Maven --accept-lifts 6\n"
            ),
            "{text}"
        );
    }
}
