//! Writes down in the audit log what the file says: each break and each mending once, as soon as the database takes it.
//!
//! What was written down before is read from the log itself, so that a restart neither repeats nor loses anything.

use std::{path::Path, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use store::{Actor, Event, Store};

use super::{Break, FILE, LONGEST, read};

/// How often the file is compared with the log.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// Before a database that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What events carry as their cause.
const CAUSE: &str = "break-glass";

/// Keeps the audit log up with the file. Until its task is ended.
pub(crate) async fn follow(store: Store) {
    let file = store.data_dir().join(FILE);
    let mut told = None;
    loop {
        let wait = match compare(&store, &file, &mut told).await {
            Ok(()) => COMPARE_EVERY,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "what the file of the broken glass says is not in the audit log yet"
                );
                TRY_AGAIN
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// One comparison. `told` is what the log says is open; `None`: it was not read yet.
async fn compare(store: &Store, file: &Path, told: &mut Option<Vec<Break>>) -> Result<()> {
    let told = if let Some(told) = told {
        told
    } else {
        let since = store.now().minus(LONGEST);
        told.insert(open_by(&store.break_glass_notes(since).await?))
    };
    let now = store.now().micros();
    // What has come to its end is over without anybody's doing.
    told.retain(|open| open.until > now);
    let present = read(file)?;
    let mended = |open: &&Break| !present.contains(open);
    for open in told.clone().iter().filter(mended) {
        // Replaced by another break of the same pattern: that one says all.
        if !present.iter().any(|other| other.pulls == open.pulls) {
            note(store, open, "mended").await?;
        }
        told.retain(|other| other != open);
    }
    for open in &present {
        if open.until > now && !told.contains(open) {
            note(store, open, "broken").await?;
            told.push(open.clone());
        }
    }
    Ok(())
}

async fn note(store: &Store, open: &Break, state: &str) -> Result<()> {
    let body = json!({ "state": state, "break": open });
    let actor = Actor::operator(CAUSE);
    Ok(store.note_break_glass(&actor, open.pulls.as_str(), body).await?)
}

/// What is open by the log.
fn open_by(events: &[Event]) -> Vec<Break> {
    let mut open: Vec<Break> = Vec::new();
    for event in events {
        let Some(told) = break_of(&event.body) else {
            continue;
        };
        open.retain(|other| other.pulls != told.pulls);
        if event.body["state"] == "broken" {
            open.push(told);
        }
    }
    open
}

fn break_of(body: &Value) -> Option<Break> {
    serde_json::from_value(body.get("break")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{ManualClock, StoreConfig, Timestamp};

    use super::{
        super::{break_it, mend},
        *,
    };

    const START: i64 = 1_795_336_380_000_000;

    async fn told(store: &Store) -> Vec<(String, String)> {
        let notes = store.break_glass_notes(Timestamp(0)).await.unwrap();
        let told = notes.iter().map(|event| {
            let state = event.body["state"].as_str().unwrap().to_owned();
            (event.subject.clone(), state)
        });
        told.collect()
    }

    #[tokio::test]
    async fn each_break_and_mending_is_written_down_once_whatever_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(Timestamp(START)));
        let store = Store::open(StoreConfig::at(dir.path().join("data")), clock.clone())
            .await
            .unwrap();
        let file = store.data_dir().join(FILE);
        let open = |pulls: &str, seconds: i64| Break {
            pulls: pulls.parse().unwrap(),
            until: START + seconds * 1_000_000,
            reason: "the cluster is down".to_owned(),
            by: "ops".to_owned(),
            at: START,
        };
        break_it(store.data_dir(), open("team/*", 60)).unwrap();
        break_it(store.data_dir(), open("other/*", 60)).unwrap();
        let mut memory = None;
        for _ in 0..2 {
            compare(&store, &file, &mut memory).await.unwrap();
        }
        let both = ["team/*", "other/*"].map(|pulls| (pulls.to_owned(), "broken".to_owned()));
        assert_eq!(told(&store).await, both);

        mend(store.data_dir(), Some(&"team/*".parse().unwrap()), store.now()).unwrap();
        for mut memory in [None, None] {
            compare(&store, &file, &mut memory).await.unwrap();
        }
        let after = told(&store).await;
        assert_eq!(after[2..], [("team/*".to_owned(), "mended".to_owned())]);

        clock.advance(Duration::from_secs(61));
        mend(store.data_dir(), None, store.now()).unwrap();
        compare(&store, &file, &mut None).await.unwrap();
        assert_eq!(told(&store).await.len(), 3, "what had ended needs no mending");
        store.close().await.unwrap();
    }
}
