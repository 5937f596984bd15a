//! What the images of an application say of it as a whole.

use anyhow::Result;
use maturity::signal::Fact;
use policy::{Point, Policy, Rule};
use road::{names::ApplicationName, sink::SinkKind};
use store::{KnownRepository, Store, Timestamp};
use time::OffsetDateTime;

use super::ground::{Ground, Places};
use super::images::{Seen, Standing};
use super::notes::Notes;

/// Days that are told apart: a number that grows by itself is told as the last of these that it has reached, or the next one, whichever
/// is the worse, so that a day that goes by is no news.
const DAYS: [i64; 15] = [0, 1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 180, 365];

/// The same of minutes.
const MINUTES: [i64; 10] = [15, 60, 240, 720, 1_440, 2_880, 4_320, 10_080, 43_200, 129_600];

/// How far a number has come, told as no less than it is.
pub(super) fn at_most(steps: &[i64], number: i64) -> i64 {
    let reached = steps.iter().copied().find(|step| number <= *step);
    reached.unwrap_or(number)
}

/// The same, told as no more than it is.
pub(super) fn at_least(steps: &[i64], number: i64) -> i64 {
    let reached = steps.iter().copied().rev().find(|step| number >= *step);
    reached.unwrap_or(number)
}

pub(super) fn minutes(number: i64) -> i64 {
    at_most(&MINUTES, number)
}

