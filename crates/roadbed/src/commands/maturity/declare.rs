//! What is aimed at and agreed on, who may vouch, what is compared with, and which model judges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use access::PrincipalName;
use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use maturity::campaign::{AppProgress, Count};
use maturity::model::{Comparison, MAX_DOCUMENT_BYTES, Move, Scope, TopicId};
use maturity::words::{CriterionId, RecordId, Role, Slug, SubjectKind, SubjectName};
use web::wire::{
    AppTargets, CampaignEntry, ModelDocument, ModelOutcome, NewBaseline, NewCampaign, NewModel, NewRole,
    RoleEntry, ShownBaseline,
};

use super::shown::{day, moment, word};
use super::whom::Whom;
use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;

/// Moves of a preview that a person is shown; JSON has all.
const MOVES: usize = 50;

/// Options of `maturity target`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roadbed maturity target shop/checkout technology=3 technology/testing=4 people=2
  roadbed maturity target shop/checkout --none")]
pub(crate) struct TargetArgs {
    /// Which application
    app: Whom,
    /// Levels by category or by topic, CATEGORY=LEVEL or CATEGORY/TOPIC=LEVEL; a topic goes before its category
    #[arg(
        value_name = "WHAT=LEVEL",
        required_unless_present = "none",
        conflicts_with = "none"
    )]
    targets: Vec<Target>,
    /// Aim at nothing
    #[arg(long)]
    none: bool,
}

/// A level that is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Of one topic.
    Topic(TopicId, u8),
    /// Of all topics of a category.
    Category(Slug, u8),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "write CATEGORY=LEVEL or CATEGORY/TOPIC=LEVEL, such as technology/testing=3".to_owned();
        let (what, level) = text.split_once('=').ok_or_else(wrong)?;
        let level = level.parse().map_err(|_| wrong())?;
        if what.contains('/') {
            return what
                .parse()
                .map(|topic| Self::Topic(topic, level))
                .map_err(|_| wrong());
        }
        what.parse()
            .map(|category| Self::Category(category, level))
            .map_err(|_| wrong())
    }
}

/// Sets what an application aims at.
pub(super) async fn target(client: &Client, args: TargetArgs) -> Result<()> {
    let Whom(subject) = args.app;
    if subject.kind != SubjectKind::App {
        bail!("applications have targets: name one, such as shop/checkout");
    }
    let mut new = AppTargets {
        app: subject.name,
        topics: BTreeMap::new(),
        categories: BTreeMap::new(),
    };
    for target in args.targets {
        let before = match target {
            Target::Topic(topic, level) => new.topics.insert(topic, level),
            Target::Category(category, level) => new.categories.insert(category, level),
        };
        ensure!(
            before.is_none(),
            "a topic or category is there twice: write each once"
        );
    }
    let set: AppTargets = client.put("/maturity/targets", &new).await?;
    output::show(client.format(), &set, |set| {
        let categories = set
            .categories
            .iter()
            .map(|(what, level)| format!("{what}={level}"));
        let topics = set.topics.iter().map(|(what, level)| format!("{what}={level}"));
        let all: Vec<String> = categories.chain(topics).collect();
        match all.as_slice() {
            [] => format!("app:{} aims at nothing.\n", set.app),
            all => format!("app:{} aims at {}.\n", set.app, all.join(", ")),
        }
    })
}

/// What to do with campaigns.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  roadbed maturity campaign add signed-2027 --title 'All tier-1 applications signed by June' \\
      --criterion TE-SEC-4b --tier 1 --due 2027-06-30 --remind 30,7 --becomes-rule
  roadbed maturity campaign show signed-2027")]
pub(crate) enum CampaignCommand {
    /// List campaigns, and how far they are
    List,
    /// Agree on a change by a date, in place of one of the same id
    Add(Box<CampaignArgs>),
    /// Show how far a campaign is, by team and by application
    Show {
        /// Its id
        id: RecordId,
    },
    /// Agree on it no more; the rule that it has become goes too
    Remove {
        /// Its id
        id: RecordId,
    },
}

