//! Where somebody stands and stood, why, and what is worth doing next.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use maturity::history::Snapshot;
use maturity::next::Action;
use maturity::organisation::{Band, Distribution, Group};
use maturity::rule::{Check, State, Truth};
use maturity::scorecard::{Coverage, CriterionResult, Drop, Scorecard, Standing, TopicResult};
use maturity::words::{CriterionId, SubjectKind, SubjectName};
use serde_json::Value;
use store::Timestamp;
use time::OffsetDateTime;
use web::wire::{ActionEntry, ChangeEntry, CriterionEntry, GroupEntry, Page, ShownScorecard};

use super::whom::Whom;
use crate::client::Client;
use crate::moment::MomentArg;
use crate::output;

/// The query that names somebody.
fn of(whom: &Whom) -> (&'static str, String) {
    ("subject", whom.0.to_string())
}

/// Shows where somebody stands.
pub(super) async fn show(client: &Client, Whom(subject): Whom) -> Result<()> {
    let group: GroupEntry = match subject.kind {
        SubjectKind::Team => {
            let name = [("name", subject.name.to_string())];
            client.get_ready("/maturity/team", &name).await?
        }
        SubjectKind::Org => client.get_ready("/maturity/organisation", &[]).await?,
        SubjectKind::App | SubjectKind::Platform => {
            let query = [of(&Whom(subject))];
            let shown: ShownScorecard = client.get_ready("/maturity/scorecard", &query).await?;
            return output::show(client.format(), &shown, |shown| {
                shown.scorecard.as_ref().map(scorecard).unwrap_or_default()
            });
        }
    };
    output::show(client.format(), &group, |GroupEntry(group)| of_group(group))
}

/// Says why a criterion is in its state.
pub(super) async fn why(client: &Client, whom: Whom, criterion: &CriterionId) -> Result<()> {
    let query = [of(&whom), ("criterion", criterion.to_string())];
    let shown: CriterionEntry = client.get_ready("/maturity/why", &query).await?;
    output::show(client.format(), &shown, |CriterionEntry(result)| chain(result))
}

/// Shows what is worth doing next.
pub(super) async fn next(client: &Client, app: Whom) -> Result<()> {
    if app.0.kind != SubjectKind::App {
        bail!("actions are told of applications: name one, such as shop/checkout");
    }
    let shown: Vec<ActionEntry> = client.get_ready("/maturity/next", &[of(&app)]).await?;
    output::show(client.format(), &shown, |shown| {
        if shown.is_empty() {
            return "Nothing is left to do towards the targets.\n".to_owned();
        }
        let actions = shown.iter().enumerate();
        actions
            .map(|(place, ActionEntry(one))| action(place + 1, one))
            .collect()
    })
}

/// Shows what became otherwise.
pub(super) async fn history(client: &Client, whom: Whom, limit: u16) -> Result<()> {
    let query = [of(&whom), ("limit", limit.to_string())];
    let page: Page<ChangeEntry> = client.get_ready("/maturity/history", &query).await?;
    if page.next.is_some() {
        output::note(format!("Only the newest {limit} are shown; --limit shows more."));
    }
    output::show(client.format(), &page.items, |items| {
        if items.is_empty() {
            return "Nothing has changed yet.\n".to_owned();
        }
        let rows = items.iter().map(|item| change(&item.change));
        output::table(["WHEN", "WHAT", "FROM", "TO", "BECAUSE", "EVENT"], rows)
    })
}

/// Shows where somebody stood.
pub(super) async fn stood(client: &Client, whom: Whom, as_of: MomentArg) -> Result<()> {
    let at = match as_of {
        MomentArg::Span(_) => as_of.ago(),
        // As it was when the day was over, or as it is where that is today.
        MomentArg::At(_) | MomentArg::Day { .. } => {
            let now = Timestamp::from(std::time::SystemTime::now());
            web::wire::Moment(as_of.ahead().0.min(now))
        }
    };
    let query = [of(&whom), ("as_of", at.0.to_string())];
    let shown: ShownScorecard = client.get_ready("/maturity/scorecard", &query).await?;
    output::show(client.format(), &shown, |shown| {
        let title = format!("{} as of {}\n", shown.subject, output::moment(shown.as_of.0));
        title + &shown.then.as_ref().map(snapshot).unwrap_or_default()
    })
}