/// Notes what holds of an application by its images and their repositories. `ships_model`: whether one of them holds a trained model,
/// where it was looked for.
pub(super) async fn note(
    ground: &Ground,
    notes: &mut Notes,
    standing: &Standing,
    (app, seen): (&ApplicationName, &[Seen<'_>]),
    ships_model: Option<bool>,
) -> Result<()> {
    let store = &ground.store;
    if seen.is_empty() {
        return Ok(());
    }
    let known = Known::of(ground, standing, (app, seen)).await?;
    let is_told = is_told(store, standing, app).await?;
    let mut page = notes.states(store).await?;
    page.flag(Fact::TagsImmutable, known.are_immutable);
    page.flag(Fact::FindingsToldToOwner, is_told);
    let numbers = [
        (
            Fact::ImageStaleness,
            known.behind_days.map(|days| at_most(&DAYS, days)),
        ),
        (Fact::PushToUse, known.minutes_to_use),
        (
            Fact::DecisionsKept,
            known.decided_days.map(|days| at_least(&DAYS, days)),
        ),
        (Fact::AdvisoryAge, known.matched_minutes.map(minutes)),
    ];
    for (fact, number) in numbers {
        if let Some(number) = number {
            page.number(fact, number);
        }
    }
    let flags = [
        (Fact::PolicyByTier, known.by_tier),
        (Fact::ShipsModel, ships_model),
    ];
    for (fact, is_so) in flags {
        if let Some(is_so) = is_so {
            page.flag(fact, is_so);
        }
    }
    Ok(())
}

/// What is known of an application by its images.
struct Known {
    are_immutable: bool,
    behind_days: Option<i64>,
    minutes_to_use: Option<i64>,
    decided_days: Option<i64>,
    matched_minutes: Option<i64>,
    by_tier: Option<bool>,
}

impl Known {
    async fn of(
        ground: &Ground,
        standing: &Standing,
        (app, seen): (&ApplicationName, &[Seen<'_>]),
    ) -> Result<Self> {
        let (store, places, now) = (&ground.store, &standing.places, standing.now);
        let (mut behind_days, mut to_use, mut decided) = (None, Vec::new(), None);
        for (known, images) in seen {
            let newest = images.first();
            let lineage =
                newest.and_then(|newest| ground.lineage(places, app, (&known.name, &newest.digest), now));
            behind_days = behind_days.max(lineage.and_then(|(lineage, _)| {
                let superseded = lineage.base()?.superseded.map(|superseded| superseded.at);
                Some(superseded.map_or(0, |at| (now - at).whole_days().max(0)))
            }));
            let used = images.iter().filter_map(|image| {
                let first = image.first_node?.to_utc() - image.pushed_at.to_utc();
                Some(first.whole_minutes().max(0))
            });
            to_use.extend(used);
            decided = earliest(decided, store.decided_since(&known.name).await?);
        }
        let is_ruled = |(known, _): &Seen<'_>| store.rules(&known.name).immutable_tags.is_some();
        Ok(Self {
            are_immutable: seen.iter().all(is_ruled),
            behind_days,
            minutes_to_use: median(to_use),
            decided_days: decided.map(|since| (now - since.to_utc()).whole_days().max(0)),
            matched_minutes: matched_minutes(store, now).await?,
            by_tier: by_tier(standing, places, app),
        })
    }
}

/// Whether there is a way by which the owner of an application hears of findings: somebody who is told of incidents, and of mail an
/// address to write to.
async fn is_told(store: &Store, standing: &Standing, app: &ApplicationName) -> Result<bool> {
    let Some(known) = standing.places.road.applications.get(app) else {
        return Ok(false);
    };
    let contacts = known
        .contacts
        .as_ref()
        .map_or(&[][..], |contacts| contacts.value().as_slice());
    let sinks = store.sinks().await?;
    let reaches = sinks.iter().map(|sink| &sink.spec).any(|sink| {
        let has_address = !sink.to.is_empty() || contacts.iter().any(|contact| contact.email().is_some());
        sink.incidents && (sink.kind != SinkKind::Smtp || has_address)
    });
    Ok(known.owner.is_some() && reaches)
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn median(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}

/// How many minutes ago images were last matched with what advisories say. `None`: there are no advisories.
pub(super) async fn matched_minutes(store: &Store, now: OffsetDateTime) -> Result<Option<i64>> {
    let generation = store.advisory_generation().await?;
    let confirmed = store.reevaluation().await?.confirmed;
    let imported = |wanted: u64| async move {
        let generations = store.generations().await?;
        let found = generations
            .into_iter()
            .find(|(generation, _)| *generation == wanted);
        anyhow::Ok(found.map(|(_, at)| at))
    };
    let at = if confirmed < generation {
        // Something has changed that images are still to be matched with.
        imported(confirmed + 1).await?
    } else {
        let looked = store
            .feeds()
            .await?
            .into_iter()
            .filter_map(|feed| feed.succeeded_at)
            .max();
        imported(generation).await?.into_iter().chain(looked).max()
    };
    Ok(at.map(|at| (now - at.to_utc()).whole_minutes().max(0)))
}

/// Whether a rule holds for the application that does not hold for all alike. Of an application without a tier, or without a policy of
/// the organisation, none does.
fn by_tier(standing: &Standing, places: &Places, app: &ApplicationName) -> Option<bool> {
    let known = places.road.applications.get(app)?;
    let road = places.road.paving.app_road(app, standing.now);
    let has_tier = known.tier.is_some() || road.is_some_and(|road| road.tier.is_some());
    let of = |rule: &Rule| {
        let is_for_all = rule
            .repositories
            .iter()
            .any(|pattern| pattern.to_string() == "**");
        let applies = |known: &KnownRepository| rule.applies(&known.name, Point::Pull);
        !is_for_all && places.repositories(app).iter().any(applies)
    };
    let policy: &Policy = &standing.policy;
    Some(has_tier && standing.is_own_policy && policy.rules().iter().any(of))
}

/// Notes what is known of trained models in a repository; answers whether there is one.
pub(super) async fn note_models(ground: &Ground, notes: &mut Notes, known: &KnownRepository) -> Result<bool> {
    let store = &ground.store;
    let models = store.known_models(&known.name).await?;
    for model in &models {
        let at = model.pushed_at.to_utc();
        let mut page = notes.item(store, &model.digest.to_string(), at).await?;
        page.flag(Fact::ModelVersioned, model.versions > 0);
    }
    Ok(!models.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_by_itself_is_told_by_steps_and_never_better_than_it_is() {
        for (days, worse, better) in [(0, 0, 0), (4, 5, 3), (30, 30, 30), (31, 45, 30), (900, 900, 365)] {
            assert_eq!(
                (at_most(&DAYS, days), at_least(&DAYS, days)),
                (worse, better),
                "{days}"
            );
        }
        assert_eq!((minutes(3), minutes(100)), (15, 240));
        assert_eq!((median(vec![9, 1, 5]), median(Vec::new())), (Some(5), None));
    }
}
