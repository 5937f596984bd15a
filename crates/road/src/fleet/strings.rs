//! Texts, each held once.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::{NONE, dense};

/// Separates the parts of a list that is held as one text.
const SEPARATOR: char = '\0';

/// Texts by their number. None is ever taken out: what is loaded from a snapshot has only those that are used.
#[derive(Debug, Default)]
pub(super) struct Strings {
    text: String,
    /// Where each one ends.
    ends: Vec<u64>,
    table: HashTable<u32>,
    state: RandomState,
}

impl Strings {
    /// A text; the empty one for [`NONE`].
    pub(super) fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let Some(end) = self.ends.get(at) else { return "" };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let [start, end] = [start, *end].map(|place| usize::try_from(place).unwrap_or(usize::MAX));
        self.text.get(start..end).unwrap_or_default()
    }

    /// A text; `None` for [`NONE`].
    pub(super) fn some(&self, number: u32) -> Option<String> {
        (number != NONE).then(|| self.get(number).to_owned())
    }

    pub(super) fn find(&self, text: &str) -> Option<u32> {
        let hash = self.state.hash_one(text);
        self.table.find(hash, |number| self.get(*number) == text).copied()
    }

    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.find(text) {
            return number;
        }
        let number = dense(self.ends.len());
        self.text.push_str(text);
        self.ends.push(self.text.len() as u64);
        let Self {
            text: all,
            ends,
            table,
            state,
        } = self;
        let hash_of = |number: &u32| {
            let at = *number as usize;
            let start = at.checked_sub(1).map_or(0, |before| ends[before]);
            let [start, end] = [start, ends[at]].map(|place| usize::try_from(place).unwrap_or(usize::MAX));
            state.hash_one(&all[start..end])
        };
        table.insert_unique(state.hash_one(text), number, hash_of);
        number
    }

    /// [`NONE`] for none.
    pub(super) fn intern_some(&mut self, text: Option<&str>) -> u32 {
        text.map_or(NONE, |text| self.intern(text))
    }

    /// A list as one text; [`NONE`] for none.
    pub(super) fn intern_list(&mut self, list: &[String]) -> u32 {
        if list.is_empty() {
            return NONE;
        }
        self.intern(&join(list))
    }

    pub(super) fn list(&self, number: u32) -> Vec<String> {
        if number == NONE {
            return Vec::new();
        }
        self.get(number).split(SEPARATOR).map(unescape).collect()
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 8 + self.table.capacity() * 5
    }
}

/// Names inside of archives are a stranger's: they may hold the separator.
fn join(list: &[String]) -> String {
    let escaped = |part: &String| part.replace('\\', "\\\\").replace(SEPARATOR, "\\0");
    list.iter().map(escaped).collect::<Vec<_>>().join("\0")
}

fn unescape(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    let mut letters = part.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.push(match letters.next() {
                Some('0') => SEPARATOR,
                Some(other) => other,
                None => '\\',
            }),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number() {
        let mut strings = Strings::default();
        let numbers = ["a", "", "b", "a", ""].map(|text| strings.intern(text));
        assert_eq!(numbers, [0, 1, 2, 0, 1]);
        assert_eq!((strings.get(2), strings.get(1), strings.get(NONE)), ("b", "", ""));
        assert_eq!((strings.find("b"), strings.find("c")), (Some(2), None));
    }

    #[test]
    fn lists_come_back_whatever_is_in_them() {
        let mut strings = Strings::default();
        let list = ["a\0b", "\\0", "\\", "", "war!jar"].map(str::to_owned);
        let number = strings.intern_list(&list);
        assert_eq!(strings.list(number), list);
        assert_eq!(strings.intern_list(&[]), NONE);
        assert!(strings.list(NONE).is_empty());
    }
}