pub(super) fn moment(at: OffsetDateTime) -> String {
    output::moment(Timestamp::from(at))
}

pub(super) fn day(at: OffsetDateTime) -> String {
    at.date().to_string()
}

fn level(level: Option<u8>) -> String {
    level.map_or_else(|| "-".to_owned(), |level| level.to_string())
}

/// `not met`, for people.
pub(super) fn word(state: State) -> String {
    state.as_str().replace('_', " ")
}

fn scorecard(card: &Scorecard) -> String {
    let mut text = format!(
        "{}, team {}, tier {}, judged by {} at {}\n\n",
        card.subject,
        card.team.as_ref().map_or("-", SubjectName::as_str),
        level(card.tier),
        card.rule_version,
        moment(card.as_of)
    );
    let categories = card.categories.iter().map(|one| {
        [
            one.name.clone(),
            level(one.lowest),
            level(one.median),
            one.rated.to_string(),
        ]
    });
    text.push_str(&output::table(
        ["CATEGORY", "LOWEST", "MEDIAN", "TOPICS"],
        categories,
    ));
    text.push('\n');
    let head = [
        "TOPIC",
        "LEVEL",
        "TARGET",
        "AHEAD",
        "DROPS",
        "UNKNOWN",
        "IN THE WAY",
    ];
    text.push_str(&output::table(head, card.topics.iter().map(topic)));
    text.push('\n');
    let drop = card.next_drop().map_or_else(
        || "none that is foreseen".to_owned(),
        |(topic, drop)| format!("{}, {topic}", falls(drop)),
    );
    text.push_str("next drop: ");
    text.push_str(&drop);
    text.push('\n');
    for kept in card.obligations.iter().filter(|one| !one.kept) {
        let _ = writeln!(
            text,
            "not kept: {} asks for {} ({}): {}",
            output::printable(&kept.obligation.to_string()),
            kept.criterion,
            word(kept.state),
            output::printable(&kept.reason)
        );
    }
    text
}

fn falls(drop: &Drop) -> String {
    format!(
        "{} from {} to {} by {}",
        day(drop.at),
        drop.from,
        drop.to,
        drop.criterion
    )
}

fn topic(one: &TopicResult) -> [String; 7] {
    let target = match (one.target, one.standing) {
        (None, _) => "-".to_owned(),
        (Some(target), Standing::OnTarget) => format!("{target} reached"),
        (Some(target), _) => target.to_string(),
    };
    let ahead: Vec<&str> = one.ahead.iter().map(CriterionId::as_str).collect();
    let blocking = one.blocking.iter();
    let blocking = blocking.map(|one| format!("{} ({})", one.criterion, word(one.state)));
    let Coverage { unknown, expired, .. } = one.coverage;
    [
        one.topic.to_string(),
        level(one.level),
        target,
        if ahead.is_empty() {
            "-".to_owned()
        } else {
            ahead.join(", ")
        },
        one.next_drop
            .as_ref()
            .map_or_else(|| "-".to_owned(), |drop| day(drop.at)),
        format!("{} of {}", unknown + expired, one.coverage.all()),
        blocking.collect::<Vec<_>>().join(", "),
    ]
}

/// `3 (60 %)`: how many, and how much they weigh.
fn band(part: &Band, whole: &Band) -> String {
    match part.percent_of(whole) {
        _ if part.apps == 0 => "-".to_owned(),
        Some(percent) => format!("{} ({percent} %)", part.apps),
        None => part.apps.to_string(),
    }
}

