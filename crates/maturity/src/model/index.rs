//! Where to find things in a model.

use std::collections::{BTreeMap, HashMap};

use super::{Criterion, Parts, TopicId};
use crate::signal::Fact;
use crate::words::{CriterionId, Slug};

/// Places of criteria and topics in a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    places: HashMap<CriterionId, usize>,
    topics: HashMap<TopicId, usize>,
    by_fact: BTreeMap<Fact, Vec<usize>>,
    by_topic: Vec<Vec<usize>>,
    topic_of: Vec<usize>,
    /// Of each criterion, those that require it, directly or not, in the order in which they are evaluated.
    dependents: Vec<Vec<usize>>,
    requires: Vec<Vec<usize>>,
    /// Each behind what it requires.
    order: Vec<usize>,
}

impl Index {
    /// Of parts whose ids were checked. Fails with a criterion that requires itself, and by which way.
    pub(crate) fn of(parts: &Parts) -> Result<Self, (CriterionId, Vec<CriterionId>)> {
        let criteria = &parts.criteria;
        let places: HashMap<_, _> = criteria
            .iter()
            .enumerate()
            .map(|(place, one)| (one.id.clone(), place))
            .collect();
        let topics: HashMap<_, _> = parts
            .topics
            .iter()
            .enumerate()
            .map(|(place, topic)| (topic.id.clone(), place))
            .collect();
        let topic_of = criteria
            .iter()
            .map(|one| topics.get(&one.topic).copied().unwrap_or_default());
        let mut index = Self {
            topic_of: topic_of.collect(),
            by_topic: vec![Vec::new(); parts.topics.len()],
            dependents: vec![Vec::new(); criteria.len()],
            requires: criteria.iter().map(|one| required(one, &places)).collect(),
            places,
            topics,
            ..Self::default()
        };
        for (place, criterion) in criteria.iter().enumerate() {
            index.by_topic[index.topic_of[place]].push(place);
            let conditions = criterion
                .signal
                .conditions()
                .chain(criterion.applies_if.conditions());
            for condition in conditions {
                let users = index.by_fact.entry(condition.fact.clone()).or_default();
                if users.last() != Some(&place) {
                    users.push(place);
                }
            }
        }
        index.order = sort(&index.requires).map_err(|circle| {
            (
                criteria[circle[0]].id.clone(),
                circle.iter().map(|place| criteria[*place].id.clone()).collect(),
            )
        })?;
        index.note_dependents();
        Ok(index)
    }

    fn note_dependents(&mut self) {
        let mut all: Vec<Vec<bool>> = vec![Vec::new(); self.requires.len()];
        for &place in &self.order {
            let mut needs = vec![false; self.requires.len()];
            for &required in &self.requires[place] {
                needs[required] = true;
                for (one, is_needed) in all[required].iter().enumerate() {
                    needs[one] |= is_needed;
                }
            }
            for (one, is_needed) in needs.iter().enumerate() {
                if *is_needed {
                    self.dependents[one].push(place);
                }
            }
            all[place] = needs;
        }
    }

    pub(crate) fn place(&self, id: &CriterionId) -> Option<usize> {
        self.places.get(id).copied()
    }

    pub(crate) fn topic(&self, id: &TopicId) -> Option<usize> {
        self.topics.get(id).copied()
    }

    pub(crate) fn topic_of(&self, criterion: usize) -> usize {
        self.topic_of[criterion]
    }

    pub(crate) fn users_of(&self, fact: &Fact) -> &[usize] {
        self.by_fact.get(fact).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn of_topic(&self, topic: usize) -> &[usize] {
        &self.by_topic[topic]
    }

    pub(crate) fn dependents(&self, criterion: usize) -> &[usize] {
        &self.dependents[criterion]
    }

    pub(crate) fn requires(&self, criterion: usize) -> &[usize] {
        &self.requires[criterion]
    }

    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Topics of a category.
    pub(crate) fn topics_of<'p>(parts: &'p Parts, category: &'p Slug) -> impl Iterator<Item = usize> + 'p {
        let topics = parts.topics.iter().enumerate();
        topics
            .filter(move |(_, topic)| topic.id.category == *category)
            .map(|(place, _)| place)
    }
}

fn required(criterion: &Criterion, places: &HashMap<CriterionId, usize>) -> Vec<usize> {
    criterion
        .requires
        .iter()
        .filter_map(|id| places.get(id).copied())
        .collect()
}

/// Each behind what it requires, else a circle. Without recursion: a chain may be as long as the model.
fn sort(requires: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; requires.len()];
    let mut order = Vec::new();
    for start in 0..requires.len() {
        let mut path = vec![(start, 0)];
        while let Some((place, next)) = path.pop() {
            if marks[place] == Mark::Done {
                continue;
            }
            marks[place] = Mark::Open;
            let Some(&needed) = requires[place].get(next) else {
                marks[place] = Mark::Done;
                order.push(place);
                continue;
            };
            path.push((place, next + 1));
            if marks[needed] == Mark::Open {
                let from = path
                    .iter()
                    .position(|(one, _)| *one == needed)
                    .unwrap_or_default();
                return Err(path[from..].iter().map(|(one, _)| *one).collect());
            }
            path.push((needed, 0));
        }
    }
    Ok(order)
}
