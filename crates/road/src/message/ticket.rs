//! Tickets of Jira and `ServiceNow`: one per incident and application, found again by its key.

use findings::Severity;
use oci::{Algorithm, Digest};
use policy::yaml::one_line;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{About, Message, Part, words};
use crate::escape;
use crate::page::{self, Block};

/// Longest summary of Jira, in characters.
const MAX_SUMMARY_CHARS: usize = 255;

/// Longest description of Jira, in characters.
const MAX_DESCRIPTION_CHARS: usize = 32_767;

/// Longest short description of `ServiceNow`, in characters.
const MAX_SHORT_CHARS: usize = 160;

/// Longest description of `ServiceNow`, in characters.
const MAX_LONG_CHARS: usize = 4_000;

/// What a ticket says, whoever keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Follows from incident and application alone: there is one ticket for both, which is brought up to date.
    pub key: String,
    /// Its title.
    pub summary: String,
    /// Whether there is nothing to do any more.
    pub is_done: bool,
    /// How bad it is.
    pub severity: Severity,
    /// By when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub due: Option<OffsetDateTime>,
    /// Who is meant.
    pub opening: String,
    /// How it stands.
    pub standing: String,
    /// What to do.
    pub actions: Vec<String>,
    /// Where to read more.
    pub link: Option<String>,
}

/// What becomes of a ticket that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsert<'a> {
    /// It is made.
    Create,
    /// It is brought up to date. Whoever works on it has moved it where it stands; it stays there.
    Update,
    /// There is something to do again.
    Reopen,
    /// There is nothing to do any more; with the code of the instance for that.
    Resolve(&'a str),
}

/// Where tickets go in Jira.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JiraSettings {
    /// The key of the project.
    pub project: String,
    /// The name of the type of issue.
    pub issue_type: String,
}

/// The tickets of a message, one per application; also those that are done, so that they can be closed.
pub fn tickets(message: &Message) -> Vec<Ticket> {
    message.parts.iter().map(|part| ticket(message, part)).collect()
}

fn ticket(message: &Message, part: &Part) -> Ticket {
    let key = Digest::of(
        Algorithm::Sha256,
        format!("{}\n{}", message.incident, part.subject).as_bytes(),
    );
    Ticket {
        key: format!("roadbed-{}", &key.hex()[..32]),
        summary: escape::line(&summary(message, part)),
        is_done: part.open == 0,
        severity: part.severity,
        due: part.due,
        opening: words::opening(message),
        standing: words::standing(part),
        actions: words::actions(part),
        link: message.link.clone(),
    }
}

fn summary(message: &Message, part: &Part) -> String {
    match message.about {
        About::Incident => format!("{}: {} ({})", message.incident, message.title, part.subject),
        About::Work => format!("{}: take it ({})", message.title, part.subject),
    }
}

/// The body of Jira's "create issue" and "edit issue" (REST API, version 2). To find the ticket: `labels = KEY`. Project, type and
/// labels are those of whoever works on it once it is made.
pub fn jira(ticket: &Ticket, settings: &JiraSettings, upsert: Upsert<'_>) -> Value {
    let mut lines = vec![
        escape::jira(&ticket.opening),
        String::new(),
        escape::jira(&ticket.standing),
    ];
    lines.extend(
        ticket
            .actions
            .iter()
            .map(|action| format!("* {}", escape::jira(action))),
    );
    lines.extend(ticket.link.iter().map(|link| escape::jira(link)));
    let mut fields = json!({
        "summary": clipped(&ticket.summary, MAX_SUMMARY_CHARS),
        "description": whole_lines(&lines, MAX_DESCRIPTION_CHARS),
    });
    if upsert == Upsert::Create {
        fields["project"] = json!({"key": settings.project});
        fields["issuetype"] = json!({"name": settings.issue_type});
        fields["labels"] = json!(["roadbed", ticket.key]);
    }
    if let Some(due) = ticket.due {
        fields["duedate"] = json!(due.date().to_string());
    }
    json!({ "fields": fields })
}

/// The body of `ServiceNow`'s Table API for `incident`. To find the ticket: `correlation_id=KEY`.
pub fn servicenow(ticket: &Ticket, upsert: Upsert<'_>) -> Value {
    let mut blocks = vec![
        Block::Paragraph(ticket.opening.clone()),
        Block::Paragraph(ticket.standing.clone()),
        Block::List(ticket.actions.clone()),
    ];
    blocks.extend(ticket.link.clone().map(Block::Paragraph));
    let text = uncoded(&page::text(&blocks));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (urgency, impact) = match ticket.severity {
        Severity::Critical => ("1", "1"),
        Severity::High | Severity::Unknown => ("2", "2"),
        Severity::Medium | Severity::Low | Severity::Negligible => ("3", "3"),
    };
    let mut body = json!({
        "correlation_id": ticket.key,
        "correlation_display": "roadbed",
        "short_description": clipped(&uncoded(&ticket.summary), MAX_SHORT_CHARS),
        "description": whole_lines(&lines, MAX_LONG_CHARS),
        "urgency": urgency,
        "impact": impact,
    });
    match upsert {
        Upsert::Update => {}
        Upsert::Create | Upsert::Reopen => body["state"] = json!("1"),
        Upsert::Resolve(code) => {
            body["state"] = json!("6");
            body["close_code"] = json!(code);
            body["close_notes"] = json!(clipped(&uncoded(&ticket.standing), MAX_SHORT_CHARS));
        }
    }
    if let Some(due) = ticket.due {
        let due = due.to_offset(time::UtcOffset::UTC);
        let (hour, minute, second) = due.time().as_hms();
        body["due_date"] = json!(format!("{} {hour:02}:{minute:02}:{second:02}", due.date()));
    }
    body
}

/// `[code]` makes HTML of what follows where `ServiceNow` shows journals.
fn uncoded(text: &str) -> String {
    text.replace('[', "(").replace(']', ")")
}

fn clipped(text: &str, characters: usize) -> String {
    let text = one_line(text, characters * 4);
    text.chars().take(characters).collect()
}

/// Lines are left out rather than cut, so that nothing escaped is cut in two.
fn whole_lines(lines: &[String], characters: usize) -> String {
    const MORE: &str = "...";
    let mut text = String::new();
    let mut count = 0;
    for line in lines {
        let length = line.chars().count() + 1;
        if count + length + MORE.len() > characters {
            text.push_str(MORE);
            break;
        }
        count += length;
        text.push_str(line);
        text.push('\n');
    }
    text.trim_end().to_owned()
}