fn of_group(group: &Group) -> String {
    let mut text = match &group.team {
        Some(team) => format!("team:{team}"),
        None => "the organisation".to_owned(),
    };
    let own = &group.own;
    let _ = writeln!(
        text,
        ", {}; of its own criteria {} met, {} not met, {} unknown, {} expired, {} exempt\n",
        output::count(group.apps.apps as u64, "application"),
        own.met,
        own.not_met,
        own.unknown,
        own.expired,
        own.exempt
    );
    let highest = group
        .topics
        .iter()
        .filter_map(|one| one.by_level.keys().next_back());
    let highest = highest.max().copied().unwrap_or(0);
    let rows = group.topics.iter().map(|one| distribution(one, highest));
    let head = [
        "TOPIC",
        "BY LEVEL",
        "ON TARGET",
        "BELOW",
        "NO TARGET",
        "NOBODY CAN TELL",
    ];
    text.push_str(&output::table(head, rows));
    text.push_str(
        "\nApplications, and what they weigh (tiers 0 and 1 four times, tier 2 twice). BY LEVEL: how many are at level 0/1/2/….\n",
    );
    text
}

fn distribution(one: &Distribution, highest: u8) -> [String; 6] {
    let standing = |standing| one.by_standing.get(&standing).copied().unwrap_or_default();
    let at = |level: u8| one.by_level.get(&level).map_or(0, |band| band.apps).to_string();
    let levels: Vec<String> = (0..=highest).map(at).collect();
    [
        one.topic.to_string(),
        levels.join("/"),
        band(&standing(Standing::OnTarget), &one.all),
        band(&standing(Standing::Below), &one.all),
        band(&standing(Standing::NoTarget), &one.all),
        band(&one.untold, &one.all),
    ]
}

fn chain(result: &CriterionResult) -> String {
    let mut pairs = vec![
        (
            "criterion",
            format!("{}, level {}", result.criterion, result.level),
        ),
        ("asks", result.text.clone()),
        (
            "of",
            result
                .subject
                .as_ref()
                .map_or_else(|| "nobody knows whom".to_owned(), ToString::to_string),
        ),
        ("state", word(result.state)),
        ("judged by", result.rule_version.to_string()),
    ];
    pairs.extend(result.until.map(|until| ("until", moment(until))));
    if !result.counts {
        pairs.push(("counts", "not yet: it is only shown before its day".to_owned()));
    }
    let mut text = output::properties(&pairs);
    for one in &result.checks {
        text.push('\n');
        text.push_str(&check(one));
    }
    text
}

fn check(check: &Check) -> String {
    let truth = match check.truth {
        Truth::Holds => "holds",
        Truth::Fails => "fails",
        Truth::Unknown => "unknown",
        Truth::Expired => "expired",
    };
    let listed = |ids: Vec<String>| ids.join(", ");
    let mut pairs = vec![(truth, check.what.clone()), ("found", check.found.clone())];
    let mut add = |name, ids: Vec<String>| {
        if !ids.is_empty() {
            pairs.push((name, listed(ids)));
        }
    };
    add(
        "evidence",
        check.evidence.iter().map(ToString::to_string).collect(),
    );
    add(
        "events",
        check.events.iter().map(|event| event.0.to_string()).collect(),
    );
    let others = check.contradicted_by.iter();
    add("contradicted by", others.map(ToString::to_string).collect());
    pairs.extend(check.until.map(|until| ("until", moment(until))));
    output::properties(&pairs)
}

fn action(place: usize, action: &Action) -> String {
    let printable = output::printable;
    let mut text = format!("{place}. {} ({})\n", printable(&action.what), action.subject);
    for gain in &action.gains {
        let _ = writeln!(
            text,
            "   {}: from {} to {}, aiming at {}",
            gain.topic, gain.from, gain.to, gain.aim
        );
    }
    if action.levels == 0 {
        let _ = writeln!(text, "   no level by itself: a part of what is in the way");
    }
    let criteria: Vec<&str> = action.criteria.iter().map(CriterionId::as_str).collect();
    let _ = writeln!(text, "   fulfils {}", criteria.join(", "));
    if let Some(command) = &action.command {
        let _ = writeln!(text, "   $ {}", printable(command));
    }
    if let Some(page) = &action.page {
        let _ = writeln!(text, "   {}", printable(page));
    }
    text
}

