//! Where people and their systems want to be told, and what of: a sink as administrators declare it. Its secret is no part of it.

mod check;
mod events;

use findings::Severity;
use serde::{Deserialize, Serialize};

use crate::message::{Message, Schedule};
use crate::names::{Contact, Owner, SinkName};

pub use check::{MAX_TARGET_BYTES, SinkError};
pub use events::{EventPattern, MAX_EVENT_PATTERNS};

/// Most sinks: each has a place of its own among what is sent, so that none waits for another.
pub const MAX_SINKS: usize = 64;

/// Most owners that a sink names.
pub const MAX_SINK_OWNERS: usize = 200;

/// Most addresses that a sink names.
pub const MAX_SINK_ADDRESSES: usize = 50;

/// In which form a sink wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// `CloudEvents`, signed.
    Webhook,
    /// Incoming webhooks of Slack, and of what takes the same payload.
    Slack,
    /// Tickets of Jira.
    Jira,
    /// Incidents of `ServiceNow`.
    ServiceNow,
    /// Mail.
    Smtp,
}

impl SinkKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Webhook,
        Self::Slack,
        Self::Jira,
        Self::ServiceNow,
        Self::Smtp,
    ];

    /// Its name in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Jira => "jira",
            Self::ServiceNow => "servicenow",
            Self::Smtp => "smtp",
        }
    }

    /// Whether people read it as it comes: they are told news only, and are not to be disturbed at all hours.
    pub const fn is_for_people(self) -> bool {
        matches!(self, Self::Slack | Self::Smtp)
    }

    /// Whether one ticket is kept per incident and application.
    pub const fn has_tickets(self) -> bool {
        matches!(self, Self::Jira | Self::ServiceNow)
    }
}

/// How a ticket system is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TicketSettings {
    /// Jira: the key of the project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// Jira: the name of the type of issue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issue_type: String,
    /// Jira: the name of the transition that ends a ticket; without one it stays open and says that nothing is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_transition: Option<String>,
    /// Jira: the name of the transition that opens it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopen_transition: Option<String>,
    /// `ServiceNow`: the code with which an incident is resolved, as the instance has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_code: Option<String>,
}

/// A sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// Its name.
    pub name: SinkName,
    /// In which form it wants to be told.
    pub kind: SinkKind,
    /// Where it is: `https://…`, for mail `smtps://host[:port]` (TLS from the start) or `smtp://host[:port]` (STARTTLS). Of Slack
    /// the whole URL is a secret: here stands its origin.
    #[serde(default)]
    pub target: String,
    /// As whom it is spoken to: the user of Jira, `ServiceNow` or the mail server. Without one Jira and `ServiceNow` get the secret
    /// as a bearer token, and the mail server no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Settings of ticket systems.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tickets: TicketSettings,
    /// Mail: from which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Contact>,
    /// Mail: to these addresses, whoever is meant; none: to the contacts of each owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Contact>,
    /// Mail: whether a server without TLS will do; only without a user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_text: bool,
    /// Webhooks: kinds of events of the audit log, such as `image.decide` or `tag.*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventPattern>,
    /// Whether it is told what owners must do about incidents.
    #[serde(default = "yes")]
    pub incidents: bool,
    /// Of incidents, only what these must do; none: what anybody must.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// Of incidents, only from this severity on.
    #[serde(default = "least")]
    pub at_least: Severity,
    /// When people want to be told.
    #[serde(default)]
    pub schedule: Schedule,
    /// Whether it is told anything at all.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

fn least() -> Severity {
    Severity::Unknown
}

fn is_default(settings: &TicketSettings) -> bool {
    *settings == TicketSettings::default()
}

impl SinkSpec {
    /// One of which nothing else is said yet.
    pub fn new(name: SinkName, kind: SinkKind) -> Self {
        Self {
            name,
            kind,
            target: String::new(),
            user: None,
            tickets: TicketSettings::default(),
            from: None,
            to: Vec::new(),
            plain_text: false,
            events: Vec::new(),
            incidents: true,
            owners: Vec::new(),
            at_least: least(),
            schedule: Schedule::default(),
            enabled: true,
        }
    }

    /// Whether it is told of an event of the audit log.
    pub fn wants_event(&self, kind: &str) -> bool {
        self.enabled && self.events.iter().any(|pattern| pattern.matches(kind))
    }

    /// Whether it is told what a message says. What is done was worth telling before, whatever it was.
    pub fn wants(&self, message: &Message) -> bool {
        let is_meant = self.owners.is_empty()
            || message
                .owner
                .as_ref()
                .is_some_and(|owner| self.owners.contains(owner));
        let is_grave = message.why == crate::message::Why::Done || message.severity >= self.at_least;
        self.enabled && self.incidents && is_meant && is_grave
    }
}

#[cfg(test)]
mod tests;