/// Options of `maturity campaign add`.
#[derive(Debug, Args)]
pub(crate) struct CampaignArgs {
    /// Its id
    id: RecordId,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// Which criteria applications are to hold
    #[arg(long, value_name = "CRITERION", required = true, value_delimiter = ',')]
    criterion: Vec<CriterionId>,
    /// By when
    #[arg(long, value_name = "WHEN")]
    due: MomentArg,
    /// From when on; by default now
    #[arg(long, value_name = "WHEN")]
    starts: Option<MomentArg>,
    /// Only applications of this tier
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    tier: Vec<u8>,
    /// Only applications of this team
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    team: Vec<SubjectName>,
    /// Only this application
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    app: Vec<SubjectName>,
    /// How many days before the end teams are reminded
    #[arg(long, value_name = "DAYS", value_delimiter = ',')]
    remind: Vec<u16>,
    /// It stays as a rule when it is over
    #[arg(long)]
    becomes_rule: bool,
}

/// Carries out a command about campaigns.
pub(super) async fn campaign(client: &Client, command: CampaignCommand) -> Result<()> {
    match command {
        CampaignCommand::List => {
            let all: Vec<CampaignEntry> = client.get_ready("/maturity/campaigns", &[]).await?;
            output::show(client.format(), &all, |all| {
                output::table(
                    [
                        "ID",
                        "DUE",
                        "DAYS LEFT",
                        "DONE",
                        "EXEMPT",
                        "OPEN",
                        "UNKNOWN",
                        "TITLE",
                    ],
                    all.iter().map(of_campaign),
                )
            })
        }
        CampaignCommand::Add(args) => {
            let new = NewCampaign {
                id: args.id,
                title: args.title,
                scope: Scope {
                    tiers: args.tier,
                    teams: args.team,
                    apps: args.app,
                },
                criteria: args.criterion,
                starts: args.starts.map(MomentArg::ago),
                due: args.due.ahead(),
                remind_days_before: args.remind.into_iter().collect(),
                becomes_rule: args.becomes_rule,
            };
            let kept: CampaignEntry = client.post("/maturity/campaigns", &new).await?;
            output::show(client.format(), &kept, of_one)
        }
        CampaignCommand::Show { id } => {
            let all: Vec<CampaignEntry> = client.get_ready("/maturity/campaigns", &[]).await?;
            let found = all.into_iter().find(|entry| entry.campaign.id == id);
            let found = found.with_context(|| {
                format!("there is no campaign {id}: `roadbed maturity campaign list` has all of them")
            })?;
            output::show(client.format(), &found, of_one)
        }
        CampaignCommand::Remove { id } => {
            let path = format!("/maturity/campaigns/{}", segment(&id));
            client.delete(&path, &[]).await?;
            output::done(
                client.format(),
                format!("{} is agreed on no more.", output::printable(id.as_str())),
            )
        }
    }
}

fn of_campaign(entry: &CampaignEntry) -> [String; 8] {
    let count = entry.progress.count;
    [
        entry.campaign.id.to_string(),
        day(entry.campaign.due),
        entry.progress.days_left.to_string(),
        count.done.to_string(),
        count.exempt.to_string(),
        count.open.to_string(),
        count.unknown.to_string(),
        entry.campaign.title.clone(),
    ]
}

fn of_one(entry: &CampaignEntry) -> String {
    let (campaign, progress) = (&entry.campaign, &entry.progress);
    let criteria: Vec<&str> = campaign.criteria.iter().map(CriterionId::as_str).collect();
    let rule = if campaign.becomes_rule {
        "stays as a rule"
    } else {
        "is over then"
    };
    let mut text = output::properties(&[
        ("campaign", format!("{}: {}", campaign.id, campaign.title)),
        ("owner", campaign.owner.to_string()),
        ("criteria", criteria.join(", ")),
        ("from", moment(campaign.starts)),
        (
            "due",
            format!(
                "{} ({} days left), {rule}",
                moment(campaign.due),
                progress.days_left
            ),
        ),
    ]);
    text.push('\n');
    let count = |name: String, count: &Count| {
        let Count {
            done,
            exempt,
            open,
            unknown,
        } = *count;
        [
            name,
            done.to_string(),
            exempt.to_string(),
            open.to_string(),
            unknown.to_string(),
        ]
    };
    let teams = progress.teams.iter().map(|(team, of)| {
        let name = team.as_ref().map_or("no team", SubjectName::as_str);
        count(name.to_owned(), of)
    });
    let all = std::iter::once(count("all".to_owned(), &progress.count));
    let head = ["TEAM", "DONE", "EXEMPT", "OPEN", "UNKNOWN"];
    text.push_str(&output::table(head, all.chain(teams)));
    let open = progress
        .apps
        .iter()
        .filter(|app| !app.open.is_empty())
        .map(of_app);
    text.push('\n');
    text.push_str(&output::table(["APPLICATION", "TEAM", "OPEN"], open));
    text
}

