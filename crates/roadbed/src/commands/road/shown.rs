//! The catalogue, and what came of it, for people.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use road::adoption::{Bands, SharedBase};
use road::cohort::Cohort;
use road::debt::{Debt, DebtState};
use road::ends::last_day;
use road::exemption::ExemptionState;
use road::names::Owner;
use road::paving::{RoadEntry, RoadKind};
use serde_json::Value;
use web::wire::{AdoptionReport, BaseEntry, BasePromises, EventEntry, ShownEntry, ShownRoad};

use crate::output;

/// Days that the table of adoption shows, evenly spread.
const DAYS_SHOWN: usize = 12;

/// Owners that are shown.
const OWNERS_SHOWN: usize = 30;

/// Keeps what is called so; an application's exemptions too.
pub(super) fn keep(road: &mut ShownRoad, name: &str) -> Result<()> {
    road.bases.retain(|base| base.0.name.as_str() == name);
    let of_name = format!("{name}:");
    let of_path = format!("{name}@");
    road.entries.retain(|entry| {
        let is = &entry.name;
        is == name || is.starts_with(&of_name) || is.starts_with(&of_path)
    });
    if road.bases.is_empty() && road.entries.is_empty() {
        bail!("nothing on the road is called {name}: see `roadbed road show`");
    }
    Ok(())
}

pub(super) fn catalogue(road: &ShownRoad) -> String {
    let bases = road.bases.iter().map(|BaseEntry(base)| {
        [
            RoadKind::BaseImage.to_string(),
            base.name.to_string(),
            base.owner.to_string(),
            base.last_day().to_string(),
            lifecycle(base.lifecycle),
            output::printable(base.repository.as_str()),
        ]
    });
    let entries = road.entries.iter().map(|shown| {
        [
            shown.kind.to_string(),
            shown.name.clone(),
            shown.entry.owner().map(Owner::to_string).unwrap_or_default(),
            shown
                .ends
                .map(|ends| last_day(ends.0.to_utc()).to_string())
                .unwrap_or_default(),
            state(shown),
            output::printable(&about(&shown.entry)),
        ]
    });
    let head = ["KIND", "NAME", "OWNER", "LAST DAY", "STATE", "ABOUT"];
    let mut text = output::table(head, bases.chain(entries));
    if let Some(version) = road.version {
        let _ = writeln!(text, "version {version}");
    }
    text
}

fn lifecycle(lifecycle: road::base::Lifecycle) -> String {
    let word = road::base::Lifecycle::WORDS
        .iter()
        .find(|(_, other)| *other == lifecycle);
    word.map_or("", |(word, _)| word).to_owned()
}

fn state(shown: &ShownEntry) -> String {
    let word = match shown.state {
        ExemptionState::Pending => "pending",
        ExemptionState::Live => "live",
        ExemptionState::Expired => "expired",
    };
    match shown.renewals {
        0 => word.to_owned(),
        1 => format!("{word}, renewed once"),
        times => format!("{word}, renewed {times} times"),
    }
}

fn about(entry: &RoadEntry) -> String {
    match entry {
        RoadEntry::Toolchain(toolchain) => {
            format!("SLSA {}; {}", toolchain.slsa_level, toolchain.builders.join(", "))
        }
        RoadEntry::GoldenPath(path) => {
            let bases: Vec<&str> = path.bases.iter().map(road::names::BaseName::as_str).collect();
            format!("on {}", bases.join(", "))
        }
        RoadEntry::AppRoad(road) => {
            let path = road.path.as_ref().map_or("no golden path", |path| path.as_str());
            let (ring, auto) = (road.ring.as_str(), road.auto_rebase.as_str());
            format!(
                "{path}; ring {ring}; rebase {auto}; {}",
                output::count(road.freezes.len() as u64, "freeze")
            )
        }
        RoadEntry::Exemption(exemption) => exemption.reason.clone(),
    }
}

pub(super) fn history(events: &[EventEntry]) -> String {
    let rows = events.iter().map(|event| {
        [
            event.seq.to_string(),
            output::moment(event.at.0),
            event.kind.name(),
            event.subject.clone(),
            event.actor.clone(),
            told(event),
        ]
        .map(|text| output::printable(&text))
    });
    output::table(["VERSION", "AT", "WHAT", "SUBJECT", "BY", "ABOUT"], rows)
}

/// What an event has beside its subject, in a few words.
fn told(event: &EventEntry) -> String {
    let body = &event.body;
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    match event.kind.name().as_str() {
        "road.ends" => format!("ends in {} days or less, on {}", body["days"], text("ends")),
        "road.end" => format!("ended on {}", text("ends")),
        "base.late" => format!("{} was to be patched by {}", text("vulnerability"), text("due")),
        "base.patched" => {
            let kept = if body["kept"] == Value::Bool(true) {
                "as promised"
            } else {
                "too late"
            };
            format!("{} patched by {}, {kept}", text("vulnerability"), text("release"))
        }
        "road.set" if body["was"].is_null() => "new".to_owned(),
        "road.set" => changed(&body["was"]["entry"], &body["to"]["entry"]),
        _ => String::new(),
    }
}

