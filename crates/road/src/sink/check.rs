//! Whether a sink could be told anything at all. What its address resolves to is asked when it is told.

use thiserror::Error;

use super::{MAX_EVENT_PATTERNS, MAX_SINK_ADDRESSES, MAX_SINK_OWNERS, SinkKind, SinkSpec};
use crate::message::{Schedule, ScheduleError};
use crate::names::Contact;

/// Longest target, in bytes.
pub const MAX_TARGET_BYTES: usize = 2_000;

/// Longest user, name of a transition or the like, in bytes.
const MAX_SETTING_BYTES: usize = 200;

/// Why a sink could never be told anything, or not as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SinkError {
    /// No target of its kind.
    #[error("the target of a {kind} sink is {wanted}")]
    Target {
        /// Kind of the sink.
        kind: &'static str,
        /// What to write.
        wanted: &'static str,
    },
    /// A target that names a user or a password.
    #[error("leave user and password out of the target: they are the sink's user and secret")]
    Credentials,
    /// Something that is needed.
    #[error("a {kind} sink needs {what}")]
    Needs {
        /// Kind of the sink.
        kind: &'static str,
        /// What.
        what: &'static str,
    },
    /// Something that means nothing to its kind.
    #[error("a {kind} sink has no use for {what}")]
    NoUse {
        /// Kind of the sink.
        kind: &'static str,
        /// What.
        what: &'static str,
    },
    /// Too much of something.
    #[error("{what}: at most {most}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there may be.
        most: usize,
    },
    /// An address that is none.
    #[error("`{0}` is no mail address")]
    Address(Contact),
    /// Control characters in a setting.
    #[error("{0} is more than one line of plain text")]
    Lines(&'static str),
    /// A password over a connection that everybody in between reads.
    #[error("a password is never sent to a server without TLS: leave the user out, or plain_text")]
    PlainPassword,
    /// A schedule that makes no sense.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl SinkSpec {
    /// Whether it can be told as it is meant.
    pub fn check(&self) -> Result<(), SinkError> {
        self.check_target()?;
        self.check_lists()?;
        self.check_texts()?;
        self.check_mail()?;
        self.check_tickets()?;
        self.schedule.check()?;
        let kind = self.kind.as_str();
        if !self.kind.is_for_people() && self.schedule != Schedule::default() {
            let what = "quiet hours or a digest: they are for people";
            return Err(SinkError::NoUse { kind, what });
        }
        if self.kind != SinkKind::Webhook && !self.events.is_empty() {
            let what = "events of the audit log: a webhook gets them";
            return Err(SinkError::NoUse { kind, what });
        }
        if !self.incidents && self.events.is_empty() {
            let what = "something to be told of: events or incidents";
            return Err(SinkError::Needs { kind, what });
        }
        Ok(())
    }

    fn check_target(&self) -> Result<(), SinkError> {
        if self.target.len() > MAX_TARGET_BYTES {
            let what = "bytes of the target";
            return Err(SinkError::TooMuch {
                what,
                most: MAX_TARGET_BYTES,
            });
        }
        let (schemes, wanted): (&[&str], _) = match self.kind {
            SinkKind::Webhook => (&["https", "http"], "a URL such as https://hooks.example/roadbed"),
            // Set from the secret.
            SinkKind::Slack => (
                &["https", "http"],
                "not written down: its secret is the URL of the incoming webhook",
            ),
            SinkKind::Jira => (
                &["https", "http"],
                "the URL of Jira such as https://shop.atlassian.net",
            ),
            SinkKind::ServiceNow => (
                &["https", "http"],
                "the URL of the instance such as https://shop.service-now.com",
            ),
            SinkKind::Smtp => (
                &["smtps", "smtp"],
                "smtps://host[:465] (TLS) or smtp://host[:587] (STARTTLS)",
            ),
        };
        let wrong = || SinkError::Target {
            kind: self.kind.as_str(),
            wanted,
        };
        let (scheme, rest) = self.target.split_once("://").ok_or_else(wrong)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(SinkError::Credentials);
        }
        let is_plain = self.target.bytes().all(|byte| byte.is_ascii_graphic());
        let is_whole = self.kind != SinkKind::Smtp || authority == rest;
        if schemes.contains(&scheme) && !authority.is_empty() && is_plain && is_whole {
            return Ok(());
        }
        Err(wrong())
    }

    fn check_lists(&self) -> Result<(), SinkError> {
        for (count, most, what) in [
            (self.events.len(), MAX_EVENT_PATTERNS, "kinds of events"),
            (self.owners.len(), MAX_SINK_OWNERS, "owners"),
            (self.to.len(), MAX_SINK_ADDRESSES, "addresses"),
        ] {
            if count > most {
                return Err(SinkError::TooMuch { what, most });
            }
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<(), SinkError> {
        let tickets = &self.tickets;
        for (text, what) in [
            (self.user.as_deref(), "the user"),
            (Some(tickets.project.as_str()), "the project"),
            (Some(tickets.issue_type.as_str()), "the type of issue"),
            (tickets.done_transition.as_deref(), "the transition"),
            (tickets.reopen_transition.as_deref(), "the transition"),
            (tickets.close_code.as_deref(), "the close code"),
        ] {
            let text = text.unwrap_or_default();
            if text.len() > MAX_SETTING_BYTES {
                return Err(SinkError::TooMuch {
                    what: "bytes of a setting",
                    most: MAX_SETTING_BYTES,
                });
            }
            if text.chars().any(char::is_control) {
                return Err(SinkError::Lines(what));
            }
        }
        // It stands in front of the colon of Basic credentials.
        let is_mail = self.kind == SinkKind::Smtp;
        if !is_mail && self.user.as_deref().is_some_and(|user| user.contains(':')) {
            return Err(SinkError::Lines("the user, which has no colon,"));
        }
        Ok(())
    }

    fn check_mail(&self) -> Result<(), SinkError> {
        let kind = self.kind.as_str();
        if self.kind != SinkKind::Smtp {
            if self.from.is_some() || !self.to.is_empty() || self.plain_text {
                let what = "addresses of mail";
                return Err(SinkError::NoUse { kind, what });
            }
            return Ok(());
        }
        let Some(from) = &self.from else {
            let what = "an address to send from";
            return Err(SinkError::Needs { kind, what });
        };
        let mut addresses = std::iter::once(from).chain(&self.to);
        if let Some(wrong) = addresses.find(|contact| contact.email().is_none()) {
            return Err(SinkError::Address(wrong.clone()));
        }
        if self.plain_text && self.user.is_some() {
            return Err(SinkError::PlainPassword);
        }
        Ok(())
    }

    fn check_tickets(&self) -> Result<(), SinkError> {
        let (kind, tickets) = (self.kind.as_str(), &self.tickets);
        let of_jira = !tickets.project.is_empty()
            || !tickets.issue_type.is_empty()
            || tickets.done_transition.is_some()
            || tickets.reopen_transition.is_some();
        let no_use = |what| Err(SinkError::NoUse { kind, what });
        if self.kind != SinkKind::Jira && of_jira {
            return no_use("settings of Jira");
        }
        if self.kind != SinkKind::ServiceNow && tickets.close_code.is_some() {
            return no_use("settings of ServiceNow");
        }
        if matches!(self.kind, SinkKind::Webhook | SinkKind::Slack) && self.user.is_some() {
            return no_use("a user");
        }
        if self.kind == SinkKind::Jira && (tickets.project.is_empty() || tickets.issue_type.is_empty()) {
            let what = "a project and a type of issue";
            return Err(SinkError::Needs { kind, what });
        }
        Ok(())
    }
}