fn of_app(app: &AppProgress) -> [String; 3] {
    let open = app.open.iter();
    let open: Vec<String> = open
        .map(|(id, state)| format!("{id} ({})", word(*state)))
        .collect();
    [
        app.app.to_string(),
        app.team.as_ref().map_or("-", SubjectName::as_str).to_owned(),
        open.join(", "),
    ]
}

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// List the roles that criteria name, and who holds them
    List,
    /// Say who holds a role, in place of those before; nobody takes it from everybody
    Set {
        /// The role, such as platform-lead
        role: Role,
        /// Users
        #[arg(value_name = "USER")]
        holders: Vec<PrincipalName>,
    },
}

/// Carries out a command about roles.
pub(super) async fn role(client: &Client, command: RoleCommand) -> Result<()> {
    match command {
        RoleCommand::List => {
            let all: Vec<RoleEntry> = client.get_ready("/maturity/roles", &[]).await?;
            output::show(client.format(), &all, |all| {
                output::table(["ROLE", "HELD BY"], all.iter().map(of_role))
            })
        }
        RoleCommand::Set { role, holders } => {
            let new = NewRole {
                holders: holders.into_iter().collect::<BTreeSet<_>>(),
            };
            let path = format!("/maturity/roles/{}", segment(&role));
            let set: RoleEntry = client.put(&path, &new).await?;
            output::show(client.format(), &set, |set| {
                let [role, holders] = of_role(set);
                output::printable(&format!("{role} is held by {holders}.")) + "\n"
            })
        }
    }
}

fn of_role(entry: &RoleEntry) -> [String; 2] {
    let mut holders: Vec<String> = entry.holders.iter().map(ToString::to_string).collect();
    if entry.owners {
        holders.push("whoever administers all repositories, for their own".to_owned());
    }
    holders.push("administrators".to_owned());
    [entry.role.to_string(), holders.join(", ")]
}

/// Freezes what figures are compared with.
pub(super) async fn baseline(client: &Client, reason: String, end: Option<MomentArg>) -> Result<()> {
    let new = NewBaseline {
        end: end.map(MomentArg::ago),
        reason,
    };
    let frozen: ShownBaseline = client.put("/maturity/baseline", &new).await?;
    output::show(client.format(), &frozen, |frozen| {
        format!(
            "Figures are compared with {} weeks, frozen at {}.\n",
            frozen.weeks.len(),
            output::moment(frozen.frozen_at.0)
        )
    })
}

/// Options of `maturity apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roadbed maturity apply acme.yaml --preview
  roadbed maturity apply acme.yaml --reason 'agreed in the guild' --enable-from 2027-01-01
  roadbed maturity apply --model cncf-platform")]
pub(crate) struct ApplyArgs {
    /// Models and extensions (YAML), in place of those of the same ids
    #[arg(value_name = "FILE", required_unless_present = "model")]
    files: Vec<PathBuf>,
    /// Which model counts from then on, with all that it extends; by default the last file
    #[arg(long, value_name = "ID")]
    model: Option<Slug>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// From when on; by default at once
    #[arg(long, value_name = "WHEN")]
    enable_from: Option<MomentArg>,
    /// Only say what would move
    #[arg(long)]
    preview: bool,
}

/// Applies models, or says what they would move.
pub(super) async fn apply(client: &Client, args: ApplyArgs) -> Result<()> {
    let mut documents = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let text = String::from_utf8(super::local::read(path, MAX_DOCUMENT_BYTES)?);
        documents.push(ModelDocument {
            file: path.display().to_string(),
            text: text.with_context(|| format!("{} is no text in UTF-8", path.display()))?,
        });
    }
    let new = NewModel {
        documents,
        model: args.model,
        reason: args.reason,
        // A day begins to count with its first moment.
        enable_from: args.enable_from.map(|from| match from {
            MomentArg::Day { first, .. } => web::wire::Moment(first),
            MomentArg::At(_) | MomentArg::Span(_) => from.ahead(),
        }),
    };
    let query = [("preview", args.preview.to_string())];
    let outcome: ModelOutcome = client.post_with("/maturity/models", &query, &new).await?;
    output::show(client.format(), &outcome, moved)
}

