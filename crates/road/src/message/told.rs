//! What somebody was told, and whether something else is worth their attention.

use std::collections::{BTreeMap, BTreeSet};

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
    /// By application: how many are open, and what is to be done with them.
    parts: BTreeMap<String, (usize, BTreeSet<Remedy>)>,
}

impl Told {
    /// What a message says.
    pub fn of(message: &Message) -> Self {
        let open = message.parts.iter().filter(|part| part.open > 0);
        let parts = open.map(|part| {
            let remedies = part.actions.iter().map(|action| action.remedy.clone());
            (part.subject.clone(), (part.open, remedies.collect()))
        });
        Self {
            why: message.why,
            generation: message.generation,
            targets: message.targets.clone(),
            parts: parts.collect(),
        }
    }

    /// Whether people should hear of it, who know what was `before`. Whoever never heard of it need not hear that it is over.
    pub fn is_news(&self, before: Option<&Self>) -> bool {
        let Some(before) = before else {
            return self.why != Why::Done;
        };
        if self.why == Why::Done {
            return before.why != Why::Done;
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

fn is_more((open, remedies): &(usize, BTreeSet<Remedy>), before: Option<&(usize, BTreeSet<Remedy>)>) -> bool {
    before.is_none_or(|(were_open, were)| open > were_open || !remedies.is_subset(were))
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
}