/// The keys that differ.
fn changed(was: &Value, to: &Value) -> String {
    let keys = to.as_object().into_iter().flatten();
    let differ: Vec<&str> = keys
        .filter(|(key, value)| was.get(*key) != Some(*value))
        .map(|(key, _)| key.as_str())
        .collect();
    format!("changed: {}", differ.join(", "))
}

pub(super) fn adoption(report: &AdoptionReport) -> String {
    let mut text = bar(&report.now);
    if report.waiting > 0 {
        let _ = writeln!(text, "{} more are still being looked into", report.waiting);
    }
    let head = ["", "PAVED", "STALE", "EXEMPT", "OWN ROAD", "UNKNOWN", "ALL"];
    let owners = report.owners.iter().take(OWNERS_SHOWN);
    let owners = owners.map(|of| {
        let name = of
            .owner
            .as_ref()
            .map_or_else(|| "nobody".to_owned(), Owner::to_string);
        row(name, &of.bands)
    });
    text.push('\n');
    text.push_str(&output::table(head, owners));
    let more = report.owners.len().saturating_sub(OWNERS_SHOWN) as u64 + report.more_owners;
    if more > 0 {
        let _ = writeln!(text, "… and {more} more owners (--output json)");
    }
    if report.days.len() > 1 {
        let step = report.days.len().div_ceil(DAYS_SHOWN);
        // The last day counts, whatever the step.
        let shown = report
            .days
            .iter()
            .rev()
            .step_by(step)
            .collect::<Vec<_>>()
            .into_iter()
            .rev();
        text.push('\n');
        text.push_str(&output::table(
            head,
            shown.map(|day| row(day.day.clone(), &day.bands)),
        ));
    }
    for proposal in &report.proposals {
        text.push_str(&proposed(proposal));
    }
    text
}

fn bar(bands: &Bands) -> String {
    let all = bands.all();
    let parts = Cohort::ALL
        .iter()
        .filter(|cohort| bands.of(**cohort) > 0)
        .map(|cohort| {
            let count = bands.of(*cohort);
            format!("{} % {} ({count})", count * 100 / all.max(1), word(*cohort))
        });
    let parts: Vec<String> = parts.collect();
    let repositories = if all == 1 { "repository" } else { "repositories" };
    format!(
        "{all} {repositories}: {}\n",
        if parts.is_empty() {
            "none looked into".to_owned()
        } else {
            parts.join(", ")
        }
    )
}

const fn word(cohort: Cohort) -> &'static str {
    match cohort {
        Cohort::OwnRoad => "own road",
        cohort => cohort.as_str(),
    }
}

fn row(name: String, bands: &Bands) -> [String; 7] {
    let [paved, stale, exempt, own, unknown] = Cohort::ALL.map(|cohort| bands.of(cohort).to_string());
    [name, paved, stale, exempt, own, unknown, bands.all().to_string()]
}

fn proposed(base: &SharedBase) -> String {
    let teams: Vec<String> = base.teams.iter().map(Owner::to_string).collect();
    let more = base.team_count.saturating_sub(base.teams.len() as u64);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let which = match base.images.first() {
        Some(image) => output::printable(image),
        None => format!(
            "{} that no image here is alone",
            output::count(base.layers as u64, "layer")
        ),
    };
    format!(
        "\n{} teams share an unapproved base, {which}: {}{more} ({} repositories). Adopt it? `roadbed road init` writes the entry.\n",
        base.team_count,
        teams.join(", "),
        base.repositories
    )
}

pub(super) fn promises(all: &[BasePromises]) -> String {
    let rows = all.iter().map(|of| {
        let median = of.median_seconds.map(span).unwrap_or_default();
        [
            of.base.to_string(),
            of.owner.to_string(),
            of.late.to_string(),
            of.open.to_string(),
            of.kept.to_string(),
            of.broken.to_string(),
            median,
        ]
    });
    let mut text = output::table(
        ["BASE", "OWNER", "LATE", "OPEN", "KEPT", "BROKEN", "MEDIAN"],
        rows,
    );
    let owed = all
        .iter()
        .flat_map(|of| of.debts.iter().filter(|debt| debt.state.is_owed()));
    let rows: Vec<_> = owed.map(owed_row).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&output::table(
            ["BASE", "PROBLEM", "SEVERITY", "KNOWN", "DUE", "STATE"],
            rows,
        ));
    }
    text
}

fn owed_row(debt: &Debt) -> [String; 6] {
    let state = if debt.state == DebtState::Late {
        "LATE"
    } else {
        "open"
    };
    [
        debt.base.to_string(),
        debt.vulnerability.to_string(),
        debt.severity.as_str().to_owned(),
        debt.known_at.date().to_string(),
        output::moment(debt.due_at.into()),
        state.to_owned(),
    ]
}

/// In the largest unit that says something.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
