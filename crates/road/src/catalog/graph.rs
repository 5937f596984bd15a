//! What is part of what: found twice, or part of itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use crate::names::ApplicationName;

/// That an entity is part of another one of its kind.
pub(super) struct Link {
    pub(super) kind: &'static str,
    pub(super) from: ApplicationName,
    pub(super) target: ApplicationName,
    pub(super) file: String,
    pub(super) line: u64,
}

/// All entities with their place, and the links between them.
#[derive(Default)]
pub(super) struct Graph {
    places: BTreeMap<(String, ApplicationName), String>,
    links: Vec<Link>,
}

impl Graph {
    /// Adds an entity at file and line, unless it is there.
    pub(super) fn add(
        &mut self,
        kind: &str,
        name: &ApplicationName,
        (file, line): (&str, u64),
    ) -> Result<(), (u64, Problem)> {
        let place = format!("{}:{line}", policy::yaml::one_line(file, 200));
        match self.places.entry((kind.to_owned(), name.clone())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(place);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                let problem = Problem::Twice {
                    what: format!("{kind}:{name}"),
                    place: entry.get().clone(),
                };
                Err((line, problem))
            }
        }
    }

    pub(super) fn link(&mut self, link: Link) {
        self.links.push(link);
    }

    /// Each circle once, at the place of one of its links. Every entity has one link at most, so each is walked once.
    pub(super) fn problems(&self) -> Vec<(String, u64, Problem)> {
        let key = |link: &Link| (link.kind, link.from.clone());
        let links: BTreeMap<_, &Link> = self.links.iter().map(|link| (key(link), link)).collect();
        let mut done = BTreeSet::new();
        let mut problems = Vec::new();
        for start in &self.links {
            let mut way: Vec<&Link> = Vec::new();
            let mut on_way = BTreeSet::new();
            let mut next = links.get(&key(start)).copied();
            while let Some(link) = next {
                if !done.insert(key(link)) {
                    if on_way.contains(&key(link)) {
                        problems.push(circle(link, &way));
                    }
                    break;
                }
                on_way.insert(key(link));
                way.push(link);
                next = links.get(&(link.kind, link.target.clone())).copied();
            }
        }
        problems
    }
}

fn circle(link: &Link, way: &[&Link]) -> (String, u64, Problem) {
    let members = way.iter().skip_while(|other| other.from != link.from);
    let names: Vec<&str> = members.take(10).map(|other| other.target.as_str()).collect();
    let problem = Problem::Cycle {
        what: format!("{}:{}", link.kind, link.from),
        through: names.join(", "),
    };
    (link.file.clone(), link.line, problem)
}
