//! Which groups have to become one, so that none is smaller than it may be.

use super::LEAST_GROUP;

/// Whether a count may be shown.
pub(super) const fn may_be_shown(count: u64) -> bool {
    count == 0 || count >= LEAST_GROUP
}

/// Neighbouring columns that become one, as `first..end` of each, so that every cell of every row may be shown. Each row has as
/// many columns as the others and at least [`LEAST_GROUP`] in all.
pub(super) fn columns(rows: &[Vec<u64>]) -> Vec<std::ops::Range<usize>> {
    let width = rows.iter().map(Vec::len).min().unwrap_or(0);
    let mut parts: Vec<_> = (0..width).map(|column| column..column + 1).collect();
    while parts.len() > 1 {
        let small = parts.iter().position(|part| {
            let mut cells = rows.iter().map(|row| sum(row, part));
            !cells.all(may_be_shown)
        });
        let Some(small) = small else { break };
        let all = |part: &std::ops::Range<usize>| rows.iter().map(|row| sum(row, part)).sum::<u64>();
        let below = small.checked_sub(1).map(|below| (all(&parts[below]), below));
        let above = parts.get(small + 1).map(|part| (all(part), small));
        // With the smaller neighbour: what is merged says less. With an empty one only if there is no other: it does not help yet.
        let neighbours = below.into_iter().chain(above);
        let Some((_, first)) = neighbours.min_by_key(|(applications, _)| (*applications == 0, *applications))
        else {
            break;
        };
        let end = parts.remove(first + 1).end;
        parts[first].end = end;
    }
    parts
}

pub(super) fn sum(row: &[u64], part: &std::ops::Range<usize>) -> u64 {
    row.get(part.clone()).unwrap_or_default().iter().sum()
}

/// Groups without an order: the smallest becomes one with the next smallest until none is too small. `size` says how many
/// applications a group has, which after merging need not be the sum. Empty groups are kept.
pub(super) fn groups<G: Ord>(
    mut groups: Vec<G>,
    size: impl Fn(&G) -> u64,
    merge: impl Fn(&mut G, G),
) -> Vec<G> {
    loop {
        groups.sort_by(|a, b| (size(a), a).cmp(&(size(b), b)));
        let first = groups.iter().position(|group| size(group) > 0);
        let Some(first) = first.filter(|first| !may_be_shown(size(&groups[*first]))) else {
            break;
        };
        if first + 1 == groups.len() {
            break;
        }
        let smallest = groups.remove(first);
        merge(&mut groups[first], smallest);
    }
    groups.sort();
    groups
}
