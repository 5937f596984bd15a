//! Questions about the fleet: what is handed on, what is not, and how many at a time.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;
use store::Timestamp;
use tokio::sync::Semaphore;
use web::{
    AffectedQuestion, Answering, Asking, AskingError,
    wire::{AffectedCounts, AffectedCoverage, AffectedReport},
};

use super::world::{Who, World};

/// Answers with what it was asked, once it may.
struct Oracle {
    may: Semaphore,
}

impl Oracle {
    fn with(answers: usize) -> Arc<Self> {
        Arc::new(Self {
            may: Semaphore::new(answers),
        })
    }
}

impl Asking for Oracle {
    fn affected(&self, question: AffectedQuestion) -> Answering<'_> {
        Box::pin(async move {
            self.may.acquire().await.unwrap().forget();
            match question.text.as_str() {
                "none" => return Err(AskingError::Malformed("it is no question".to_owned())),
                "unknown" => return Err(AskingError::Unknown("nobody knows it".to_owned())),
                "broken" => return Err(AskingError::Failed("a secret".into())),
                _ => {}
            }
            let names = ["team/app", "other/app"];
            let may = names.map(|name| (question.may_pull)(&name.parse().unwrap()));
            Ok(AffectedReport {
                headline: format!(
                    "{} {:?} {:?} {may:?}",
                    question.limit, question.after, question.as_of
                ),
                question: question.text,
                kind: "package".to_owned(),
                as_of: None,
                as_of_notes: Vec::new(),
                generation: None,
                vulnerability: None,
                counts: AffectedCounts::default(),
                coverage: AffectedCoverage::default(),
                owners: Vec::new(),
                more_owners: 0,
                items: Vec::new(),
                next: None,
            })
        })
    }

    fn is_expensive(&self, question: &str, as_of: Option<Timestamp>) -> bool {
        as_of.is_some() || question.starts_with("sha256:")
    }
}

#[tokio::test]
async fn a_question_is_handed_on_with_what_the_caller_may_pull() {
    let world = World::answered_by(Oracle::with(1_000)).await;
    let headline = async |who, target| {
        let answer = world.ask(who, "GET", target, None).await.expect(200).json();
        answer["headline"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        headline(Who::Puller, "/affected?q=log4j-core").await,
        "100 None None [true, false]"
    );
    assert_eq!(
        headline(Who::Nobody, "/affected?q=log4j-core").await,
        "100 None None [false, false]"
    );
    let page = "/affected?q=log4j-core&limit=7&after=team/app@x&as_of=2021-12-10T00:00:00Z";
    let told = headline(Who::Administrator, page).await;
    assert!(told.starts_with("7 Some(\"team/app@x\") Some("), "{told}");
    assert!(told.ends_with("[true, true]"), "{told}");
    for (target, status) in [
        ("/affected", 400),
        ("/affected?q=x&limit=1001", 400),
        ("/affected?q=x&limit=0", 400),
        ("/affected?q=x&as_of=tomorrow", 400),
        ("/affected?q=x&as_of=2200-01-01T00:00:00Z", 400),
        ("/affected?q=x&who=me", 400),
        ("/affected?q=none", 400),
        ("/affected?q=unknown", 404),
    ] {
        world.ask(Who::Puller, "GET", target, None).await.expect(status);
    }
    let broken = world
        .ask(Who::Puller, "GET", "/affected?q=broken", None)
        .await
        .expect(500);
    assert!(!broken.text().contains("a secret"));
}

#[tokio::test]
async fn nobody_asks_so_much_that_others_cannot() {
    let oracle = Oracle::with(0);
    let world = World::answered_by(oracle.clone()).await;
    // One caller may have four questions, and one that costs much.
    let ask = |who, target| world.ask(who, "GET", target, None);
    let plain = join_all((0..6).map(|_| ask(Who::Puller, "/affected?q=a")));
    let costly = join_all((0..3).map(|_| ask(Who::Pusher, "/affected?q=sha256:0")));
    let other = ask(Who::Owner, "/affected?q=a");
    let release = async {
        // Only once all others have come.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        oracle.may.add_permits(100);
    };
    let (plain, costly, other, ()) = tokio::join!(plain, costly, other, release);
    let refused = |answers: &[super::world::Answer]| {
        let too_many = |answer: &&super::world::Answer| answer.status == StatusCode::TOO_MANY_REQUESTS;
        answers.iter().filter(too_many).count()
    };
    assert_eq!(refused(&plain), 2);
    assert_eq!(refused(&costly), 2);
    assert!(
        plain
            .iter()
            .all(|answer| { answer.status == StatusCode::OK || answer.headers.contains_key("retry-after") })
    );
    other.expect(200);
    // What was taken was given back.
    ask(Who::Puller, "/affected?q=a").await.expect(200);
}
