//! Options of `sink set`.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use findings::Severity;
use road::message::{QuietHours, Schedule, Zone};
use road::names::{Contact, Owner, SinkName};
use road::sink::{EventPattern, SinkKind, SinkSpec, TicketSettings};
use web::wire::{NewSink, SinkEntry};

use crate::config::Span;

/// Bytes of a file with a secret.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

/// Options of `sink set`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct SetArgs {
    /// Name of the sink, such as security-chat
    name: SinkName,
    /// In which form it is told: webhook, slack, jira, servicenow or smtp
    #[arg(long, value_name = "KIND", value_parser = kind, required_unless_present = "rotate")]
    kind: Option<SinkKind>,
    /// Where it is: a URL, or `smtps://HOST` (TLS) or `smtp://HOST` (STARTTLS); not for slack, whose secret is the URL
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// As whom the ticket system or the mail server is spoken to
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// File of the secret: whsec_… of a webhook, the URL of slack, else a token or password; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    secret_file: Option<PathBuf>,
    /// Environment variable of the secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Make a new secret for a webhook that there is; what is not said otherwise stays as it is
    #[arg(long, conflicts_with_all = ["secret_file", "secret_env"])]
    rotate: bool,
    /// How long the secret before signs as well
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    keep_old: Span,
    /// Webhooks: kinds of events of the audit log, such as image.decide, tag.* or *
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    events: Vec<EventPattern>,
    /// Do not tell what owners must do about incidents
    #[arg(long)]
    no_incidents: bool,
    /// Of incidents, only what these owners must do
    #[arg(long, value_name = "OWNER", value_delimiter = ',')]
    owner: Vec<Owner>,
    /// Of incidents, only from this severity on [default: unknown]
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    at_least: Option<Severity>,
    /// Hours in which people are not disturbed
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = hours)]
    quiet: Option<(u16, u16)>,
    /// Nor on Saturdays and Sundays
    #[arg(long)]
    quiet_weekend: bool,
    /// Gather what is not pressing, and tell it once a day at this time
    #[arg(long, value_name = "HH:MM", value_parser = minute)]
    digest: Option<u16>,
    /// By whose clock hours are meant, with its summer time, such as Europe/Vienna [default: UTC]
    #[arg(long, value_name = "ZONE", conflicts_with = "utc_offset")]
    zone: Option<Zone>,
    /// How far a clock without summer time is ahead of UTC
    #[arg(long, value_name = "+HH:MM", value_parser = offset, allow_hyphen_values = true)]
    utc_offset: Option<i16>,
    /// From this severity on tell at once, whatever the hour [default: critical]
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    at_once: Option<Severity>,
    /// Jira: key of the project
    #[arg(long, value_name = "KEY")]
    project: Option<String>,
    /// Jira: type of issue
    #[arg(long, value_name = "NAME")]
    issue_type: Option<String>,
    /// Jira: transition that ends a ticket
    #[arg(long, value_name = "NAME")]
    done_transition: Option<String>,
    /// Jira: transition that opens it again
    #[arg(long, value_name = "NAME")]
    reopen_transition: Option<String>,
    /// Code with which an incident of `servicenow` is resolved
    #[arg(long, value_name = "CODE")]
    close_code: Option<String>,
    /// Mail: address to send from
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Contact>,
    /// Mail: to these addresses instead of the owners' contacts
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    to: Vec<Contact>,
    /// Mail: speak to a server without TLS; only without a user
    #[arg(long)]
    plain_text: bool,
    /// Keep it without telling it anything
    #[arg(long)]
    disabled: bool,
}

impl SetArgs {
    /// The sink that is to be there before, for only its secret is made anew.
    pub(super) fn rotated(&self) -> Option<&SinkName> {
        self.rotate.then_some(&self.name)
    }

    /// What is sent to the registry. `present`: what stays where nothing is said; none: what a new sink is.
    pub(super) fn into_new(self, present: Option<SinkSpec>) -> Result<NewSink> {
        let (secret, rotate, keep_old) = (self.secret()?, self.rotate, self.keep_old.0.as_secs());
        let present = match (present, self.kind) {
            (Some(present), _) => present,
            (None, Some(kind)) => SinkSpec::new(self.name.clone(), kind),
            (None, None) => bail!("--kind is needed: webhook, slack, jira, servicenow or smtp"),
        };
        let sink = SinkEntry(self.over(present));
        Ok(NewSink {
            sink,
            secret,
            rotate,
            keep_old_seconds: keep_old,
        })
    }

    /// What is said here, over what there is.
    fn over(self, present: SinkSpec) -> SinkSpec {
        let schedule = self.schedule(present.schedule);
        let tickets = TicketSettings {
            project: self.project.unwrap_or(present.tickets.project),
            issue_type: self.issue_type.unwrap_or(present.tickets.issue_type),
            done_transition: self.done_transition.or(present.tickets.done_transition),
            reopen_transition: self.reopen_transition.or(present.tickets.reopen_transition),
            close_code: self.close_code.or(present.tickets.close_code),
        };
        SinkSpec {
            name: self.name,
            kind: self.kind.unwrap_or(present.kind),
            target: self.target.unwrap_or(present.target),
            user: self.user.or(present.user),
            tickets,
            from: self.from.or(present.from),
            to: said(self.to, present.to),
            plain_text: self.plain_text || present.plain_text,
            events: said(self.events, present.events),
            incidents: !self.no_incidents && present.incidents,
            owners: said(self.owner, present.owners),
            at_least: self.at_least.unwrap_or(present.at_least),
            schedule,
            enabled: !self.disabled && present.enabled,
        }
    }

