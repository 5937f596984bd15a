//! Incidents for the API.

use std::sync::Arc;

use road::{incident::Incident, names::IncidentId};
use store::{Actor, Timestamp};
use web::{Following, IncidentChange, IncidentOpening, Incidents, IncidentsError, MayPull};

use super::{IncidentService, failed, moment};

impl Incidents for IncidentService {
    fn open(&self, actor: Actor, wanted: IncidentOpening) -> Following<'_, Arc<Incident>> {
        Box::pin(async move { self.open_one(&actor, wanted).await })
    }

    fn at(
        &self,
        id: IncidentId,
        as_of: Option<Timestamp>,
        may_pull: Option<MayPull>,
    ) -> Following<'_, Option<Arc<Incident>>> {
        Box::pin(async move { self.shown(&id, as_of, may_pull).await })
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
        may_pull: Option<MayPull>,
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
        let (Some(incident), Some(may_pull)) = (&found, may_pull) else {
            return Ok(found);
        };
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        let coverage = self.fleet.covered(&road, &may_pull, true);
        let incident = Incident::clone(incident);
        Ok(Some(Arc::new(incident.only(|repo| may_pull(repo), coverage))))
    }
}
