//! Where keywords lie in a file.
//!
//! One pass over all bytes for all rules. Up to [`PACKED_LIMIT`] keywords are searched for by vector instructions in a copy in
//! lower case, which was measured at two to four times the speed of an automaton; more of them by an automaton.

use aho_corasick::{AhoCorasick, AhoCorasickKind, Span, packed};

/// More keywords fill the buckets of the vector search so much that it is slower than the automaton.
const PACKED_LIMIT: usize = 64;
/// Bytes that are lowered at once: half of a first-level cache.
const BLOCK: usize = 16 << 10;

/// A keyword of a rule around an anchor.
#[derive(Debug)]
struct Use {
    rule: usize,
    keyword: Box<[u8]>,
    /// Where the anchor lies in the keyword.
    offset: usize,
}

/// Searches for anchors: the keywords that have no other keyword in them.
#[derive(Debug)]
pub(super) struct Prefilter {
    search: Search,
    uses: Vec<Vec<Use>>,
    longest: usize,
}

#[derive(Debug)]
enum Search {
    Nothing,
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Prefilter {
    /// For keywords in lower case, each with the rule that it belongs to.
    pub(super) fn new<'a>(keywords: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let mut keywords: Vec<_> = keywords.collect();
        keywords.sort_by_key(|(rule, keyword)| (keyword.len(), *keyword, *rule));
        let mut anchors: Vec<&str> = Vec::new();
        let mut uses: Vec<Vec<Use>> = Vec::new();
        for (rule, keyword) in keywords {
            let held = anchors.iter().enumerate();
            let mut held = held.filter_map(|(index, anchor)| Some((index, keyword.find(anchor)?)));
            let (index, offset) = held.next().unwrap_or((anchors.len(), 0));
            if index == anchors.len() {
                anchors.push(keyword);
                uses.push(Vec::new());
            }
            let keyword = keyword.as_bytes().into();
            uses[index].push(Use {
                rule,
                keyword,
                offset,
            });
        }
        Self {
            longest: anchors.iter().map(|anchor| anchor.len()).max().unwrap_or(0),
            search: Search::of(&anchors),
            uses,
        }
    }

    /// Calls back with each keyword: the rule and where it lies. `lower` is room to work in.
    pub(super) fn each(&self, bytes: &[u8], lower: &mut Vec<u8>, mut found: impl FnMut(usize, usize)) {
        let mut hit = |anchor: usize, at: usize| {
            for usage in &self.uses[anchor] {
                let Some(start) = at.checked_sub(usage.offset) else {
                    continue;
                };
                let there = bytes.get(start..start + usage.keyword.len());
                if there.is_some_and(|there| there.eq_ignore_ascii_case(&usage.keyword)) {
                    found(usage.rule, start);
                }
            }
        };
        match &self.search {
            Search::Nothing => {}
            Search::Automaton(automaton) => {
                for found in automaton.find_overlapping_iter(bytes) {
                    hit(found.pattern().as_usize(), found.start());
                }
            }
            Search::Packed(searcher) => self.each_packed(searcher, bytes, lower, hit),
        }
    }

    fn each_packed(
        &self,
        searcher: &packed::Searcher,
        bytes: &[u8],
        lower: &mut Vec<u8>,
        mut hit: impl FnMut(usize, usize),
    ) {
        for base in (0..bytes.len()).step_by(BLOCK) {
            let end = bytes.len().min(base + BLOCK + self.longest - 1);
            lower.clear();
            lower.extend_from_slice(&bytes[base..end]);
            lower.make_ascii_lowercase();
            let mut start = 0;
            // From the next byte on, not from the end of what was found: anchors may overlap.
            while let Some(found) = searcher.find_in(&lower[..], Span::from(start..lower.len())) {
                if found.start() >= BLOCK {
                    break;
                }
                hit(found.pattern().as_usize(), base + found.start());
                start = found.start() + 1;
            }
        }
    }
}

impl Search {
    fn of(anchors: &[&str]) -> Self {
        if anchors.is_empty() {
            return Self::Nothing;
        }
        if anchors.len() <= PACKED_LIMIT
            && let Some(searcher) = packed::Config::new().builder().extend(anchors).build()
        {
            return Self::Packed(searcher);
        }
        let mut builder = AhoCorasick::builder();
        builder
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA));
        let automaton = builder.build(anchors).or_else(|_| {
            // So many that a table of all states would not fit.
            builder.kind(None).build(anchors)
        });
        automaton.map_or(Self::Nothing, Self::Automaton)
    }
}

#[cfg(test)]
mod tests {
    use super::Prefilter;

    fn found(keywords: &[&str], text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let prefilter = Prefilter::new(keywords.iter().copied().enumerate());
        prefilter.each(text.as_bytes(), &mut Vec::new(), |rule, at| {
            found.push((rule, at));
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn keywords_within_and_across_each_other_are_all_found() {
        let keywords = ["token", "my_token", "kenya", "tok"];
        assert_eq!(found(&keywords, "My_TOKENya"), [(0, 3), (1, 0), (2, 5), (3, 3)]);
        assert_eq!(found(&keywords, "tok"), [(3, 0)]);
        assert_eq!(found(&keywords, ""), []);
    }

    #[test]
    fn few_and_many_keywords_find_the_same_at_every_offset_around_a_block() {
        let many: Vec<String> = (0..100).map(|index| format!("filler{index:03}")).collect();
        let mut keywords: Vec<&str> = vec!["needle", "needles"];
        for base in (16 << 10) - 10..(16 << 10) + 10 {
            let text = format!("{}needles.", " ".repeat(base));
            let few = found(&keywords, &text);
            assert_eq!(few, [(0, base), (1, base)]);
        }
        keywords.extend(many.iter().map(String::as_str));
        assert_eq!(found(&keywords, "a needles"), [(0, 2), (1, 2)]);
    }
}
