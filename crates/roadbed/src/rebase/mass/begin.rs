//! How one of those begins whose turn it is, and where it goes when it cannot.

use anyhow::Result;
use oci::Digest;
use store::{Actor, ItemState, Placed, RebaseError, RebaseItem, RebaseOf, RoadEntries, Thawed};
use time::OffsetDateTime;
use web::RebasingError;

use super::{Mass, Meant, of_item, thawed, work};
use crate::judge::is_about_the_image;
use crate::rebase::{Order, Together};

impl Mass {
    /// Has one begin. Answers whether something came of it: it has begun, or it waits no more.
    pub(super) async fn begin(
        &self,
        item: &RebaseItem,
        road: &RoadEntries,
        now: OffsetDateTime,
    ) -> Result<bool> {
        let place = async |state: ItemState, why: &str| {
            self.store
                .place_rebase_item(item.id, state, &item.class, why)
                .await
        };
        // What its application wants may be another thing since it was planned, and its base may have lost its signer.
        let (state, why) = of_item(item, road, now).state_of(item);
        if state != ItemState::Waiting {
            place(state, &why).await?;
            return Ok(true);
        }
        let of = match self.plan_of(item).await? {
            Meant::Image(of) => *of,
            Meant::Waits => return Ok(false),
            Meant::Nothing(why) => {
                place(ItemState::LeftOut, &why).await?;
                return Ok(true);
            }
        };
        let begins = RebaseOf {
            item: item.id,
            thaw: self.thaw(item, road, now),
        };
        let order = Order {
            tag: item.of.tag.clone(),
            how: self.settings.how,
            expected: None,
            item: Some(Together {
                begins,
                release: item.of.new_release,
                approved: self.approved(item).await?,
            }),
        };
        let made = self.rebases.carry_out_here(of, order, Actor::system("rebase"));
        let Err(error) = made.await else {
            return Ok(true);
        };
        let Some(state) = state_after(item, &error) else {
            return Ok(false);
        };
        if let RebasingError::Refused(RebaseError::Put(refused)) = &error {
            return self.shut_out(item, road, &refused.to_string()).await;
        }
        // What stands against it now is planned anew: a plan says what it asks of its owner, and where it goes.
        let state = match error {
            RebasingError::Rebuild { .. } => ItemState::New,
            _ => state,
        };
        place(state, &error.to_string()).await?;
        Ok(true)
    }

    /// Its repository does not take what was made of it: its owner is asked to let it in.
    async fn shut_out(&self, item: &RebaseItem, road: &RoadEntries, why: &str) -> Result<bool> {
        let plan = match self.plan_of(item).await? {
            Meant::Image(of) => self.rebases.make(*of).await.ok(),
            Meant::Waits | Meant::Nothing(_) => None,
        };
        let Some(plan) = plan.map(|plan| plan.entry) else {
            // It is another thing by now: that is found out when it is planned anew.
            let class = &item.class;
            let placed = self.store.place_rebase_item(item.id, ItemState::New, class, why);
            placed.await?;
            return Ok(true);
        };
        let placed = Placed {
            state: ItemState::Impossible,
            class: item.class.clone(),
            reason: why.to_owned(),
            remains: work::remains_of(&plan),
            task: work::let_in(&plan, &item.of.new_release, road, why),
        };
        self.store.place_rebase_plan(item.id, placed).await?;
        Ok(true)
    }

    /// What is approved for the tag, where somebody let it go; `None`: nobody had to.
    async fn approved(&self, item: &RebaseItem) -> Result<Option<Vec<Digest>>> {
        if item.approved_by.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.store.approved_releases(&item.of).await?))
    }

    /// What overrides a freeze, where there is one.
    fn thaw(&self, item: &RebaseItem, road: &RoadEntries, now: OffsetDateTime) -> Option<Thawed> {
        let frozen_until = of_item(item, road, now).frozen_until?.to_string();
        let incident = thawed(&self.incidents, &self.settings, item, now)?;
        Some(Thawed {
            incident,
            frozen_until,
        })
    }
}

/// Where one goes that cannot begin. `None`: it stays where it is and is tried again.
pub(super) fn state_after(item: &RebaseItem, error: &RebasingError) -> Option<ItemState> {
    let state = state_of(error);
    let is_failure = match error {
        RebasingError::Failed(_) => true,
        RebasingError::Refused(refused) => refused.is_of_store(),
        _ => false,
    };
    if is_failure {
        let mut causes = anyhow::Chain::new(error).map(ToString::to_string);
        let told = causes.by_ref().collect::<Vec<_>>().join(": ");
        let is_tried_again = state.is_none();
        tracing::warn!(item = %item.id, error = told, is_tried_again, "a tag could not follow its base");
    }
    state
}

fn state_of(error: &RebasingError) -> Option<ItemState> {
    match error {
        RebasingError::Waits(_)
        | RebasingError::Refused(RebaseError::Stopped { .. } | RebaseError::Waiting(_)) => None,
        RebasingError::Refused(refused) if refused.is_of_store() => None,
        // A store that is away or busy says nothing about the image.
        RebasingError::Failed(_) if !is_about_the_image(error) => None,
        RebasingError::Failed(_)
        | RebasingError::Rebuild { .. }
        | RebasingError::Refused(RebaseError::Put(_)) => Some(ItemState::Impossible),
        RebasingError::Worse(_) => Some(ItemState::Failed),
        RebasingError::Unapproved(_) => Some(ItemState::Asking),
        _ => Some(ItemState::LeftOut),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};
    use store::StoreError;

    use super::*;
    use crate::rebase::failed;

    #[test]
    fn what_a_busy_store_keeps_from_being_planned_is_tried_again() {
        let busy = || anyhow::Error::from(StoreError::Busy);
        assert_eq!(state_of(&failed(busy())), None);
        assert_eq!(state_of(&failed(busy().context("it could not be read"))), None);
        assert_eq!(
            state_of(&RebasingError::Refused(StoreError::TaskLost.into())),
            None
        );
        let damaged = Err::<(), _>(anyhow!("layer 3 is torn")).context("it cannot be read");
        assert_eq!(
            state_of(&failed(damaged.unwrap_err())),
            Some(ItemState::Impossible)
        );
        assert_eq!(
            state_of(&RebasingError::Worse("more".to_owned())),
            Some(ItemState::Failed)
        );
        assert_eq!(state_of(&RebasingError::Current), Some(ItemState::LeftOut));
        let release = Digest::of(oci::Algorithm::Sha256, b"release");
        let unapproved = RebasingError::Unapproved(release);
        assert_eq!(state_of(&unapproved), Some(ItemState::Asking));
    }
}
