//! `incident …`.

use clap::{Args, Subcommand};
use findings::Severity;
use road::incident::LineKey;
use road::names::{ApplicationName, IncidentId, Owner, VulnerabilityId};
use serde_json::json;
use time::Duration;
use web::wire::{
    IncidentDeadlines, IncidentEntry, IncidentNote, IncidentReport, NewIncident, NewRelief,
    NewVulnerabilities, ReliefEnd,
};

use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;

mod shown;

/// Most incidents that a list shows.
const MOST: usize = 10_000;

/// Most tags and images that are shown where all are asked for: those of the largest incident.
const MOST_LINES: usize = road::incident::MAX_LINES;

/// What to do with incidents.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
An incident is a group of vulnerabilities. What is affected when it is opened stays in it, with whose it is; what is \
pushed, moved, deleted or imported afterwards is taken in by itself, also after it was closed.

Examples:
  roadbed incident open CVE-2021-44228 --id log4shell --title Log4Shell
  roadbed incident show log4shell
  roadbed incident add log4shell CVE-2021-45046
  roadbed incident mitigate log4shell shop/cart:1.4 --until 14d --reason 'JndiLookup taken out at start'
  roadbed incident report log4shell --format html > log4shell.html
  roadbed incident close log4shell --note 'all on 2.17.1'")]
pub(crate) enum IncidentCommand {
    /// Open an incident: what is affected now is followed until it is not any more
    Open(Box<OpenArgs>),
    /// List incidents, the latest first
    List {
        /// Only those of which something may still be open
        #[arg(long)]
        open: bool,
    },
    /// Show where an incident stands, and its tags and images
    Show(Box<ShowArgs>),
    /// Follow more vulnerabilities in an incident, such as that of a fix that was none
    Add {
        /// Id of the incident
        id: IncidentId,
        /// Ids of vulnerabilities
        #[arg(required = true, value_name = "CVE")]
        vulnerabilities: Vec<VulnerabilityId>,
    },
    /// Say that something makes it harmless for a while
    Mitigate(Box<RelieveArgs>),
    /// Say that mitigations turned out not to help
    Unmitigate(Box<EndArgs>),
    /// Say that it is borne for a while
    Waive(Box<RelieveArgs>),
    /// Take waivers back
    Unwaive(Box<EndArgs>),
    /// Print the report of an incident
    Report(ReportArgs),
    /// Say that an incident is over; refused while anything is open
    Close {
        /// Id of the incident
        id: IncidentId,
        /// What there is to say
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
}

/// Options of `incident open`.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// What it is about, by any id of an advisory
    #[arg(required = true, value_name = "CVE")]
    vulnerabilities: Vec<VulnerabilityId>,
    /// What belongs to it as well
    #[arg(long, value_name = "CVE", value_delimiter = ',')]
    with: Vec<VulnerabilityId>,
    /// What it is called in links [default: the first vulnerability]
    #[arg(long, value_name = "ID")]
    id: Option<IncidentId>,
    /// What it is about, in a line [default: what advisories call the first vulnerability]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Within which time it is to be fixed, as severity=span [default: as configured]
    #[arg(long, value_name = "SEVERITY=SPAN", value_delimiter = ',', value_parser = super::bases::promise)]
    within: Vec<(Severity, Duration)>,
    /// A day ahead by which all must be done that is open before it, as of a directive
    #[arg(long, value_name = "WHEN")]
    by: Option<MomentArg>,
    /// Open it also if an open incident is about one of the vulnerabilities already
    #[arg(long)]
    another: bool,
}

/// Options of `incident show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Id of the incident
    id: IncidentId,
    /// Only tags and images in this state
    #[arg(long, value_enum)]
    state: Option<StateArg>,
    /// Only those of this owner
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only those of this application
    #[arg(long, value_name = "NAME")]
    application: Option<ApplicationName>,
    /// As it stood then: a date, a moment (RFC 3339) or a span back from now, such as 7d
    #[arg(long, value_name = "WHEN")]
    as_of: Option<MomentArg>,
    /// Show all tags and images, not only the first 100
    #[arg(long)]
    all: bool,
}