fn moved(outcome: &ModelOutcome) -> String {
    let comparison = &outcome.comparison;
    let listed = |ids: &[CriterionId]| {
        let ids: Vec<&str> = ids.iter().map(CriterionId::as_str).collect();
        match ids.as_slice() {
            [] => "none".to_owned(),
            ids => ids.join(", "),
        }
    };
    let changed = comparison.changed.iter();
    let changed: Vec<String> = changed
        .map(|one| format!("{} ({})", one.criterion, one.keys.join(", ")))
        .collect();
    let mut text = output::properties(&[
        ("from", comparison.from.to_string()),
        ("to", comparison.to.to_string()),
        ("added", listed(&comparison.added)),
        ("retired", listed(&comparison.retired)),
        (
            "changed",
            if changed.is_empty() {
                "none".to_owned()
            } else {
                changed.join(", ")
            },
        ),
        ("states", format!("{} move", comparison.states.len())),
        ("levels", direction(&comparison.levels)),
    ]);
    text.push_str(&levels(comparison));
    text.push_str(if outcome.applied {
        "Applied.\n"
    } else {
        "Nothing was applied: leave out --preview to apply it.\n"
    });
    text
}

fn direction(moves: &[Move]) -> String {
    let up = moves.iter().filter(|one| one.to > one.from).count();
    format!("{up} rise, {} fall", moves.len() - up)
}

fn levels(comparison: &Comparison) -> String {
    let level = |level: Option<u8>| level.map_or_else(|| "-".to_owned(), |level| level.to_string());
    let row = |one: &Move| {
        let because: Vec<&str> = one.because.iter().map(CriterionId::as_str).collect();
        [
            one.app.to_string(),
            one.topic.to_string(),
            level(one.from),
            level(one.to),
            because.join(", "),
        ]
    };
    let mut text = String::new();
    let mut add = |title: String, moves: &[Move]| {
        if moves.is_empty() {
            return;
        }
        let _ = write!(text, "\n{title}: {}\n", direction(moves));
        let head = ["APPLICATION", "TOPIC", "FROM", "TO", "THEN IN THE WAY"];
        text.push_str(&output::table(head, moves.iter().take(MOVES).map(row)));
        if moves.len() > MOVES {
            let _ = writeln!(text, "and {} more; --output json has all", moves.len() - MOVES);
        }
    };
    add("at once".to_owned(), &comparison.levels);
    if let Some(later) = comparison.later {
        add(
            format!("when all of it counts, on {}", day(later)),
            &comparison.levels_later,
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_of_a_topic_or_of_a_category() {
        let read = |text: &str| text.parse::<Target>();
        let topic = Target::Topic("technology/testing".parse().unwrap(), 3);
        assert_eq!(read("technology/testing=3"), Ok(topic));
        assert_eq!(
            read("people=2"),
            Ok(Target::Category("people".parse().unwrap(), 2))
        );
        for wrong in [
            "",
            "people",
            "people=",
            "people=high",
            "people=300",
            "a/b/c=1",
            "=1",
            "a b=1",
            "People=1",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("technology/testing=3"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_preview_says_what_rises_and_falls_and_that_nothing_was_applied() {
        let moves = |from: Option<u8>, to: Option<u8>| Move {
            app: "shop/checkout".parse().unwrap(),
            topic: "technology/testing".parse().unwrap(),
            from,
            to,
            because: vec!["TE-1".parse().unwrap()],
        };
        let outcome = ModelOutcome {
            rule_version: "acme@2".to_owned(),
            applied: false,
            event: None,
            comparison: Comparison {
                from: serde_json::from_str("\"cnmm@4.0\"").unwrap(),
                to: serde_json::from_str("\"cnmm@4.0+acme@2\"").unwrap(),
                added: vec!["TE-1".parse().unwrap()],
                retired: Vec::new(),
                changed: Vec::new(),
                states: Vec::new(),
                levels: (0..60)
                    .map(|_| moves(Some(3), Some(1)))
                    .chain([moves(Some(1), Some(2))])
                    .collect(),
                levels_later: Vec::new(),
                later: None,
            },
        };
        let text = moved(&outcome);
        assert!(text.contains("1 rise, 60 fall"), "{text}");
        assert!(text.contains("and 11 more"), "{text}");
        assert!(text.ends_with("leave out --preview to apply it.\n"), "{text}");
    }
}
