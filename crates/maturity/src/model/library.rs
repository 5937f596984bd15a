//! Models and extensions by their ids.

use std::collections::BTreeMap;

use super::read::read_head;
use super::{CNCF_PLATFORM, CNMM, Model, ModelError, ModelErrors, Problem};
use crate::words::{Slug, did_you_mean, one_line};

/// Most documents of a library, and so the longest chain of extensions.
pub const MAX_DOCUMENTS: usize = 50;

#[derive(Debug, Clone)]
struct Entry {
    file: String,
    text: String,
    extends: Option<Slug>,
}

/// Documents that may extend each other.
#[derive(Debug, Clone, Default)]
pub struct Library {
    entries: BTreeMap<Slug, Entry>,
}

impl Library {
    /// The models that are shipped.
    pub fn shipped() -> Result<Self, ModelErrors> {
        let mut library = Self::default();
        library.add("cnmm-4.yaml", CNMM)?;
        library.add("cncf-platform-1.yaml", CNCF_PLATFORM)?;
        Ok(library)
    }

    /// Adds one document; whether it fits what it extends shows when its model is asked for.
    pub fn add(&mut self, file: &str, text: &str) -> Result<Slug, ModelErrors> {
        let Some((id, extends)) = read_head(text) else {
            // Tells all that is wrong with it.
            Model::parse(file, text)?;
            return Err(error(
                file,
                Problem::Written("the document needs `id`".to_owned()),
            ));
        };
        if self.entries.contains_key(&id) {
            let id = id.to_string();
            return Err(error(file, Problem::Twice { what: "model", id }));
        }
        if self.entries.len() >= MAX_DOCUMENTS {
            let reason = format!("there are more than {MAX_DOCUMENTS} models and extensions: remove one");
            return Err(error(file, Problem::Written(reason)));
        }
        let entry = Entry {
            file: one_line(file, 200),
            text: text.to_owned(),
            extends,
        };
        self.entries.insert(id.clone(), entry);
        Ok(id)
    }

    /// The ids of all documents.
    pub fn ids(&self) -> impl Iterator<Item = &Slug> {
        self.entries.keys()
    }

    /// A model with all that it extends.
    pub fn model(&self, id: &Slug) -> Result<Model, ModelErrors> {
        let mut chain: Vec<(&Slug, &Entry)> = Vec::new();
        let mut next = Some((id, ""));
        while let Some((wanted, file)) = next {
            let Some((id, entry)) = self.entries.get_key_value(wanted) else {
                let hint = did_you_mean(wanted.as_str(), self.ids().map(Slug::as_str));
                let id = wanted.to_string();
                return Err(error(
                    file,
                    Problem::NoSuch {
                        what: "model",
                        id,
                        hint,
                    },
                ));
            };
            if chain.iter().any(|(known, _)| *known == id) {
                let through = chain
                    .iter()
                    .map(|(id, _)| id.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                let (of, verb) = (id.to_string(), "extends");
                return Err(error(&entry.file, Problem::Cycle { of, verb, through }));
            }
            chain.push((id, entry));
            next = entry
                .extends
                .as_ref()
                .map(|extends| (extends, entry.file.as_str()));
        }
        let mut chain = chain.into_iter().rev();
        let Some((_, first)) = chain.next() else {
            return Err(error("", Problem::NotAModel));
        };
        let model = Model::parse(&first.file, &first.text)?;
        chain.try_fold(model, |model, (_, entry)| model.extend(&entry.file, &entry.text))
    }
}

fn error(file: &str, problem: Problem) -> ModelErrors {
    let file = one_line(file, 200);
    let first = ModelError {
        file,
        line: 1,
        problem,
    };
    ModelErrors {
        errors: vec![first],
        more: 0,
    }
}
