//! Incidents for the API.

use std::sync::Arc;

use anyhow::Context as _;
use road::{incident::Incident, names::IncidentId};
use store::{Actor, Timestamp};
use web::{Following, IncidentChange, IncidentOpening, Incidents, IncidentsError, MayPull, Sight};

use super::{IncidentService, failed, moment};

impl Incidents for IncidentService {
    fn open(&self, actor: Actor, wanted: IncidentOpening) -> Following<'_, Arc<Incident>> {
        Box::pin(async move { self.open_one(&actor, wanted).await })
    }

    fn at(
        &self,
        id: IncidentId,
        as_of: Option<Timestamp>,
        sight: Option<Sight>,
    ) -> Following<'_, Option<Arc<Incident>>> {
        Box::pin(async move { self.shown(&id, as_of, sight).await })
    }

    fn sight(&self, may_pull: MayPull) -> Following<'_, Sight> {
        Box::pin(async move { self.sight_of(may_pull).await })
    }

    fn change(&self, actor: Actor, id: IncidentId, change: IncidentChange) -> Following<'_, Arc<Incident>> {
        Box::pin(async move { self.change_one(&actor, &id, change).await })
    }
}

impl IncidentService {
    async fn shown(
        &self,
        id: &IncidentId,
        as_of: Option<Timestamp>,
        sight: Option<Sight>,
    ) -> Result<Option<Arc<Incident>>, IncidentsError> {
        let found = match as_of {
            None => {
                let kept = self.current(id).await.map_err(failed)?;
                kept.map(|kept| kept.incident)
            }
            Some(at) => {
                let _reading = self.reading.lock().await;
                let then = self.replay(id, Some(moment(at))).await.map_err(failed)?;
                then.map(|(incident, _)| Arc::new(incident))
            }
        };
        let (Some(incident), Some(sight)) = (&found, sight) else {
            return Ok(found);
        };
        let incident = Arc::clone(incident);
        // It goes through all lines; a thread that serves connections must not.
        let only = tokio::task::spawn_blocking(move || {
            let incident = Incident::clone(&incident);
            Arc::new(incident.only(|repo| (sight.may_pull)(repo), sight.coverage))
        });
        let only = only.await.context("an incident was lost on its way");
        only.map(Some).map_err(failed)
    }

    pub(super) async fn sight_of(&self, may_pull: MayPull) -> Result<Sight, IncidentsError> {
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        let fleet = Arc::clone(&self.fleet);
        let computed = tokio::task::spawn_blocking(move || {
            let coverage = fleet.covered(&road, &may_pull, true);
            Sight { may_pull, coverage }
        });
        computed.await.context("the coverage was lost").map_err(failed)
    }
}