/// A state of a tag or image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StateArg {
    // Without a help text each, the help stays short.
    Open,
    Mitigated,
    Waived,
    Fixed,
    Gone,
    Reopened,
}

/// Options of `incident mitigate` and `incident waive`.
#[derive(Debug, Args)]
pub(crate) struct RelieveArgs {
    #[command(flatten)]
    which: SelectArgs,
    /// Against which vulnerabilities of the incident [default: all of it]
    #[arg(long, value_name = "CVE", value_delimiter = ',')]
    covers: Vec<VulnerabilityId>,
    /// Until when: a date, a moment (RFC 3339) or a span from now, such as 14d
    #[arg(long, value_name = "WHEN")]
    until: MomentArg,
    /// What was done, or why it is borne
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Options of `incident unmitigate` and `incident unwaive`.
#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    #[command(flatten)]
    which: SelectArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Which tags and images.
#[derive(Debug, Args)]
pub(crate) struct SelectArgs {
    /// Id of the incident
    id: IncidentId,
    /// Tags and images, such as shop/cart:1.4
    #[arg(value_name = "IMAGE", required_unless_present_any = ["application", "owner"])]
    lines: Vec<LineKey>,
    /// All of this application that are affected
    #[arg(long, value_name = "NAME")]
    application: Option<ApplicationName>,
    /// All of this owner that are affected
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
}

/// Options of `incident report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Id of the incident
    id: IncidentId,
    /// How to write it; `--output json` means json
    #[arg(long, value_enum, default_value_t = ReportFormat::Markdown, value_name = "FORMAT")]
    format: ReportFormat,
    /// As it stood then: a date, a moment (RFC 3339) or a span back from now, such as 7d
    #[arg(long, value_name = "WHEN")]
    as_of: Option<MomentArg>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    Markdown,
    Html,
    Json,
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: IncidentCommand) -> anyhow::Result<()> {
    match command {
        IncidentCommand::Open(args) => {
            let entry: IncidentEntry = client.post("/incidents", &opening(*args)).await?;
            output::show(client.format(), &entry, shown::describe)
        }
        IncidentCommand::List { open } => {
            let query = [("unsettled", open.to_string())];
            let entries: Vec<IncidentEntry> = client.list("/incidents", &query, MOST).await?;
            output::show(client.format(), &entries, |entries| shown::list(entries))
        }
        IncidentCommand::Show(args) => show(client, *args).await,
        IncidentCommand::Add { id, vulnerabilities } => {
            let body = NewVulnerabilities { vulnerabilities };
            changed(client, &id, "vulnerabilities", &body).await
        }
        IncidentCommand::Mitigate(args) => relieve(client, "mitigations", *args).await,
        IncidentCommand::Waive(args) => relieve(client, "waivers", *args).await,
        IncidentCommand::Unmitigate(args) => end(client, "mitigations/end", *args).await,
        IncidentCommand::Unwaive(args) => end(client, "waivers/end", *args).await,
        IncidentCommand::Report(args) => report(client, args).await,
        IncidentCommand::Close { id, note } => changed(client, &id, "close", &IncidentNote { note }).await,
    }
}

fn opening(args: OpenArgs) -> NewIncident {
    let mut deadlines = IncidentDeadlines {
        by: args.by.map(MomentArg::ahead),
        ..IncidentDeadlines::default()
    };
    for (severity, within) in args.within {
        let seconds = Some(u32::try_from(within.whole_seconds()).unwrap_or(u32::MAX));
        match severity {
            Severity::Critical => deadlines.critical_seconds = seconds,
            Severity::High | Severity::Unknown => deadlines.high_seconds = seconds,
            Severity::Medium => deadlines.medium_seconds = seconds,
            Severity::Low | Severity::Negligible => deadlines.low_seconds = seconds,
        }
    }
    let mut vulnerabilities = args.vulnerabilities;
    vulnerabilities.extend(args.with);
    NewIncident {
        vulnerabilities,
        id: args.id,
        title: args.title,
        deadlines,
        another: args.another,
    }
}

