//! The reasons of decisions: each text is what its digest says, and each that a decision names is there.

use oci::{Algorithm, Digest};

use super::images::Needed;
use super::{Check, Damage, DamageKind};
use crate::db::sql;
use crate::decision::text::{self, DamagedText, PackedRow};
use crate::{Store, StoreError};

/// Texts read at a time, of some kilobytes each. None is unpacked as a whole.
const TEXTS_PER_PAGE: i64 = 50;

impl Check {
    pub(super) async fn reasons(&mut self) -> Result<(), StoreError> {
        // First: what is damaged and taken away is missing too.
        self.missing_texts().await?;
        let mut after = String::new();
        while !self.is_cancelled() {
            let sql = "SELECT said, packed FROM decision_text WHERE said > $1 ORDER BY said LIMIT $2";
            let values = [after.as_str().into(), TEXTS_PER_PAGE.into()];
            let page: Vec<PackedRow> = sql::all(self.store.inner.db.read(), sql, values).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.said);
            let count = page.len() as u64;
            let check = move || {
                page.iter()
                    .filter_map(PackedRow::check)
                    .collect::<Vec<DamagedText>>()
            };
            let damaged = tokio::task::spawn_blocking(check).await;
            for text in damaged.map_err(|_| StoreError::TaskLost)? {
                self.damaged_text(text).await?;
            }
            self.report.progress.reasons += count;
            (self.progress)(self.report.progress);
        }
        Ok(())
    }

    async fn damaged_text(&mut self, damaged: DamagedText) -> Result<(), StoreError> {
        let mut damage = of_text(DamageKind::ReasonsCorrupt, &damaged.said);
        let is_needed = name_images(&self.store, &mut damage, &damaged.said).await?;
        let is_there = if self.options.quarantine {
            let taken = self
                .store
                .write(move |tx| Box::pin(async move { text::take_away(tx, &damaged).await }));
            damage.quarantined = taken.await?;
            damage.quarantined
        } else {
            true
        };
        // Whoever decided anew meanwhile wrote another one, or took it away.
        if is_there && is_needed {
            self.damage(damage);
        }
        Ok(())
    }

    /// What decisions name and what is not there. One statement, so that what is decided anew meanwhile is not called damaged.
    async fn missing_texts(&mut self) -> Result<(), StoreError> {
        let mut after = String::new();
        while !self.is_cancelled() {
            let sql = "SELECT DISTINCT d.said AS text FROM decision d WHERE d.said > $1 AND d.body = '' \
                       AND NOT EXISTS (SELECT 1 FROM decision_text t WHERE t.said = d.said) ORDER BY d.said LIMIT $2";
            let values = [after.as_str().into(), TEXTS_PER_PAGE.into()];
            let page: Vec<sql::Text> = sql::all(self.store.inner.db.read(), sql, values).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.text);
            for row in page {
                let said = row.text;
                let mut damage = of_text(DamageKind::ReasonsMissing, &said);
                name_images(&self.store, &mut damage, &said).await?;
                if self.options.quarantine {
                    let asked = self.store.write(move |tx| {
                        Box::pin(async move { text::judge_again(tx, &said, "missing").await })
                    });
                    damage.quarantined = asked.await? > 0;
                }
                self.damage(damage);
            }
        }
        Ok(())
    }
}

/// Names the images whose decisions name a text. Answers whether there are any.
async fn name_images(store: &Store, damage: &mut Damage, said: &str) -> Result<bool, StoreError> {
    let images = store.images_that_need(Needed::Reasons(said.to_owned())).await?;
    damage.needed_by = images.names;
    damage.needed_by_more = images.more;
    Ok(!damage.needed_by.is_empty())
}

fn of_text(kind: DamageKind, said: &str) -> Damage {
    Damage {
        digest: format!("{}:{said}", Algorithm::Sha256).parse::<Digest>().ok(),
        ..Damage::of(kind)
    }
}
