//! `maturity report`: what a leader reads in two minutes.
//!
//! The client makes it of what the API tells, so that everybody's report is about what they see. There is no overall score, and what
//! nobody can tell is neither strong nor weak.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::SystemTime;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt as _, TryStreamExt as _};
use maturity::attestation::InboxKind;
use maturity::model::{Topic, TopicId};
use maturity::organisation::{Band, Distribution, Group};
use maturity::scorecard::Standing;
use maturity::words::SubjectName;
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::Value;
use store::Timestamp;
use web::wire::{
    ApplicationEntry, ChangeEntry, GroupEntry, HeatMap, InboxReport, KpiReport, Moment, Page, ShownModel,
};

use super::figures::{self, Line};
use super::shown;
use crate::cli::Format;
use crate::client::Client;
use crate::output;

mod html;
mod markdown;

/// Applications whose changes are looked at; more are only counted.
const MOST_APPS: usize = 2_000;

/// Newest changes of one application that are looked at.
const CHANGES: u16 = 500;

/// Applications that are asked about at once.
const AT_ONCE: usize = 4;

/// Topics, falls and rises that the beginning of a report names.
const NAMED: usize = 3;

/// Falls, and rises, that a report lists; JSON has all.
const LISTED: usize = 25;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Html,
    Markdown,
    Json,
}

/// Options of `maturity report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// How it is written: HTML is one file, for print too
    #[arg(long, value_enum, default_value_t = Form::Markdown, value_name = "FORM")]
    format: Form,
    /// How far back it tells what moved, in days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=730))]
    days: u16,
}

/// A report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// As of when.
    as_of: Moment,
    /// How far back it tells what moved, in days.
    days: u16,
    /// Which model judged.
    rule_version: String,
    /// Names of levels, from the first.
    levels: Vec<String>,
    /// Topics of the whole organisation.
    topics: Vec<TopicLine>,
    /// Where it is strong, the strongest first.
    strong: Vec<TopicId>,
    /// Where it is weak, the weakest first.
    weak: Vec<TopicId>,
    /// Levels that moved, the newest first.
    moved: Vec<Moved>,
    /// Applications of which older changes of the time are left out.
    moved_cut: u64,
    /// The organisation.
    organisation: Group,
    /// Every team.
    teams: Vec<Group>,
    /// What people vouched for and has ended.
    ended: usize,
    /// What ends within 30 days.
    ending: usize,
    /// The figures; missing where they cannot be counted.
    kpis: Option<KpiReport>,
}

/// A topic of the whole organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct TopicLine {
    topic: TopicId,
    name: String,
    /// Applications by level, from 0.
    by_level: Vec<usize>,
    /// The level that half of the applications, by weight, have or exceed; missing where none is rated.
    half_at: Option<u8>,
    /// Of those that aim at something, by weight, how many percent are there; missing where none does.
    on_target_percent: Option<u8>,
    /// Those that aim at something.
    with_target: usize,
    /// Of which nobody can tell, by weight, in percent.
    untold_percent: u8,
}

/// A level that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Moved {
    app: SubjectName,
    topic: String,
    from: Option<u8>,
    to: Option<u8>,
    at: Moment,
    because: String,
    event: Option<u64>,
}

impl Moved {
    fn is_fall(&self) -> bool {
        self.to < self.from
    }
}

/// Writes a report.
pub(super) async fn run(client: &Client, args: &ReportArgs) -> Result<()> {
    let report = gather(client, args.days).await?;
    let form = match client.format() {
        Format::Json => Form::Json,
        Format::Table => args.format,
    };
    match form {
        Form::Html => output::text(&html::write(&report)),
        Form::Markdown => output::text(&markdown::write(&report)),
        Form::Json => output::line(serde_json::to_string_pretty(&report)?),
    }
}

