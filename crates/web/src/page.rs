//! Pages of longer lists, with cursors.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::ApiError;

/// Items on a page if the request does not say.
pub const DEFAULT_PAGE_ITEMS: usize = 100;

/// Most items on a page.
pub const MAX_PAGE_ITEMS: usize = 1_000;

/// Longest cursor, in bytes: a repository name of 255 bytes and what stands beside it.
const MAX_CURSOR_BYTES: usize = 1_024;

/// Which page.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The cursor that the page before gave as `next`; the first page has none.
    pub after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    pub limit: Option<usize>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Send it as `after` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many items a request wants.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(DEFAULT_PAGE_ITEMS),
        Some(items) if (1..=MAX_PAGE_ITEMS).contains(&items) => Ok(items),
        Some(items) => Err(ApiError::malformed(format!(
            "limit {items} is out of range: ask for 1 to {MAX_PAGE_ITEMS}"
        ))),
    }
}

/// The cursor of a request, if it is of a possible length.
pub(crate) fn cursor(after: Option<&str>) -> Result<Option<&str>, ApiError> {
    match after {
        Some(text) if text.len() > MAX_CURSOR_BYTES => {
            Err(ApiError::malformed("the cursor is too long to be one of ours"))
        }
        other => Ok(other),
    }
}

/// A cursor that is a number.
pub(crate) fn numeric_cursor(after: Option<&str>) -> Result<Option<i64>, ApiError> {
    after
        .map(str::parse)
        .transpose()
        .map_err(|_| ApiError::malformed("the cursor is not one of ours: send `next` as it came"))
}

impl<T> Page<T> {
    /// The store's page with items as they travel, and the cursor of its last item.
    pub(crate) fn of<S>(page: store::Page<S>, cursor: impl Fn(&S) -> String, item: impl Fn(S) -> T) -> Self {
        let next = if page.more {
            page.items.last().map(cursor)
        } else {
            None
        };
        Self {
            items: page.items.into_iter().map(item).collect(),
            next,
        }
    }

    /// A page cut out of a whole list that is ordered by its cursors.
    pub(crate) fn cut<S>(
        list: impl IntoIterator<Item = S>,
        after: Option<&str>,
        limit: usize,
        cursor: impl Fn(&S) -> String,
        item: impl Fn(S) -> T,
    ) -> Self {
        let behind = |entry: &S| after.is_none_or(|after| cursor(entry).as_str() > after);
        let mut items: Vec<S> = list.into_iter().filter(behind).take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        Self::of(store::Page { items, more }, cursor, item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_list_join_up() {
        let list: Vec<String> = ('a'..='g').map(String::from).collect();
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = Page::cut(list.clone(), after.as_deref(), 3, Clone::clone, |item| item);
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, list);
    }

    #[test]
    fn limits_and_cursors_are_bounded() {
        assert_eq!(limit(None).unwrap(), DEFAULT_PAGE_ITEMS);
        assert_eq!(limit(Some(MAX_PAGE_ITEMS)).unwrap(), MAX_PAGE_ITEMS);
        assert!(limit(Some(0)).is_err() && limit(Some(MAX_PAGE_ITEMS + 1)).is_err());
        assert!(cursor(Some(&"x".repeat(MAX_CURSOR_BYTES + 1))).is_err());
        assert_eq!(numeric_cursor(Some("17")).unwrap(), Some(17));
        assert!(numeric_cursor(Some("x")).is_err());
    }
}
