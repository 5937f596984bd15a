//! One page of a longer list.

/// A page of a list that is read by key: the last item of this page is where the next one continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as were asked for (and never more than the store's own cap).
    pub items: Vec<T>,
    /// Whether something follows the last item.
    pub more: bool,
}

impl<T> Page<T> {
    /// A page without items, after which nothing follows.
    pub fn empty() -> Self {
        Self {
            items: Vec::new(),
            more: false,
        }
    }

    /// Makes a page of up to `limit` items from a list that was read with one item too many.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize) -> Self {
        // Whoever asks for nothing is not told to go on from nowhere.
        let more = limit > 0 && items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}