async fn gather(client: &Client, days: u16) -> Result<Report> {
    let now = Timestamp::from(SystemTime::now());
    let since = now.minus(Duration::from_secs(u64::from(days) * 86_400));
    let model: ShownModel = client.get_ready("/maturity/model", &[]).await?;
    let GroupEntry(organisation) = client.get_ready("/maturity/organisation", &[]).await?;
    let HeatMap { teams } = client.get_ready("/maturity/heat-map", &[]).await?;
    let inbox: InboxReport = client.get_ready("/maturity/inbox", &[]).await?;
    // A server that cannot count them says why when asked for them alone.
    let kpis = client
        .get_unless("/maturity/kpis", &[], StatusCode::CONFLICT)
        .await?;
    if organisation.apps.apps == 0 {
        bail!(
            "there is no application that you see: declare them with `roadbed app set`, or `roadbed catalog import`"
        );
    }
    let applications: Vec<ApplicationEntry> = client.list("/applications", &[], MOST_APPS).await?;
    let names = applications
        .into_iter()
        .map(|ApplicationEntry(one)| one.name.to_string());
    let (moved, moved_cut) = movements(client, names, since).await?;
    let topics: Vec<TopicLine> = lines(&organisation, &model.model.topics);
    let (strong, weak) = extremes(&topics);
    let count = |kind| inbox.items.iter().filter(|item| item.kind == kind).count();
    Ok(Report {
        as_of: Moment(now),
        days,
        rule_version: model.model.rule_version.to_string(),
        levels: model.model.levels.into_iter().map(|level| level.name).collect(),
        strong,
        weak,
        topics,
        moved,
        moved_cut,
        ended: count(InboxKind::Expired),
        ending: count(InboxKind::Expiring),
        organisation,
        teams,
        kpis,
    })
}

/// Levels of applications that moved since a moment, the newest first; and of how many applications older changes are left out.
async fn movements(
    client: &Client,
    names: impl Iterator<Item = String>,
    since: Timestamp,
) -> Result<(Vec<Moved>, u64)> {
    // An application of another name has no scorecard.
    let names: Vec<SubjectName> = names.filter_map(|name| name.parse().ok()).collect();
    let asked = names.into_iter().map(|app| async move {
        let query = [("subject", format!("app:{app}")), ("limit", CHANGES.to_string())];
        let page: Option<Page<ChangeEntry>> = client
            .get_unless("/maturity/history", &query, StatusCode::NOT_FOUND)
            .await?;
        let Some(page) = page else {
            return Ok((Vec::new(), false));
        };
        let is_old = |entry: &ChangeEntry| at(&entry.change).is_none_or(|at| at < since);
        let is_cut = page.next.is_some() && !page.items.last().is_some_and(is_old);
        let moves = page
            .items
            .iter()
            .filter_map(|entry| moved(&app, &entry.change, since));
        Ok::<_, anyhow::Error>((moves.collect::<Vec<_>>(), is_cut))
    });
    let found: Vec<_> = futures_util::stream::iter(asked)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let cut = found.iter().filter(|(_, is_cut)| *is_cut).count() as u64;
    let mut moves: Vec<Moved> = found.into_iter().flat_map(|(moves, _)| moves).collect();
    moves.sort_by_key(|one| std::cmp::Reverse(one.at));
    Ok((moves, cut))
}

fn at(change: &Value) -> Option<Timestamp> {
    change["at"].as_str().and_then(Timestamp::from_rfc3339)
}

/// A level that rose or fell; nothing of what was not rated before or after, or lies further back.
fn moved(app: &SubjectName, change: &Value, since: Timestamp) -> Option<Moved> {
    let at = at(change).filter(|at| *at >= since)?;
    let level = |value: &Value| value.as_u64().and_then(|level| u8::try_from(level).ok());
    let (from, to) = (level(&change["from"]), level(&change["to"]));
    let is_level = change["change"] == "level" && from.is_some() && to.is_some();
    is_level.then(|| Moved {
        app: app.clone(),
        topic: change["topic"].as_str().unwrap_or_default().to_owned(),
        from,
        to,
        at: Moment(at),
        because: shown::cause(change),
        event: change["event"].as_u64(),
    })
}