/// A text of JSON, a number, or a dash.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('_', " "),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// Why something changed, in words.
pub(super) fn cause(change: &Value) -> String {
    let of = &change["of"];
    let because = match change["cause"].as_str().unwrap_or_default() {
        "seen" => format!("seen: {}", told(of)),
        "attested" => "somebody vouched for it".to_owned(),
        "confirmed" => "a second person confirmed it".to_owned(),
        "revoked" => "somebody took it back".to_owned(),
        "exempted" => "it was excused".to_owned(),
        "exemption-ended" => "it is excused no longer".to_owned(),
        "placed" => "the application moved, or has another tier or other targets".to_owned(),
        "gone" => format!("{} is no more", of.as_str().unwrap_or("-")),
        "judged" => "another model judges".to_owned(),
        "time" => "time went by".to_owned(),
        other => other.to_owned(),
    };
    match change["because"].as_str() {
        Some(criterion) => format!("{criterion}: {because}"),
        None => because,
    }
}

fn change(change: &Value) -> [String; 6] {
    let what = match change["change"].as_str() {
        Some("level") => format!("level of {}", told(&change["topic"])),
        _ => change["criterion"].as_str().unwrap_or("-").to_owned(),
    };
    let at = change["at"].as_str().and_then(Timestamp::from_rfc3339);
    [
        at.map(output::moment).unwrap_or_default(),
        what,
        told(&change["from"]),
        told(&change["to"]),
        cause(change),
        told(&change["event"]),
    ]
}

fn snapshot(then: &Snapshot) -> String {
    let levels = then.levels.iter();
    let levels = levels.map(|(topic, at)| [topic.to_string(), level(*at)]);
    let mut text = output::table(["TOPIC", "LEVEL"], levels);
    text.push_str("What is missing was of level 0.\n\n");
    let states = then.states.iter();
    let states = states.map(|(criterion, state)| [criterion.to_string(), word(*state)]);
    text.push_str(&output::table(["CRITERION", "STATE"], states));
    text.push_str("What is missing was unknown.\n");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_says_what_moved_and_why() {
        let row = change(&json!({
            "at": "2026-11-22T08:33:00.5Z", "event": 7, "cause": "seen", "of": "image-signed", "change": "level",
            "subject": "app:shop", "topic": "technology/testing", "from": 1, "to": 2, "because": "TE-TES-2",
        }));
        let expected = [
            "2026-11-22T08:33:00Z",
            "level of technology/testing",
            "1",
            "2",
            "TE-TES-2: seen: image-signed",
            "7",
        ];
        assert_eq!(row, expected);
    }

    #[test]
    fn a_change_that_this_version_does_not_know_is_told_all_the_same() {
        for odd in [
            json!(null),
            json!([]),
            json!({ "cause": 7, "from": {}, "event": "x" }),
        ] {
            assert_eq!(change(&odd).len(), 6);
        }
        assert_eq!(cause(&json!({ "cause": "luck" })), "luck");
    }

    #[test]
    fn what_strangers_wrote_does_not_steer_the_terminal() {
        let action = action(
            1,
            &Action {
                subject: "app:shop".parse().unwrap(),
                what: "clear\u{1b}[2J".to_owned(),
                command: Some("x\r\ny".to_owned()),
                page: None,
                criteria: vec!["TE-1".parse().unwrap()],
                levels: 0,
                progress: 5,
                gains: Vec::new(),
            },
        );
        assert!(!action.contains(['\u{1b}', '\r']), "{action}");
        assert!(action.contains("$ x\\r\\ny\n"), "{action}");
    }

    #[test]
    fn bands_say_how_many_and_how_much_they_weigh() {
        let whole = Band { apps: 4, weight: 10 };
        let of = |apps, weight| band(&Band { apps, weight }, &whole);
        assert_eq!([of(0, 0), of(1, 4), of(4, 10)], ["-", "1 (40 %)", "4 (100 %)"]);
    }
}
