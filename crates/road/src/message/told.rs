//! What somebody was told, and whether something else is worth their attention.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

use super::{Message, Why};
use crate::incident::Remedy;

/// How things stood when it was last looked what to tell somebody. People are told again when there is more to do, something else,
/// or sooner; and once when nothing is left. That less is left than before is no reason to disturb anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    why: Why,
    generation: u16,
    targets: Vec<String>,
    /// Something is asked for anew by a newer release, or no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    superseded: bool,
    /// By application: how many are open, and what is to be done with them, if all of that is known.
    parts: BTreeMap<String, (usize, BTreeSet<Known>)>,
}

/// What tells a remedy from others. Whole ones were kept once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Kept")]
struct Known(Digest);

#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Known(Digest),
    Whole(Remedy),
}

impl From<Kept> for Known {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Known(digest) => Self(digest),
            Kept::Whole(remedy) => Self::of(&remedy),
        }
    }
}

impl Known {
    fn of(remedy: &Remedy) -> Self {
        let bytes = serde_json::to_vec(remedy).unwrap_or_default();
        Self(Digest::of(Algorithm::Sha256, &bytes))
    }
}

impl Told {
    /// What a message says.
    pub fn of(message: &Message) -> Self {
        let open = message.parts.iter().filter(|part| part.open > 0);
        let parts = open.map(|part| {
            // Of more than are named it is only known how many there are.
            let named = if part.more_actions > 0 {
                &[]
            } else {
                &part.actions[..]
            };
            let remedies = named.iter().map(|action| Known::of(&action.remedy));
            (part.subject.clone(), (part.open, remedies.collect()))
        });
        Self {
            why: message.why,
            generation: message.generation,
            targets: message.targets.clone(),
            superseded: message.parts.iter().any(|part| part.superseded > 0),
            parts: parts.collect(),
        }
    }

    /// Whether people should hear of it, who know what was `before`. Whoever never heard of it need not hear that it is over, and nobody
    /// that it is over only because a newer release asks for the same.
    pub fn is_news(&self, before: Option<&Self>) -> bool {
        let Some(before) = before else {
            return self.why != Why::Done;
        };
        if self.why == Why::Done {
            return before.why != Why::Done && !self.superseded;
        }
        self.why > before.why
            || self.generation > before.generation
            || self.targets != before.targets
            || self
                .parts
                .iter()
                .any(|(subject, part)| is_more(part, before.parts.get(subject)))
    }
}

fn is_more((open, remedies): &(usize, BTreeSet<Known>), before: Option<&(usize, BTreeSet<Known>)>) -> bool {
    before.is_none_or(|(were_open, were)| open > were_open || !(were.is_empty() || remedies.is_subset(were)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::tests::T0;

    fn message() -> Message {
        super::super::tests::all(T0).remove(2)
    }

    fn is_news(before: &Message, change: impl FnOnce(&mut Message)) -> bool {
        let mut after = before.clone();
        change(&mut after);
        Told::of(&after).is_news(Some(&Told::of(before)))
    }

    #[test]
    fn more_to_do_or_sooner_is_news() {
        let before = message();
        assert!(Told::of(&before).is_news(None));
        assert!(!is_news(&before, |message| message.as_of = T0 + time::Duration::DAY));
        assert!(is_news(&before, |message| message.why = Why::DueSoon));
        assert!(is_news(&before, |message| message.why = Why::Done));
        assert!(is_news(&before, |message| message.generation = 2));
        assert!(is_news(&before, |message| message.targets = vec!["2.16.0".into()]));
        assert!(is_news(&before, |message| message.parts[0].open += 1));
        let fix = Remedy::TakeBase {
            base: "java17".parse().unwrap(),
            release: "17.0.10".into(),
        };
        assert!(is_news(&before, |message| message.parts[0].actions[0].remedy = fix));
        assert!(is_news(&before, |message| message.parts[0].subject = "other".into()));
    }

    #[test]
    fn less_to_do_is_none() {
        let mut before = message();
        before.why = Why::Overdue;
        before.parts[0].open = 2;
        assert!(!is_news(&before, |message| message.parts[0].open = 1));
        assert!(!is_news(&before, |message| message.parts[0].open = 0));
        assert!(!is_news(&before, |message| message.why = Why::DueSoon));
        let mut done = before.clone();
        done.why = Why::Done;
        assert!(!Told::of(&done).is_news(None));
        assert!(!is_news(&done, |_| {}));
        assert!(is_news(&done, |message| message.why = Why::Affected));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let told = Told::of(&message());
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
    }

    #[test]
    fn whole_remedies_that_were_kept_once_are_known() {
        let message = message();
        let told = Told::of(&message);
        let mut kept = serde_json::to_value(&told).unwrap();
        for part in &message.parts {
            if let Some(known) = kept["parts"].get_mut(&part.subject) {
                let remedies = part.actions.iter().map(|action| &action.remedy);
                known[1] = serde_json::to_value(remedies.collect::<Vec<_>>()).unwrap();
            }
        }
        assert_eq!(serde_json::from_value::<Told>(kept).unwrap(), told);
    }

    #[test]
    fn of_more_than_are_named_only_the_number_counts() {
        let mut before = message();
        before.parts[0].more_actions = 1;
        assert!(!is_news(&before, |message| message.parts[0].actions.truncate(0)));
        assert!(!is_news(&before, |message| message.parts[0].more_actions = 0));
        assert!(is_news(&before, |message| message.parts[0].open += 1));
    }

    #[test]
    fn what_a_newer_release_asks_for_anew_is_none() {
        let over = |message: &mut Message| {
            message.why = Why::Done;
            message.parts[0].open = 0;
        };
        assert!(is_news(&message(), over));
        assert!(!is_news(&message(), |message| {
            over(message);
            message.parts[0].superseded = 1;
        }));
    }
}