fn lines(group: &Group, topics: &[Topic]) -> Vec<TopicLine> {
    let names: BTreeMap<&TopicId, &str> = topics.iter().map(|one| (&one.id, one.name.as_str())).collect();
    let line = |one: &Distribution| TopicLine {
        name: names
            .get(&one.topic)
            .map_or_else(|| one.topic.to_string(), |name| (*name).to_owned()),
        topic: one.topic.clone(),
        by_level: by_level(one),
        half_at: half_at(one),
        on_target_percent: on_target(one),
        with_target: with_target(one).apps,
        untold_percent: one.untold.percent_of(&one.all).unwrap_or(0),
    };
    group.topics.iter().map(line).collect()
}

fn by_level(one: &Distribution) -> Vec<usize> {
    let highest = one.by_level.keys().next_back().copied();
    let at = |level: u8| one.by_level.get(&level).map_or(0, |band| band.apps);
    highest.map_or_else(Vec::new, |highest| (0..=highest).map(at).collect())
}

/// The highest level that half of them, by weight, have or exceed.
fn half_at(one: &Distribution) -> Option<u8> {
    let rated = one.at_least(0).weight;
    let mut levels = one.by_level.keys().rev().copied();
    levels.find(|level| one.at_least(*level).weight * 2 >= rated && rated > 0)
}

fn standing(one: &Distribution, standing: Standing) -> Band {
    one.by_standing.get(&standing).copied().unwrap_or_default()
}

fn with_target(one: &Distribution) -> Band {
    let (on, below) = (standing(one, Standing::OnTarget), standing(one, Standing::Below));
    Band {
        apps: on.apps + below.apps,
        weight: on.weight + below.weight,
    }
}

fn on_target(one: &Distribution) -> Option<u8> {
    standing(one, Standing::OnTarget).percent_of(&with_target(one))
}

/// Whether of most nobody can tell.
fn is_untold(one: &Distribution) -> bool {
    one.untold.weight * 2 > one.all.weight
}

/// The strongest topics, and the weakest ones. By targets where somebody has any, else by the level that half of the applications have.
/// A topic of whose applications nobody can tell most is neither.
fn extremes(topics: &[TopicLine]) -> (Vec<TopicId>, Vec<TopicId>) {
    let has_targets = topics.iter().any(|one| one.with_target > 0);
    let key = |one: &TopicLine| {
        if has_targets {
            one.on_target_percent
        } else {
            one.half_at
        }
    };
    let told = topics.iter().filter(|one| one.untold_percent <= 50);
    let mut ranked: Vec<(u8, &TopicLine)> = told.filter_map(|one| Some((key(one)?, one))).collect();
    ranked.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
    let (Some((best, _)), Some((worst, _))) = (ranked.first(), ranked.last()) else {
        return (Vec::new(), Vec::new());
    };
    let (best, worst) = (*best, *worst);
    // Where all are alike none is stronger than another.
    let strong = ranked.iter().filter(|(key, _)| *key > worst);
    let strong: Vec<TopicId> = strong.take(NAMED).map(|(_, one)| one.topic.clone()).collect();
    let weak = ranked.iter().rev().filter(|(key, _)| *key < best);
    let weak = weak.map(|(_, one)| one.topic.clone());
    let weak = weak.filter(|topic| !strong.contains(topic)).take(NAMED).collect();
    (strong, weak)
}

impl Report {
    fn line(&self, topic: &TopicId) -> Option<&TopicLine> {
        self.topics.iter().find(|one| one.topic == *topic)
    }