    fn schedule(&self, present: Schedule) -> Schedule {
        let quiet = match (self.quiet, self.quiet_weekend) {
            (None, false) => present.quiet,
            (hours, weekend) => {
                let before = present.quiet.map(|quiet| (quiet.from_minute, quiet.until_minute));
                let (from_minute, until_minute) = hours.or(before).unwrap_or_default();
                Some(QuietHours {
                    from_minute,
                    until_minute,
                    weekend: weekend || present.quiet.is_some_and(|quiet| quiet.weekend),
                })
            }
        };
        let (zone, offset_minutes) = match (self.zone, self.utc_offset) {
            (Some(zone), _) => (Some(zone), 0),
            (None, Some(offset)) => (None, offset),
            (None, None) => (present.zone, present.offset_minutes),
        };
        Schedule {
            zone,
            offset_minutes,
            quiet,
            digest_minute: self.digest.or(present.digest_minute),
            at_once: self.at_once.unwrap_or(present.at_once),
        }
    }

    fn secret(&self) -> Result<Option<String>> {
        match (&self.secret_file, &self.secret_env) {
            (Some(path), _) => read_secret(path).map(Some),
            (None, Some(name)) => {
                let text = std::env::var(name).ok().filter(|text| !text.is_empty());
                text.map(Some).with_context(|| format!("{name} is not set"))
            }
            (None, None) => Ok(None),
        }
    }
}

/// A list that was given, or the one that there is.
fn said<T>(given: Vec<T>, present: Vec<T>) -> Vec<T> {
    if given.is_empty() { present } else { given }
}

/// The one line of a file.
pub(crate) fn read_secret(path: &std::path::Path) -> Result<String> {
    let cannot_read = || format!("cannot read the secret from {}", path.display());
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_SECRET_BYTES).read_to_string(&mut text)
    } else {
        let file = File::open(path).with_context(cannot_read)?;
        file.take(MAX_SECRET_BYTES).read_to_string(&mut text)
    };
    read.with_context(cannot_read)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    ensure!(
        !secret.is_empty(),
        "{} is empty: it should hold the secret",
        path.display()
    );
    Ok(secret.to_owned())
}

fn kind(text: &str) -> Result<SinkKind, String> {
    let found = SinkKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| "write webhook, slack, jira, servicenow or smtp".to_owned())
}

fn severity(text: &str) -> Result<Severity, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "write critical, high, medium, low, negligible or unknown".to_owned())
}

fn minute(text: &str) -> Result<u16, String> {
    let wanted = || "write a time of day such as 07:30".to_owned();
    let (hour, minute) = text.split_once(':').ok_or_else(wanted)?;
    let number = |text: &str, most: u16| {
        let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| fits && *number <= most)
    };
    let both = number(hour, 23).zip(number(minute, 59));
    both.map(|(hour, minute)| hour * 60 + minute).ok_or_else(wanted)
}

fn hours(text: &str) -> Result<(u16, u16), String> {
    let (from, until) = text
        .split_once('-')
        .ok_or("write two times of day such as 20:00-07:00")?;
    Ok((minute(from)?, minute(until)?))
}

fn offset(text: &str) -> Result<i16, String> {
    let wanted = || "write an offset from UTC such as +01:00 or -05:30".to_owned();
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wanted()),
    };
    let minutes = minute(rest).map_err(|_| wanted())?;
    i16::try_from(minutes)
        .map(|minutes| sign * minutes)
        .map_err(|_| wanted())
}

/// When people are told, in words.
pub(super) fn when(schedule: &Schedule) -> String {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let mut words = Vec::new();
    if let Some(quiet) = schedule.quiet {
        if quiet.from_minute != quiet.until_minute {
            words.push(format!(
                "quiet {}-{}",
                clock(quiet.from_minute),
                clock(quiet.until_minute)
            ));
        }
        if quiet.weekend {
            words.push("quiet on weekends".to_owned());
        }
    }
    if let Some(minute) = schedule.digest_minute {
        words.push(format!("digest at {}", clock(minute)));
    }
    if words.is_empty() {
        return "at once".to_owned();
    }
    let ahead = schedule.offset_minutes;
    let sign = if ahead < 0 { '-' } else { '+' };
    words.push(match schedule.zone {
        Some(zone) => format!("by the clock of {zone}"),
        None => format!("UTC{sign}{}", clock(ahead.unsigned_abs())),
    });
    words.push(format!("from {} on at once", schedule.at_once.as_str()));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_strictly() {
        assert_eq!(hours("20:00-07:30"), Ok((1_200, 450)));
        assert_eq!((offset("+01:00"), offset("-05:30")), (Ok(60), Ok(-330)));
        for text in ["24:00", "7:30", "07:60", "0730", "+7:30", ""] {
            assert!(minute(text).is_err(), "{text}");
        }
        assert!(offset("01:00").is_err() && hours("20:00").is_err());
    }

    #[test]
    fn a_schedule_is_told_in_words() {
        assert_eq!(when(&Schedule::default()), "at once");
        let schedule = Schedule {
            zone: None,
            offset_minutes: -330,
            quiet: Some(QuietHours {
                from_minute: 1_200,
                until_minute: 450,
                weekend: true,
            }),
            digest_minute: Some(480),
            at_once: Severity::High,
        };
        let words = "quiet 20:00-07:30, quiet on weekends, digest at 08:00, UTC-05:30, from high on at once";
        assert_eq!(when(&schedule), words);
        let vienna = Schedule {
            zone: Some("Europe/Vienna".parse().unwrap()),
            ..schedule
        };
        assert!(when(&vienna).contains("digest at 08:00, by the clock of Europe/Vienna"));
    }
}
