//! A report as a page.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::figures::SHARES_AFTER;
use super::{Closing, Figures, Happened, Part, ReliefKind, ReliefShown, Report, Status};
use crate::cohort::Cohort;
use crate::names::VulnerabilityId;
use crate::page::Block;

impl Report {
    /// Headings, paragraphs and tables; the escaping is of the format in which they are written.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = vec![
            Block::Heading(format!("{}: {}", self.id, self.title)),
            Block::Paragraph(self.headline.clone()),
            Block::Paragraph(self.standing()),
            Block::List(self.closings.iter().map(closing).collect()),
            Block::List(self.parts.iter().map(Part::words).collect()),
            Block::Heading("Generations".to_owned()),
            self.generations(),
            Block::Heading("Cohorts".to_owned()),
            by_group(&self.by_cohort, &self.total),
            Block::Heading("Cohorts and severities".to_owned()),
            by_group(&self.by_cohort_and_severity, &self.total),
            Block::Heading("Fixed after".to_owned()),
            shares(&self.by_cohort, &self.total),
            Block::Heading("Affected over time".to_owned()),
            self.burn_down(),
        ];
        if !self.waiting_on.is_empty() {
            let rows = self
                .waiting_on
                .iter()
                .map(|(word, count)| vec![word.clone(), count.to_string()]);
            blocks.push(Block::Heading("What open ones wait for".to_owned()));
            blocks.push(Block::table(&["waits for", "tags and images"], rows.collect()));
        }
        for kind in [ReliefKind::Mitigation, ReliefKind::Waiver] {
            blocks.extend(self.reliefs_of(kind));
        }
        if self.reliefs_more > 0 {
            let more = format!("and {} more mitigations and waivers", self.reliefs_more);
            blocks.push(Block::Paragraph(more));
        }
        if !self.open.is_empty() {
            blocks.push(Block::Heading("Not over".to_owned()));
            blocks.push(self.open_lines());
        }
        if self.open_more > 0 {
            blocks.push(Block::Paragraph(format!("and {} more", self.open_more)));
        }
        blocks.push(Block::Heading("What happened".to_owned()));
        if self.events_more > 0 {
            let before = format!("{} entries before these are left out", self.events_more);
            blocks.push(Block::Paragraph(before));
        }
        blocks.push(self.happened());
        blocks.retain(|block| !matches!(block, Block::List(items) if items.is_empty()));
        blocks
    }

    fn standing(&self) -> String {
        let status = match self.status {
            Status::Open => "open".to_owned(),
            Status::Closed { at } => format!("closed at {}", moment(at)),
            Status::Reopened => "open again".to_owned(),
        };
        let (opened, as_of) = (moment(self.opened_at), moment(self.as_of));
        let by = match self.opened_by.as_str() {
            "" => String::new(),
            by => format!(" by {by}"),
        };
        format!(
            "Opened at {opened}{by}, {status}; as of {as_of}. {} hours of exposure.",
            self.total.exposure_hours
        )
    }

    /// Mitigations or waivers, under a heading; nothing where there are none.
    fn reliefs_of(&self, kind: ReliefKind) -> Vec<Block> {
        let of_kind = self.reliefs.iter().filter(|relief| relief.kind == kind);
        let rows: Vec<Vec<String>> = of_kind.map(relief).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let heading = match kind {
            ReliefKind::Mitigation => "Mitigations",
            ReliefKind::Waiver => "Waivers",
        };
        let head = [
            "tags and images",
            "against",
            "reason",
            "by",
            "since",
            "until",
            "state",
        ];
        vec![Block::Heading(heading.to_owned()), Block::table(&head, rows)]
    }

    fn happened(&self) -> Block {
        let rows = self.events.iter().map(|event| {
            let Happened { at, by, what } = event;
            vec![moment(*at), by.clone(), what.clone()]
        });
        Block::table(&["at", "by", "what"], rows.collect())
    }

    fn generations(&self) -> Block {
        let rows = self.generations.iter().map(|generation| {
            let ids: Vec<&str> = generation
                .vulnerabilities
                .iter()
                .map(VulnerabilityId::as_str)
                .collect();
            vec![
                generation.number.to_string(),
                moment(generation.started),
                ids.join(", "),
                generation.severity.as_str().to_owned(),
                generation.targets.join(", "),
                generation.affected.to_string(),
                generation.fixed.to_string(),
                generation.lines.to_string(),
                generation.state.as_str().to_owned(),
            ]
        });
        let head = [
            "generation",
            "since",
            "about",
            "severity",
            "fixed in",
            "affected",
            "fixed",
            "of",
            "state",
        ];
        Block::table(&head, rows.collect())
    }

    fn burn_down(&self) -> Block {
        let head: Vec<&str> = std::iter::once("since")
            .chain(Cohort::ALL.map(Cohort::as_str))
            .collect();
        let rows = self.burn_down.iter().map(|point| {
            let counts = point.affected.iter().map(u64::to_string);
            std::iter::once(moment(point.at)).chain(counts).collect()
        });
        Block::table(&head, rows.collect())
    }

    fn open_lines(&self) -> Block {
        let rows = self.open.iter().map(|line| {
            let ids: Vec<&str> = line.affected_by.iter().map(VulnerabilityId::as_str).collect();
            vec![
                line.application
                    .as_ref()
                    .map_or_else(|| "unknown".to_owned(), ToString::to_string),
                line.line.clone(),
                line.owner
                    .as_ref()
                    .map_or_else(|| "unknown".to_owned(), ToString::to_string),
                line.cohort.to_string(),
                line.state.as_str().to_owned(),
                ids.join(", "),
                line.due.map_or_else(String::new, moment),
                duration(Some(line.spent_seconds)),
                line.waits_on.join(", "),
            ]
        });
        let head = [
            "application",
            "tag or image",
            "owner",
            "cohort",
            "state",
            "affected by",
            "due",
            "spent",
            "waits for",
        ];
        Block::table(&head, rows.collect())
    }
}