    /// A topic with the one number that says how it is.
    fn told(&self, topic: &TopicId) -> String {
        let Some(line) = self.line(topic) else {
            return topic.to_string();
        };
        match (line.on_target_percent, line.half_at) {
            (Some(percent), _) => format!("{}: {percent} % on target", line.name),
            (None, Some(level)) => format!("{}: half at level {level} or above", line.name),
            (None, None) => line.name.clone(),
        }
    }

    /// `3 Scale`.
    fn level(&self, level: u8) -> String {
        let name = usize::from(level)
            .checked_sub(1)
            .and_then(|place| self.levels.get(place));
        name.map_or_else(|| level.to_string(), |name| format!("{level} {name}"))
    }

    fn figures(&self) -> Vec<Line> {
        let figures = self.kpis.iter().flat_map(|report| &report.figures);
        figures.map(figures::line).collect()
    }

    fn falls(&self) -> Vec<&Moved> {
        self.moved.iter().filter(|one| one.is_fall()).collect()
    }

    fn rises(&self) -> Vec<&Moved> {
        self.moved.iter().filter(|one| one.to > one.from).collect()
    }

    /// What moved, the most frequent reasons first: so many levels fell, and because of what.
    fn why(moves: &[&Moved]) -> Vec<String> {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for one in moves {
            *reasons.entry(&one.because).or_default() += 1;
        }
        let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons.truncate(NAMED);
        reasons
            .into_iter()
            .map(|(why, count)| format!("{count} × {why}"))
            .collect()
    }

    /// What nobody can tell, the largest first.
    fn unknown(&self) -> Vec<String> {
        let mut topics: Vec<&TopicLine> = self.topics.iter().filter(|one| one.untold_percent > 0).collect();
        topics.sort_by_key(|one| std::cmp::Reverse(one.untold_percent));
        let mut told: Vec<String> = topics
            .iter()
            .take(NAMED)
            .map(|one| format!("{}: of {} % nobody can tell", one.name, one.untold_percent))
            .collect();
        if topics.len() > NAMED {
            told.push(format!(
                "{} more topics of which something is unknown",
                topics.len() - NAMED
            ));
        }
        if self.ended > 0 {
            told.push(format!(
                "{} that people vouched for and that has ended",
                self.ended
            ));
        }
        let own = &self.organisation.own;
        if own.unknown + own.expired > 0 {
            told.push(format!(
                "{} of {} criteria of the organisation itself",
                own.unknown + own.expired,
                own.all()
            ));
        }
        let withheld = self.figures().iter().filter(|line| !line.is_measured).count();
        if withheld > 0 {
            told.push(format!(
                "{} withheld: see below why",
                output::count(withheld as u64, "figure")
            ));
        }
        told
    }
}

/// A cell of the heat map.
#[derive(Debug, PartialEq, Eq)]
struct Cell {
    /// What stands in it.
    text: String,
    /// How good it is, from 0 to 4; none of what nobody can tell and of what is not rated.
    shade: Option<u8>,
    /// Whether nobody can tell of most.
    is_untold: bool,
    /// What it says in full.
    about: String,
}

fn cell(one: &Distribution) -> Cell {
    let (on, aiming) = (standing(one, Standing::OnTarget), with_target(one));
    let about = format!(
        "{} of {} on target, {} of {} nobody can tell",
        on.apps, aiming.apps, one.untold.apps, one.all.apps
    );
    let is_untold = is_untold(one);
    let (text, shade) = match (is_untold, on_target(one), half_at(one)) {
        (true, ..) => ("?".to_owned(), None),
        (false, Some(percent), _) => (format!("{percent} %"), Some(percent.min(99) / 20)),
        (false, None, Some(level)) => (format!("L{level}"), Some(level.min(5).saturating_sub(1))),
        (false, None, None) => ("–".to_owned(), None),
    };
    Cell {
        text,
        shade,
        is_untold,
        about,
    }
}

fn team(group: &Group) -> String {
    group
        .team
        .as_ref()
        .map_or_else(|| "no team".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
