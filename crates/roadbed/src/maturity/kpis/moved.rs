//! Which levels moved, and how much of what holds is proven by itself.

use std::sync::{Arc, PoisonError, RwLock};

use maturity::{
    assessment::Assessment,
    history::{Cause, Change, What},
    kpi::movement::{Change as Moved, Standing, Why, movement},
    model::{ProofKind, Weight},
    rule::State,
    scorecard::Scorecard,
    words::{Subject, SubjectKind, SubjectName},
};
use serde_json::{Value, to_value};
use store::Timestamp;
use time::{Duration, OffsetDateTime};

use super::Counted;

/// What ends within this time is about to.
const SOON: Duration = Duration::days(30);

/// Whether somebody sees an application.
pub(super) type Sees = Arc<dyn Fn(&SubjectName) -> bool + Send + Sync>;

impl Counted {
    /// Which levels moved in the last 90 days, of applications that somebody sees.
    ///
    /// # Errors
    /// A figure that is no JSON.
    pub(super) fn movement(&self, assessment: &RwLock<Assessment>, sees: &Sees) -> serde_json::Result<Value> {
        let assessment = assessment.read().unwrap_or_else(PoisonError::into_inner);
        let window = self.window();
        let changes: Vec<Moved> = assessment
            .history()
            .between(window.from, window.until)
            .filter(|change| is_seen(change.subject(), sees))
            .filter_map(moved)
            .collect();
        let standing = standing(&assessment, sees);
        drop(assessment);
        to_value(movement(
            &changes,
            &standing,
            &self.frame(),
            window,
            self.now + SOON,
        ))
    }
}

fn is_seen(subject: &Subject, sees: &Sees) -> bool {
    subject.kind == SubjectKind::App && sees(&subject.name)
}

fn moved(change: &Change) -> Option<Moved> {
    let What::Level {
        subject,
        topic,
        from,
        to,
        ..
    } = &change.what
    else {
        return None;
    };
    Some(Moved {
        at: change.at,
        app: subject.name.as_str().parse().ok()?,
        topic: topic.to_string(),
        from: from.unwrap_or(0),
        to: to.unwrap_or(0),
        why: match change.cause {
            Cause::Time => Why::AttestationExpired,
            _ => Why::Other,
        },
    })
}

fn standing(assessment: &Assessment, sees: &Sees) -> Standing {
    let apps = assessment.facts().apps().map(maturity::facts::Placement::subject);
    let cards = apps
        .filter(|app| is_seen(app, sees))
        .filter_map(|app| assessment.scorecard(&app));
    let mut standing = Standing {
        core_met: 0,
        core_met_automatically: 0,
        evidence_observed_at: Vec::new(),
        exemptions_until: Vec::new(),
    };
    for card in cards {
        add(&mut standing, &card);
    }
    let exemptions = assessment.facts().all_exemptions();
    let known = exemptions.filter(|exemption| is_seen(&exemption.subject, sees));
    let live = known.filter(|exemption| exemption.is_live(assessment.now()));
    standing.exemptions_until = live.map(|exemption| exemption.until).collect();
    standing
}

fn add(standing: &mut Standing, card: &Scorecard) {
    let results = card.topics.iter().flat_map(|topic| &topic.criteria);
    let met =
        results.filter(|result| result.weight == Weight::Core && result.state == State::Met && result.counts);
    for result in met {
        standing.core_met += 1;
        standing.core_met_automatically += u64::from(result.kind == ProofKind::Auto);
        let evidence = result.checks.iter().flat_map(|check| &check.evidence);
        standing
            .evidence_observed_at
            .extend(evidence.filter_map(|id| noted_at(id.as_str())));
    }
}

/// Evidence of the registry has the moment in its id at which it was noted.
fn noted_at(id: &str) -> Option<OffsetDateTime> {
    let (_, moment) = id.rsplit_once('|')?;
    Some(Timestamp(moment.parse().ok()?).to_utc())
}
