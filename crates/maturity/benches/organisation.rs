//! How soon an organisation is judged: `cargo bench -p maturity --bench organisation`.
//!
//! Prints what the organisation is made from, how long it takes to take in all events one by one, to judge everything anew from
//! stored facts, to take one more event (p50, p99 and the slowest), to write a scorecard and the distributions, and what all of it
//! takes in memory.

use std::{
    fmt::Display,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use maturity::{
    assessment::{Assessment, Entry, EntryKind},
    evidence::EvidenceLimits,
    facts::organisation as the_organisation,
    model::Model,
    next::actions,
    organisation::{TierWeights, heat_map, whole},
    synthetic::{Organisation, Parameters},
    words::Subject,
};

/// Events that are measured one by one: the last ones.
const LAST: usize = 5_000;

fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Bytes that the process has in memory, where the system says so.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

fn main() {
    let model = Arc::new(Model::cnmm().expect("the shipped model is read"));
    let parameters = Parameters::LARGE;
    say(format_args!(
        "{parameters:?}, {} criteria",
        model.criteria().len()
    ));
    let before = resident();
    let mut assessment = Assessment::new(Arc::clone(&model), EvidenceLimits::default());
    let entries = Organisation::new(parameters, &model);
    let (mut count, mut taken) = (0_u64, Duration::ZERO);
    let mut newest = Vec::with_capacity(LAST);
    for entry in entries {
        let start = Instant::now();
        assessment.apply(entry);
        let took = start.elapsed();
        taken += took;
        count += 1;
        if newest.len() == LAST {
            newest.clear();
        }
        newest.push(took);
    }
    let resident_after = resident();
    say(format_args!(
        "{count} events taken one by one in {taken:.2?}; {} changes; resident {} MiB more, {} MiB in all",
        assessment.history().changes().len(),
        mib(resident_after.saturating_sub(before)),
        mib(resident_after),
    ));
    newest.sort_unstable();
    let at = |part: usize| newest[(newest.len() - 1) * part / 100];
    say(format_args!(
        "one event: p50 {:.2?}, p99 {:.2?}, slowest {:.2?}",
        at(50),
        at(99),
        at(100)
    ));
    one_of_the_organisation(&mut assessment);
    judged_anew(&assessment);
    reports(&assessment);
}

/// The event that touches most: one fact that every application stands on.
fn one_of_the_organisation(assessment: &mut Assessment) {
    let mut entries = Organisation::new(
        Parameters {
            days: 3,
            ..Parameters::LARGE
        },
        assessment.model(),
    );
    let is_wide =
        |entry: &Entry| matches!(&entry.kind, EntryKind::Seen(seen) if seen.subject == the_organisation());
    let mut slowest = Duration::ZERO;
    for mut entry in entries.by_ref().filter(is_wide) {
        entry.at = assessment.now();
        if let EntryKind::Seen(seen) = &mut entry.kind {
            seen.seen.observed_at = entry.at;
            seen.seen.valid_until = None;
        }
        let start = Instant::now();
        assessment.apply(entry);
        slowest = slowest.max(start.elapsed());
    }
    say(format_args!(
        "one fact of the whole organisation: slowest {slowest:.2?}"
    ));
}

fn judged_anew(assessment: &Assessment) {
    let (facts, history) = (assessment.facts().clone(), assessment.history().clone());
    let start = Instant::now();
    let limits = EvidenceLimits::default();
    let anew = Assessment::start(
        Arc::clone(assessment.model()),
        facts,
        history,
        assessment.now(),
        limits,
    );
    let took = start.elapsed();
    let more = anew.history().changes().len() - assessment.history().changes().len();
    say(format_args!(
        "everything judged anew in {took:.2?}, {more} more changes"
    ));
}

fn reports(assessment: &Assessment) {
    let weights = TierWeights::default();
    let start = Instant::now();
    let group = whole(assessment, &weights);
    let rows = heat_map(assessment, &weights).len();
    say(format_args!(
        "distributions of {rows} teams and {} applications in {:.2?}",
        group.apps.apps,
        start.elapsed()
    ));
    let apps: Vec<Subject> = assessment
        .facts()
        .apps()
        .map(maturity::facts::Placement::subject)
        .collect();
    let start = Instant::now();
    let cards = apps.iter().filter_map(|app| assessment.scorecard(app)).count();
    say(format_args!(
        "{cards} scorecards with chains and next drops in {:.2?}",
        start.elapsed()
    ));
    let start = Instant::now();
    let plans = apps
        .iter()
        .map(|app| actions(assessment.model(), assessment.facts(), app, assessment.now()).len());
    say(format_args!(
        "{} actions of all applications in {:.2?}",
        plans.sum::<usize>(),
        start.elapsed()
    ));
}
