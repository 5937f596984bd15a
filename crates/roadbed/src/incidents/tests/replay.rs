//! December 2021, played with the facts of each moment: the store, the matcher, the index and what follows it are the real ones, only
//! the clock is not. `just replay-log4j` prints each step; what needs pods, a cluster or a rebase by the registry is named as pending.

use std::io::Write as _;

use time::{OffsetDateTime, macros::datetime};

use super::{
    dated,
    fixtures::core,
    kit::{Kit, operator, prod},
};

mod fleet;
mod later;
mod maturity;
mod steps;

const ID: &str = "log4shell";
const FIRST: &str = "CVE-2021-44228";
const SECOND: &str = "CVE-2021-45046";
const THIRD: &str = "CVE-2021-45105";
const FOURTH: &str = "CVE-2021-44832";

const STEP_2: OffsetDateTime = datetime!(2021-12-10 0:41 UTC);
const STEP_3: OffsetDateTime = datetime!(2021-12-10 0:45 UTC);
const STEP_4: OffsetDateTime = datetime!(2021-12-10 1:05 UTC);
const STEP_6: OffsetDateTime = datetime!(2021-12-14 18:01 UTC);
const STEP_7: OffsetDateTime = datetime!(2021-12-18 18:00 UTC);
const STEP_8: OffsetDateTime = datetime!(2021-12-28 18:26 UTC);
const STEP_9: OffsetDateTime = datetime!(2022-02-01 9:00 UTC);

/// Of a directive that said so.
const BY: OffsetDateTime = datetime!(2021-12-23 22:00 UTC);

/// Rows and steps that are not played, and what they need.
const PENDING: [&str; 8] = [
    "O8 needs pods: LOG4J_FORMAT_MSG_NO_LOOKUPS is set where it runs; in step 6 a mitigation by somebody's word stands in for it",
    "O12 needs a cluster: a digest that runs and is not in the registry",
    "O13 needs a cluster: a suspended job that runs once a month",
    "O14 needs a cluster: a rollback of what runs; a tag that is put back stands in for it in other tests",
    "step 3: signing the snapshot is not there yet",
    "step 4 needs rebase plans and rings: images rebuilt by hand stand in for it",
    "step 5 needs merge requests and admission of a cluster",
    "step 10: exposure of what ran is not there yet, and the criteria of a wave of rebases (TE-CON-3, X-PAV-4) need rebases",
];

/// The day, as far as it was played.
struct Day {
    kit: Kit,
}

fn say(line: &str) {
    // Nobody reads it: nothing is lost.
    let _ = writeln!(std::io::stdout(), "replay-log4j: {line}");
}

impl Day {
    /// Goes on to a moment and imports what was said then, if anything was.
    async fn go_to(&self, at: OffsetDateTime) {
        self.kit.go_to(at);
        if dated::all().iter().any(|dated| dated.at == at) {
            self.kit.import(&dated::said_at(at)).await;
        }
        self.kit.look().await;
    }

    /// States of the tag `prod` of these rows.
    async fn expect(&self, when: &str, wanted: &[(&str, &str)]) {
        for (row, wanted) in wanted {
            let state = self.kit.state(ID, &repository(row)).await;
            assert_eq!(state, *wanted, "{when}: {row}");
        }
        let told: Vec<String> = wanted
            .iter()
            .map(|(row, state)| format!("{row} {state}"))
            .collect();
        say(&format!("{when}: {}", told.join(", ")));
    }

    /// Versions that each generation aims at.
    async fn targets(&self) -> Vec<String> {
        let incident = self.kit.incident(ID).await;
        let generations = incident.generations().iter();
        generations
            .map(|generation| generation.targets.join(" "))
            .collect()
    }

    async fn add(&self, vulnerability: &str) {
        let change = web::IncidentChange::Add(vec![vulnerability.parse().unwrap()]);
        let (actor, id) = (operator(), ID.parse().unwrap());
        self.kit.incidents.change_one(&actor, &id, change).await.unwrap();
    }

    /// Pushes an image of one's own layers with another version.
    async fn update(&self, rows: &[&str], version: &str) {
        for row in rows {
            self.kit
                .push(&repository(row), "prod", &fleet::on_own(row, &[core(version)]))
                .await;
        }
        self.kit.look().await;
    }

    /// Has the base of Java released with a version, and images rebuilt on it.
    async fn release(&self, tag: &str, version: &str, rows: &[&str]) {
        self.kit.push("base/java", tag, &fleet::java_base(version)).await;
        self.kit.look().await;
        for row in rows {
            self.kit
                .push(&repository(row), "prod", &fleet::on_java(version, row, &[]))
                .await;
        }
        self.kit.look().await;
    }
}

/// `P1` lies in `shop/p1`.
fn repository(row: &str) -> String {
    format!("shop/{}", row.to_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_log4j() {
    let day = Day {
        kit: Kit::at(datetime!(2021-12-09 12:00 UTC)).await,
    };
    say("step 1: catalogue, bases, images and what is in them, before anything is known");
    fleet::push(&day.kit).await;
    steps::drill(&day).await;
    let watch = maturity::Watch::begin(&day).await;
    steps::import(&day).await;
    steps::open(&day).await;
    steps::rebuild(&day).await;
    steps::superseded(&day).await;
    later::denial_of_service(&day).await;
    later::older_lines(&day).await;
    later::fix_without_advisory(&day).await;
    later::close(&day).await;
    later::push_on_old_base(&day).await;
    later::report(&day).await;
    watch.end(&day).await;
    for pending in PENDING {
        say(&format!("pending: {pending}"));
    }
}