fn closing(closing: &Closing) -> String {
    let note = match closing.note.trim() {
        "" => "without a note",
        note => note,
    };
    format!("closed at {} by {}: {note}", moment(closing.at), closing.by)
}

fn relief(relief: &ReliefShown) -> Vec<String> {
    let mut lines = relief.lines.join(", ");
    if relief.more > 0 {
        lines = format!("{lines} and {} more", relief.more);
    }
    let ids: Vec<&str> = relief.covers.iter().map(VulnerabilityId::as_str).collect();
    let state = match (&relief.ended_by, &relief.ended_because) {
        (Some(by), Some(why)) => format!("{} by {by}: {why}", relief.state),
        _ => relief.state.clone(),
    };
    vec![
        lines,
        ids.join(", "),
        relief.reason.clone(),
        relief.by.clone(),
        relief
            .since
            .map_or_else(|| "seen by the registry".to_owned(), moment),
        relief
            .until
            .map_or_else(|| "as long as it is seen".to_owned(), moment),
        state,
    ]
}

fn name(figures: &Figures) -> String {
    match (figures.cohort, figures.severity) {
        (None, None) => "all".to_owned(),
        (Some(cohort), None) => cohort.to_string(),
        (None, Some(severity)) => severity.as_str().to_owned(),
        (Some(cohort), Some(severity)) => format!("{cohort}, {}", severity.as_str()),
    }
}

fn by_group(groups: &[Figures], total: &Figures) -> Block {
    let rows = groups.iter().chain([total]).map(|figures| {
        let mut row = vec![name(figures)];
        let counts = [
            figures.lines,
            figures.found_later,
            figures.open,
            figures.overdue,
            figures.mitigated,
            figures.waived,
            figures.fixed,
            figures.gone,
            figures.reopened,
        ];
        row.extend(counts.map(|count| count.to_string()));
        row.push(duration(figures.time_to_remediate.median_seconds));
        row.push(duration(figures.time_to_remediate.p90_seconds));
        row
    });
    let head = [
        "group",
        "all",
        "found later",
        "open",
        "overdue",
        "mitigated",
        "waived",
        "fixed",
        "gone",
        "opened again",
        "median",
        "p90",
    ];
    Block::table(&head, rows.collect())
}

fn shares(groups: &[Figures], total: &Figures) -> Block {
    let head: Vec<&str> = std::iter::once("group")
        .chain(SHARES_AFTER.map(|(name, _)| name))
        .collect();
    let rows = groups.iter().chain([total]).map(|figures| {
        let share = |share: &super::Share| match share.of {
            0 => "not yet".to_owned(),
            of => format!(
                "{} ({} of {of})",
                super::coverage::percent(share.fixed as u64, of as u64),
                share.fixed
            ),
        };
        std::iter::once(name(figures))
            .chain(figures.shares.iter().map(share))
            .collect()
    });
    Block::table(&head, rows.collect())
}

/// To the second.
pub(crate) fn moment(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339)
        .unwrap_or_else(|_| at.unix_timestamp().to_string())
}

/// `3 d 4 h`; the two greatest units.
fn duration(seconds: Option<u64>) -> String {
    let Some(seconds) = seconds else {
        return "not yet".to_owned();
    };
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
