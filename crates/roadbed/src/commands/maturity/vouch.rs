//! What people vouch for, until a day.

use anyhow::Result;
use clap::Args;
use maturity::attestation::{Claim, InboxItem, InboxKind, Record};
use maturity::words::{CriterionId, RecordId};
use std::fmt::Write as _;
use web::wire::{AttestationEntry, Confirmation, InboxReport, NewAttestation, Renewal, Revocation};

use super::shown::{day, moment};
use super::whom::Whom;
use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;

/// Attestations that a list shows.
const MOST: usize = 10_000;

/// Options of `maturity attest`.
#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    /// For whom: an application, team:NAME, platform:NAME or org
    whom: Whom,
    /// Which criterion, such as PE-SEC-2
    criterion: CriterionId,
    /// Where it can be seen: https:// or http://
    #[arg(long, value_name = "URL")]
    link: String,
    /// Until when: a date, a moment or a span such as 90d; by default as long as the criterion allows
    #[arg(long, value_name = "WHEN")]
    until: Option<MomentArg>,
    /// What else is to be said
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    /// That it does not apply, which a second person must always confirm
    #[arg(long)]
    does_not_apply: bool,
}

/// Options of `maturity renew`.
#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Id of the attestation
    id: RecordId,
    /// Where it can be seen now: https:// or http://
    #[arg(long, value_name = "URL")]
    link: String,
    /// Until when: a date, a moment or a span such as 90d; by default as long as the criterion allows
    #[arg(long, value_name = "WHEN")]
    until: Option<MomentArg>,
    /// What else is to be said
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

/// Vouches for something.
pub(super) async fn attest(client: &Client, args: AttestArgs) -> Result<()> {
    let claim = if args.does_not_apply {
        Claim::DoesNotApply
    } else {
        Claim::Holds
    };
    let new = NewAttestation {
        subject: args.whom.0,
        criterion: args.criterion,
        claim,
        link: args.link,
        note: args.note,
        from: None,
        until: args.until.map(MomentArg::ahead),
    };
    // It is not tried again by itself: it may be kept although the answer says that it counts later.
    let kept: AttestationEntry = client.post("/maturity/attestations", &new).await?;
    output::show(client.format(), &kept, |AttestationEntry(kept)| vouched(kept))
}

fn path(id: &RecordId, act: &str) -> String {
    format!("/maturity/attestations/{}/{act}", segment(id))
}

/// Vouches on.
pub(super) async fn renew(client: &Client, args: RenewArgs) -> Result<()> {
    let renewal = Renewal {
        link: args.link,
        note: args.note,
        until: args.until.map(MomentArg::ahead),
    };
    let kept: AttestationEntry = client.post(&path(&args.id, "renew"), &renewal).await?;
    output::show(client.format(), &kept, |AttestationEntry(kept)| vouched(kept))
}

/// Confirms what somebody else vouches for.
pub(super) async fn confirm(client: &Client, id: &RecordId) -> Result<()> {
    let kept: AttestationEntry = client.post(&path(id, "confirm"), &Confirmation {}).await?;
    output::show(client.format(), &kept, |AttestationEntry(kept)| {
        let of = &kept.attestation;
        format!(
            "{} of {} is confirmed and counts until {}.\n",
            of.criterion,
            of.subject,
            day(of.until)
        )
    })
}

/// Takes back what was vouched for.
pub(super) async fn revoke(client: &Client, id: &RecordId, reason: String) -> Result<()> {
    let kept: AttestationEntry = client.post(&path(id, "revoke"), &Revocation { reason }).await?;
    output::show(client.format(), &kept, |AttestationEntry(kept)| {
        let of = &kept.attestation;
        format!(
            "Nobody vouches for {} of {} any more.\n",
            of.criterion, of.subject
        )
    })
}

fn vouched(kept: &Record) -> String {
    let of = &kept.attestation;
    let what = match of.claim {
        Claim::Holds => "vouched for",
        Claim::DoesNotApply => "said not to apply",
    };
    let (id, until) = (output::printable(&of.id.to_string()), moment(of.until));
    format!(
        "{} of {} is {what} until {until}: {id}\nWhere it asks for a second person it counts once one confirms it: \
         `roadbed maturity confirm {id}`.\n",
        of.criterion, of.subject
    )
}

