//! Which model counts: the one that is shipped, until somebody applies another.

use anyhow::{Context as _, Result};
use maturity::{
    campaign::Campaign,
    model::{CNCF_PLATFORM, CNMM, Library, Model, ModelErrors},
    words::Slug,
};
use store::{MaturityModel, Timestamp};
use web::{MaturityError, ModelDocument};

/// What counts where nobody has applied anything.
const SHIPPED: &str = "cnmm";

/// Documents that are shipped.
const SHIPPED_DOCUMENTS: [(&str, &str); 2] = [("cnmm-4.yaml", CNMM), ("cncf-platform-1.yaml", CNCF_PLATFORM)];

/// Adds all documents: of those with one id the one that was sent last; what was sent counts in place of what is shipped.
fn fill(library: &mut Library, models: &[MaturityModel]) -> Result<()> {
    for model in models.iter().rev() {
        let documents: Vec<ModelDocument> = serde_json::from_str(&model.documents)
            .with_context(|| format!("the documents of model {} cannot be read", model.name))?;
        for document in documents.iter().rev() {
            // An older one of the same id.
            let _ = library.add(&document.file, &document.text);
        }
    }
    for (file, text) in SHIPPED_DOCUMENTS {
        let _ = library.add(file, text);
    }
    Ok(())
}

/// A model with documents in place of those of the same ids; without an id, that of the last of them.
pub(super) fn with(
    models: &[MaturityModel],
    documents: &[ModelDocument],
    id: Option<Slug>,
) -> Result<Model, MaturityError> {
    let (mut library, mut last) = (Library::default(), None);
    for document in documents {
        last = Some(library.add(&document.file, &document.text).map_err(unreadable)?);
    }
    fill(&mut library, models).map_err(|error| MaturityError::Failed(error.into()))?;
    let id = id.or(last);
    let id = id.ok_or_else(|| MaturityError::Malformed("name the model that is to count".to_owned()))?;
    library.model(&id).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped by")]
fn unreadable(errors: ModelErrors) -> MaturityError {
    let mut told: Vec<String> = errors.errors.iter().map(ToString::to_string).collect();
    if errors.more > 0 {
        told.push(format!("and {} more", errors.more));
    }
    MaturityError::Model(told)
}

/// When another model may count, if none is applied before; the end of time if never.
pub(super) fn next(models: &[MaturityModel], now: Timestamp) -> Timestamp {
    let to_come = models
        .iter()
        .map(|model| model.enable_from)
        .filter(|from| *from > now);
    to_come.min().unwrap_or(Timestamp(i64::MAX))
}

fn begun(models: &[MaturityModel], now: Timestamp) -> Option<&MaturityModel> {
    let begun = models.iter().filter(|model| model.enable_from <= now);
    begun.max_by_key(|model| (model.enable_from, model.id))
}

/// The model that counts at a moment: of those whose time has come, the one whose time came last, with the rules that campaigns become.
pub(super) fn due(models: &[MaturityModel], campaigns: &[Campaign], now: Timestamp) -> Result<Model> {
    let mut rules = campaigns.iter().filter_map(Campaign::obligation);
    rules.try_fold(begun_model(models, now)?, |model, rule| {
        let id = rule.id.clone();
        // Its criteria may be retired by now.
        Ok(model.oblige(rule).unwrap_or_else(|error| {
            tracing::warn!(%error, campaign = %id, "a campaign cannot become a rule");
            model
        }))
    })
}

fn begun_model(models: &[MaturityModel], now: Timestamp) -> Result<Model> {
    let (name, known) = match begun(models, now) {
        Some(model) => {
            let known = models.iter().filter(|other| other.id <= model.id);
            (model.name.as_str(), known.cloned().collect::<Vec<_>>())
        }
        None => (SHIPPED, Vec::new()),
    };
    let id: Slug = name.parse().context("the model that counts has no name")?;
    let mut library = Library::default();
    fill(&mut library, &known)?;
    library
        .model(&id)
        .with_context(|| format!("the model {name} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(id: i64, name: &str, documents: &str, enable_from: i64) -> MaturityModel {
        MaturityModel {
            id,
            name: name.to_owned(),
            documents: documents.to_owned(),
            author: "ann".to_owned(),
            reason: String::new(),
            enable_from: Timestamp(enable_from),
            at: Timestamp(0),
        }
    }

    #[test]
    fn the_model_whose_time_came_last_counts() {
        let models = [
            applied(1, "cncf-platform", "[]", 20),
            applied(2, "cnmm", "[]", 10),
        ];
        let at = |now| due(&models, &[], Timestamp(now)).unwrap().id().to_string();
        assert_eq!(at(5), SHIPPED);
        assert_eq!(at(15), "cnmm");
        assert_eq!(at(25), "cncf-platform");
        assert_eq!(next(&models, Timestamp(5)), Timestamp(10));
        assert_eq!(next(&models, Timestamp(20)), Timestamp(i64::MAX));
    }

    #[test]
    fn a_document_that_was_sent_counts_in_place_of_an_older_one() {
        let text = CNMM.replacen("version:", "# ours\nversion:", 1);
        let documents = serde_json::to_string(&[ModelDocument {
            file: "ours.yaml".to_owned(),
            text,
        }])
        .unwrap();
        let models = [applied(1, "cnmm", &documents, 0), applied(2, "cnmm", "[]", 0)];
        assert_eq!(due(&models, &[], Timestamp(1)).unwrap().id().as_str(), SHIPPED);
        let named = with(&models, &[], Some("cncf-platform".parse().unwrap())).unwrap();
        assert_eq!(named.id().as_str(), "cncf-platform");
        let broken = ModelDocument {
            file: "ours.yaml".to_owned(),
            text: "kind: [".to_owned(),
        };
        let refused = with(&models, &[broken], None).unwrap_err();
        assert!(matches!(refused, MaturityError::Model(_)), "{refused}");
        assert!(matches!(
            with(&models, &[], None),
            Err(MaturityError::Malformed(_))
        ));
    }
}
