//! What owners and their systems are told: levels that fell, and what ends soon. It goes the way of all events, to the sinks that ask
//! for `maturity.*`.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use maturity::{
    assessment::Assessment,
    attestation::{InboxItem, InboxKind, inbox},
    campaign::Campaign,
    facts::Placement,
    history::{Change, What},
    model::TopicId,
    scorecard::{Drop, next_drops},
    words::SubjectKind,
};
use serde_json::json;
use store::{EventKind, LogLine, MaturityNews};
use time::{Duration, format_description::well_known::Rfc3339};

/// How long before its end something is told of.
const SOON: Duration = Duration::days(14);

/// In front of the kinds of lines whose words are in the store and not asked of collectors.
const OURS: [&str; 4] = ["maturity.", "evidence.", "campaign.", "baseline."];

/// Whether a line is about maturity itself.
pub(super) fn is_ours(line: &LogLine) -> bool {
    OURS.iter().any(|prefix| line.kind.starts_with(prefix))
}

/// Whether a line asks that everything is looked at.
pub(super) fn is_evaluation(line: &LogLine) -> bool {
    line.kind == EventKind::MaturityEvaluate.name()
}

/// Whether another model may count after a line: one was applied, or a campaign becomes a rule.
pub(super) fn is_of_models(line: &LogLine) -> bool {
    line.kind == EventKind::MaturityModel.name() || line.kind.starts_with("campaign.")
}

/// Levels that fell.
pub(super) fn of(assessment: &Assessment, changes: &[Change]) -> Vec<MaturityNews> {
    let falls = changes.iter().filter(|change| change.is_regression());
    falls.filter_map(|change| fall(assessment, change)).collect()
}

fn fall(assessment: &Assessment, change: &Change) -> Option<MaturityNews> {
    let What::Level {
        subject,
        topic,
        from,
        to,
        because,
    } = &change.what
    else {
        return None;
    };
    let placement = assessment.facts().placement(&subject.name);
    Some(MaturityNews {
        once: None,
        kind: EventKind::MaturityFall,
        subject: subject.to_string(),
        rule_version: change.rule_version.to_string(),
        body: json!({
            "topic": topic, "from": from, "to": to, "because": because, "cause": change.cause,
            "team": placement.and_then(|placement| placement.team.as_ref()),
            "at": change.at.format(&Rfc3339).ok(),
        }),
    })
}

/// What ends soon: levels that fall by themselves, and what somebody vouches for. It locks for one application at a time.
pub(super) fn ends(assessed: &RwLock<Assessment>) -> Vec<MaturityNews> {
    let read = || assessed.read().unwrap_or_else(PoisonError::into_inner);
    let placements: Vec<Placement> = read().facts().apps().cloned().collect();
    let mut news = Vec::new();
    for placement in &placements {
        let assessment = read();
        let now = assessment.now();
        let drops = next_drops(assessment.model(), assessment.facts(), &placement.subject(), now);
        let soon = drops.iter().filter(|(_, drop)| drop.at <= now + SOON);
        news.extend(soon.map(|(topic, drop)| falls_soon(&assessment, placement, topic, drop)));
    }
    let assessment = read();
    let items = inbox(assessment.facts(), assessment.model(), assessment.now(), SOON);
    let expiring = items.iter().filter(|item| item.kind == InboxKind::Expiring);
    news.extend(expiring.map(|item| expires(&assessment, item)));
    news
}

/// Reminders of a campaign that are due. Who was reminded is not reminded of the same again.
pub(super) fn reminders(assessed: &RwLock<Assessment>, campaign: &Campaign) -> Vec<MaturityNews> {
    let assessment = assessed.read().unwrap_or_else(PoisonError::into_inner);
    let progress = campaign.progress(&assessment);
    let due = campaign.reminders(&progress, &BTreeSet::new()).into_iter();
    let rule_version = assessment.model().rule_version().to_string();
    due.map(|reminder| {
        let team = reminder
            .team
            .as_ref()
            .map_or_else(String::new, ToString::to_string);
        let due = campaign.due.format(&Rfc3339).unwrap_or_default();
        MaturityNews {
            once: Some(format!(
                "remind/{}/{due}/{team}/{}",
                campaign.id, reminder.days_before
            )),
            kind: EventKind::CampaignRemind,
            subject: campaign.id.to_string(),
            rule_version: rule_version.clone(),
            body: json!({
                "title": campaign.title, "team": reminder.team, "open": reminder.open, "due": due,
                "days_before": reminder.days_before,
            }),
        }
    })
    .collect()
}

fn falls_soon(assessment: &Assessment, placement: &Placement, topic: &TopicId, drop: &Drop) -> MaturityNews {
    let subject = placement.subject();
    let at = drop.at.format(&Rfc3339).unwrap_or_default();
    MaturityNews {
        once: Some(format!("ends/{subject}/{topic}/{at}")),
        kind: EventKind::MaturityEnds,
        subject: subject.to_string(),
        rule_version: assessment.model().rule_version().to_string(),
        body: json!({
            "what": "level", "topic": topic, "from": drop.from, "to": drop.to, "because": drop.criterion,
            "team": placement.team, "ends": at,
        }),
    }
}

fn expires(assessment: &Assessment, item: &InboxItem) -> MaturityNews {
    let ends = item.until.and_then(|until| until.format(&Rfc3339).ok());
    let of_app = item.subject.kind == SubjectKind::App;
    let placement = assessment
        .facts()
        .placement(&item.subject.name)
        .filter(|_| of_app);
    let id = item
        .attestation
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    MaturityNews {
        once: Some(format!(
            "ends/attestation/{id}/{}",
            ends.as_deref().unwrap_or_default()
        )),
        kind: EventKind::MaturityEnds,
        subject: item.subject.to_string(),
        rule_version: assessment.model().rule_version().to_string(),
        body: json!({
            "what": "attestation", "attestation": item.attestation, "criterion": item.criterion, "role": item.role,
            "team": placement.and_then(|placement| placement.team.as_ref()), "ends": ends,
        }),
    }
}