/// Lists what people vouch for.
pub(super) async fn list(
    client: &Client,
    subject: Option<Whom>,
    criterion: Option<CriterionId>,
) -> Result<()> {
    let mut query = Vec::new();
    query.extend(subject.map(|Whom(subject)| ("subject", subject.to_string())));
    query.extend(criterion.map(|criterion| ("criterion", criterion.to_string())));
    let found: Vec<AttestationEntry> = client.list("/maturity/attestations", &query, MOST).await?;
    output::show(client.format(), &found, |found| {
        let rows = found.iter().map(|AttestationEntry(record)| row(record));
        output::table(
            ["SUBJECT", "CRITERION", "BY", "UNTIL", "STATE", "LINK", "ID"],
            rows,
        )
    })
}

fn row(record: &Record) -> [String; 7] {
    let of = &record.attestation;
    let state = match (&record.revoked, &record.confirmed) {
        (Some(act), _) => format!("revoked: {}", act.reason),
        (None, Some(act)) => format!("confirmed by {}", act.by),
        (None, None) => String::new(),
    };
    [
        of.subject.to_string(),
        of.criterion.to_string(),
        of.by.to_string(),
        day(of.until),
        state,
        of.link.clone(),
        of.id.to_string(),
    ]
}

/// Lists what people have to look at.
pub(super) async fn inbox(client: &Client, mine: bool, soon: Option<u16>) -> Result<()> {
    let mut query = vec![("mine", mine.to_string())];
    query.extend(soon.map(|days| ("soon", days.to_string())));
    let report: InboxReport = client.get_ready("/maturity/inbox", &query).await?;
    output::show(client.format(), &report, in_the_inbox)
}

fn in_the_inbox(report: &InboxReport) -> String {
    if report.items.is_empty() {
        return "Nothing is in the inbox.\n".to_owned();
    }
    let rows = report.items.iter().map(item);
    let mut text = output::table(["WHY", "SUBJECT", "CRITERION", "ROLE", "UNTIL", "ID"], rows);
    if report.more_items > 0 {
        let _ = writeln!(text, "and {} more", report.more_items);
    }
    text
}

fn item(item: &InboxItem) -> [String; 6] {
    let why = match item.kind {
        InboxKind::Expired => "ended",
        InboxKind::Expiring => "ends soon",
        InboxKind::Unconfirmed => "needs a second person",
        InboxKind::Due => "due",
    };
    [
        why.to_owned(),
        item.subject.to_string(),
        item.criterion.to_string(),
        item.role.to_string(),
        item.until.map(day).unwrap_or_default(),
        item.attestation
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(link: &str, reason: &str) -> Record {
        serde_json::from_value(json!({
            "attestation": {
                "id": "a-1", "subject": "team:shop", "criterion": "PE-1", "by": "ann", "link": link,
                "from": "2026-01-01T00:00:00Z", "until": "2026-06-01T00:00:00Z",
            },
            "event": 3, "confirmed": null, "revoked": { "by": "ben", "at": "2026-02-01T00:00:00Z", "reason": reason },
        }))
        .unwrap()
    }

    #[test]
    fn links_and_reasons_of_strangers_do_not_steer_the_terminal() {
        let rows = [row(&record("https://a/\u{1b}[2J", "x\nteam:shop  PE-1  forged"))];
        let text = output::table(["a", "b", "c", "d", "e", "f", "g"], rows);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn what_is_vouched_for_says_until_when_and_who_must_confirm_it() {
        let text = vouched(&record("https://a/", ""));
        assert!(
            text.contains("PE-1 of team:shop is vouched for until 2026-06-01"),
            "{text}"
        );
        assert!(text.contains("roadbed maturity confirm a-1"), "{text}");
    }

    #[test]
    fn an_inbox_that_is_cut_says_how_many_more() {
        let report: InboxReport = serde_json::from_value(json!({
            "items": [{ "kind": "due", "subject": "app:x", "criterion": "PE-1", "role": "team-lead", "attestation": null, "until": null }],
            "more_items": 4,
        }))
        .unwrap();
        let text = in_the_inbox(&report);
        assert!(
            text.contains("due  app:x") && text.ends_with("and 4 more\n"),
            "{text}"
        );
    }
}
