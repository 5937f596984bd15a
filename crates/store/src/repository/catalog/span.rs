//! Spans of the sorted names in which the matches of patterns lie.

use oci::RepoPattern;
use sea_orm::Value;

use crate::db::sql;

/// Sorts behind a name and before everything longer that begins with it: less than any character of a name.
const BEFORE_ALL: char = '!';
/// Sorts behind everything that begins with the text before it: more than any character of a name.
const BEHIND_ALL: char = '~';
/// Shapes that the database tests each name of a span against; with more of them all names are read.
const SHAPES: usize = 16;

/// The names from `low` on, without `high`, of one of the shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    low: String,
    high: String,
    /// `None`: all of them.
    shapes: Option<Vec<Shape>>,
    /// What it is about, if that is one name.
    name: Option<String>,
}

/// What the database can tell of a pattern: no match is left out, and little else is left in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    like: String,
    /// Without `**` a pattern has as many slashes as each of its matches, which keeps `%` within one component.
    slashes: Option<usize>,
}

/// The spans of all patterns, in order and apart from each other.
pub(super) fn merged(patterns: &[&RepoPattern]) -> Vec<Span> {
    let mut spans: Vec<Span> = patterns.iter().map(|pattern| Span::of(pattern)).collect();
    spans.sort_by(|left, right| (&left.low, &left.high).cmp(&(&right.low, &right.high)));
    let mut apart: Vec<Span> = Vec::new();
    for span in spans {
        match apart.last_mut() {
            Some(last) if span.low < last.high => last.absorb(span),
            _ => apart.push(span),
        }
    }
    apart
}

impl Span {
    fn of(pattern: &RepoPattern) -> Self {
        let (text, prefix) = (pattern.as_str(), pattern.literal_prefix());
        let is_exact = text == prefix;
        let end = if is_exact { BEFORE_ALL } else { BEHIND_ALL };
        let is_whole = text.strip_prefix(prefix) == Some("**");
        Self {
            low: prefix.to_owned(),
            high: format!("{prefix}{end}"),
            shapes: (!is_whole).then(|| vec![Shape::of(text)]),
            name: is_exact.then(|| text.to_owned()),
        }
    }

    /// Takes in a span that overlaps it. Of two such spans one contains the other.
    fn absorb(&mut self, other: Self) {
        if self.contains(&other) && self.shapes.is_none() {
            return;
        }
        if other.contains(self) && other.shapes.is_none() {
            *self = other;
            return;
        }
        if self.name != other.name {
            self.name = None;
        }
        let mut shapes = self.shapes_or_all();
        shapes.extend(other.shapes_or_all());
        shapes.dedup();
        self.shapes = (shapes.len() <= SHAPES).then_some(shapes);
        self.high = std::mem::take(&mut self.high).max(other.high);
    }

    fn contains(&self, other: &Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    fn shapes_or_all(&self) -> Vec<Shape> {
        let all = || {
            vec![Shape {
                like: format!("{}%", self.low),
                slashes: None,
            }]
        };
        self.shapes.clone().unwrap_or_else(all)
    }

    /// Leaves out what is not behind `after`; answers whether anything can be left.
    pub(super) fn begin_behind(&mut self, after: &str) -> bool {
        let behind = format!("{after}{BEFORE_ALL}");
        if self.low < behind {
            self.low = behind;
        }
        self.low < self.high
    }

    /// The one name that it is about.
    pub(super) fn only_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// From, and to without.
    pub(super) fn bounds(&self) -> (&str, &str) {
        (&self.low, &self.high)
    }

    /// Reads its first `limit` names.
    pub(super) fn statement(&self, limit: usize) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![
            self.low.clone().into(),
            self.high.clone().into(),
            sql::to_db(limit as u64).into(),
        ];
        let shapes = self.shapes.iter().flatten();
        let tests: Vec<String> = shapes.map(|shape| shape.test(&mut values)).collect();
        let filter = if tests.is_empty() {
            String::new()
        } else {
            format!("AND ({}) ", tests.join(" OR "))
        };
        let sql = format!(
            "SELECT name AS text FROM repository WHERE name >= $1 AND name < $2 {filter}ORDER BY name LIMIT $3"
        );
        (sql, values)
    }
}

impl Shape {
    fn of(text: &str) -> Self {
        let slashes = (!text.contains("**")).then(|| text.matches('/').count());
        // Zero components may stand for `**/`, together with its slash. `_` is any character here: no harm.
        let like = text.replace("**/", "%").replace("**", "%").replace('*', "%");
        Self { like, slashes }
    }

    fn test(&self, values: &mut Vec<Value>) -> String {
        values.push(self.like.clone().into());
        let like = format!("name LIKE ${}", values.len());
        let Some(slashes) = self.slashes else { return like };
        values.push(sql::to_db(slashes as u64).into());
        format!(
            "({like} AND length(name) - length(replace(name, '/', '')) = ${})",
            values.len()
        )
    }
}
