//! When a level falls by itself, if nothing is done.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::evaluate::{AllJudged, core_of, judge_all, levels_of};
use crate::facts::{Chain, Facts};
use crate::model::{Model, TopicId};
use crate::rule::topic_level;
use crate::words::{CriterionId, Subject, SubjectKind};

/// Moments that are looked at; what falls only after so many other changes is not foretold.
pub const MAX_STEPS: usize = 64;

/// A level that falls by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Because of which criterion.
    pub criterion: CriterionId,
    /// From which level.
    pub from: u8,
    /// To which.
    pub to: u8,
}

/// The next drop of each topic of an application, the first one first.
pub fn next_drops(model: &Model, facts: &Facts, app: &Subject, now: OffsetDateTime) -> Vec<(TopicId, Drop)> {
    let chain = Chain::of(facts, app);
    let judged = judge_all(model, facts, &chain, SubjectKind::App, now, None);
    let levels = levels_of(model, &judged, now);
    let drops = levels.iter().enumerate().filter_map(|(topic, level)| {
        let drop = next_drop(model, facts, &chain, topic, (*level)?, &judged, now)?;
        Some((model.topics()[topic].id.clone(), drop))
    });
    let mut drops: Vec<_> = drops.collect();
    drops.sort_by(|a, b| (a.1.at, &a.0).cmp(&(b.1.at, &b.0)));
    drops
}

/// Goes from one moment at which something changes to the next, until the level is lower.
pub(super) fn next_drop(
    model: &Model,
    facts: &Facts,
    chain: &Chain,
    topic: usize,
    level: u8,
    judged: &AllJudged,
    now: OffsetDateTime,
) -> Option<Drop> {
    if level == 0 {
        return None;
    }
    let core: Vec<usize> = model.index().of_topic(topic).to_vec();
    let core: Vec<usize> = core
        .into_iter()
        .filter(|place| model.criteria()[*place].is_core())
        .collect();
    let (mut now, mut step) = (now, None);
    for _ in 0..MAX_STEPS {
        let present = step.as_ref().unwrap_or(judged);
        let untils = core
            .iter()
            .filter_map(|place| present[*place].and_then(|one| one.until));
        now = untils.filter(|until| *until > now).min()?;
        let next = judge_all(model, facts, chain, SubjectKind::App, now, Some(&core));
        let states: Vec<_> = core_of(model, topic, |place| next[place].map(|one| one.state), now).collect();
        let then = topic_level(
            states.iter().map(|(_, level, state)| (*level, *state)),
            model.top_level(),
        );
        if let Some(to) = then.filter(|then| *then < level) {
            let failing = states.iter().filter(|(_, _, state)| !state.holds());
            let first = failing.min_by_key(|(_, level, _)| *level);
            let place = first.or(states.first()).map(|(place, ..)| *place)?;
            let criterion = model.criteria()[place].id.clone();
            return Some(Drop {
                at: now,
                criterion,
                from: level,
                to,
            });
        }
        step = Some(next);
    }
    None
}
