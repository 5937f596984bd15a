//! Figures as evidence: for how long they are known, and how many versions are shipped now against the baseline.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use maturity::{
    kpi::fold::{Baseline, Fold},
    signal::Fact,
    words::{EventId, Subject, SubjectKind},
};
use store::LogLine;
use tokio::sync::Mutex;

use super::ground::{Ground, app_named};
use super::notes::Notes;
use crate::maturity::{
    collector::{Asked, Collected, Collector},
    kpis::{self, Counted},
};

/// Tells of figures, at night alone: they are about weeks.
pub(super) struct Figures {
    ground: Arc<Ground>,
    /// As they were for the last line that was asked about.
    read: Mutex<Option<(EventId, Arc<Read>)>>,
}

struct Read {
    counted: Counted,
    baseline: Option<Baseline>,
}

impl Figures {
    pub(super) fn of(ground: Arc<Ground>) -> Self {
        Self {
            ground,
            read: Mutex::default(),
        }
    }

    async fn read(&self, asked: Asked) -> Result<Arc<Read>> {
        let mut kept = self.read.lock().await;
        if let Some((event, read)) = kept.as_ref()
            && *event == asked.event
        {
            return Ok(Arc::clone(read));
        }
        // What was read for another line takes much memory.
        *kept = None;
        let places = self.ground.places(asked).await?;
        let read = kpis::Read::of(&self.ground, &places, asked.at).await?;
        // It computes; a thread that serves connections must not.
        let counted = tokio::task::spawn_blocking(move || Counted::of(&read, asked.at, &|_| true));
        let read = Arc::new(Read {
            counted: counted.await.context("the figures were lost")?,
            baseline: kpis::baseline(&self.ground.store).await?,
        });
        *kept = Some((asked.event, Arc::clone(&read)));
        Ok(read)
    }
}

impl Collector for Figures {
    fn name(&self) -> &'static str {
        "figures"
    }

    fn of_event<'a>(&'a self, _: Asked, _: &'a LogLine) -> Collected<'a> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            let mut notes = Notes::about(asked, subject.clone());
            match (subject.kind, app_named(subject)) {
                (SubjectKind::App, Some(app)) => {
                    let (read, Some(app)) = (self.read(asked).await?, kpis::named(&app)) else {
                        return Ok(Vec::new());
                    };
                    let weeks = read.counted.weeks(&app);
                    let baseline = read.baseline.as_ref();
                    let is_in = baseline.is_some_and(|baseline| baseline.apps.contains_key(&app));
                    let fold = read.counted.fold_of(&app, baseline);
                    let mut page = notes.states(&self.ground.store).await?;
                    page.flag(Fact::KpiBaseline, is_in);
                    if let Some(weeks) = weeks {
                        page.number(Fact::KpiWeeks, weeks);
                    }
                    if let Some(percent) = fold.and_then(|fold| fold.value().and_then(percent)) {
                        page.number(Fact::VelocityFold, percent);
                    }
                }
                (SubjectKind::Org, _) => {
                    let read = self.read(asked).await?;
                    let fold = read.counted.fold(read.baseline.as_ref());
                    let fold = fold.and_then(|fold| percent(&fold.value()?.fold));
                    if let Some(percent) = fold {
                        let mut page = notes.states(&self.ground.store).await?;
                        page.number(Fact::OrgVelocityFold, percent);
                    }
                }
                _ => {}
            }
            Ok(notes.into_entries())
        })
    }
}

/// 100 is as many as then; rounded down. From none is no number.
fn percent(fold: &Fold) -> Option<i64> {
    let Fold::Times { fold } = fold else { return None };
    // Nobody is ten thousand times as fast, and no number is lost below that.
    let percent = (fold * 100.0).floor().clamp(0.0, 1_000_000.0);
    format!("{percent:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_told_in_percent_and_rounded_down() {
        let of = |fold| percent(&Fold::Times { fold });
        assert_eq!((of(1.0), of(1.999), of(0.0)), (Some(100), Some(199), Some(0)));
        assert_eq!(percent(&Fold::FromNone), None);
    }
}