async fn changed(
    client: &Client,
    id: &IncidentId,
    what: &str,
    body: &impl serde::Serialize,
) -> anyhow::Result<()> {
    let path = format!("/incidents/{}/{what}", segment(id));
    let entry: IncidentEntry = client.post(&path, body).await?;
    output::show(client.format(), &entry, shown::describe)
}

async fn relieve(client: &Client, what: &str, args: RelieveArgs) -> anyhow::Result<()> {
    let body = NewRelief {
        lines: texts(&args.which.lines),
        application: args.which.application,
        owner: args.which.owner,
        covers: args.covers,
        until: args.until.ahead(),
        reason: args.reason,
    };
    changed(client, &args.which.id, what, &body).await
}

async fn end(client: &Client, what: &str, args: EndArgs) -> anyhow::Result<()> {
    let body = ReliefEnd {
        lines: texts(&args.which.lines),
        application: args.which.application,
        owner: args.which.owner,
        reason: args.reason,
    };
    changed(client, &args.which.id, what, &body).await
}

fn texts(lines: &[LineKey]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

async fn show(client: &Client, args: ShowArgs) -> anyhow::Result<()> {
    let path = format!("/incidents/{}", segment(&args.id));
    let as_of: Vec<_> = args
        .as_of
        .map(|when| ("as_of", when.ago().0.to_rfc3339()))
        .into_iter()
        .collect();
    let entry: IncidentEntry = client.get(&path, &as_of).await?;
    let mut query = as_of;
    query.extend(args.state.map(|state| ("state", shown::word(state).to_owned())));
    query.extend(args.owner.map(|owner| ("owner", owner.to_string())));
    query.extend(args.application.map(|name| ("application", name.to_string())));
    let most = if args.all { MOST_LINES } else { shown::LINES };
    let lines = client.list(&format!("{path}/lines"), &query, most).await?;
    let shown = json!({ "incident": &entry, "lines": &lines });
    output::show(client.format(), &shown, |_| {
        shown::whole(&entry, &lines, args.all)
    })
}

async fn report(client: &Client, args: ReportArgs) -> anyhow::Result<()> {
    let path = format!("/incidents/{}/report", segment(&args.id));
    let query: Vec<_> = args
        .as_of
        .map(|when| ("as_of", when.ago().0.to_rfc3339()))
        .into_iter()
        .collect();
    let IncidentReport(report) = client.get(&path, &query).await?;
    let is_json = client.format() == crate::cli::Format::Json;
    match args.format {
        _ if is_json => output::line(report.to_json()?),
        ReportFormat::Json => output::line(report.to_json()?),
        ReportFormat::Markdown => output::text(&report.to_markdown()),
        ReportFormat::Html => output::text(&report.to_html()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    /// Words of a shell's line, without what is piped or written elsewhere.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        for letter in line.chars() {
            match letter {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                letter => words.last_mut().unwrap().push(letter),
            }
        }
        words
    }

    #[test]
    fn the_commands_of_the_page_are_commands() {
        let page = include_str!("../../../../docs/incidents.md");
        let blocks = page.split("```sh\n").skip(1);
        let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
        let mut tried = 0;
        for line in lines {
            if let Err(error) = Cli::try_parse_from(words(line)) {
                panic!("{line}\n{error}");
            }
            tried += 1;
        }
        assert!(tried > 10, "only {tried} lines were found");
    }

    #[test]
    fn what_is_to_be_relieved_has_to_be_named() {
        let parse = |line: &str| Cli::try_parse_from(words(line));
        assert!(parse("roadbed incident waive log4shell --until 3d --reason x").is_err());
        assert!(parse("roadbed incident waive log4shell nonsense --until 3d --reason x").is_err());
        assert!(parse("roadbed incident waive log4shell --owner team-a --until 3d --reason x").is_ok());
        assert!(parse("roadbed incident open").is_err());
        assert!(parse("roadbed incident open CVE-1 --within soon=3d").is_err());
    }
}
