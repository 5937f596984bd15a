//! Files of rules.

use thiserror::Error;

use super::{
    allow::Allow,
    format::{KNOWN_REST, PackFile},
    rule::{Rule, RuleError},
};

/// The product's own rules.
const OWN: &[(&str, &str)] = &[
    ("keys.toml", include_str!("../../rules/secrets/keys.toml")),
    ("cloud.toml", include_str!("../../rules/secrets/cloud.toml")),
    ("forges.toml", include_str!("../../rules/secrets/forges.toml")),
    ("services.toml", include_str!("../../rules/secrets/services.toml")),
    ("settings.toml", include_str!("../../rules/secrets/settings.toml")),
];

/// The name of the product's own pack.
pub(super) const OWN_NAME: &str = "roadbed";

/// The rules of one file, or the product's own.
#[derive(Debug)]
pub struct Pack {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
    pub(super) allow: Vec<Allow>,
    notes: Vec<String>,
}

/// Why a file of rules cannot be used.
#[derive(Debug, Error)]
pub enum PackError {
    /// It is no TOML, or not of that form.
    #[error("{pack}: the file cannot be read")]
    Toml {
        /// The name of the pack.
        pack: String,
        /// Names the line.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A rule of it.
    #[error("{pack}: rule {rule}")]
    Rule {
        /// The name of the pack.
        pack: String,
        /// The id of the rule; `allowlist` for the lists that belong to none.
        rule: String,
        /// Why.
        #[source]
        source: RuleError,
    },
}

impl Pack {
    /// The product's own pack.
    ///
    /// # Errors
    /// None that the tests have not seen.
    pub fn own() -> Result<Self, PackError> {
        let mut own = Self::empty(OWN_NAME);
        for (_, text) in OWN {
            own.add(text)?;
        }
        Ok(own)
    }

    /// The texts of the product's own rules: whoever keeps what they found can tell whether they have changed.
    pub fn own_texts() -> impl Iterator<Item = &'static str> {
        OWN.iter().map(|(_, text)| *text)
    }

    /// Reads a file in gitleaks' form. Expressions are parsed; they are compiled when they are first needed.
    ///
    /// # Errors
    /// See [`PackError`]; a rule that cannot be read is named.
    pub fn parse(name: &str, text: &str) -> Result<Self, PackError> {
        let mut pack = Self::empty(name);
        pack.add(text)?;
        Ok(pack)
    }

    /// Compiles every expression, as whoever accepts a file of an operator's should.
    ///
    /// # Errors
    /// A rule is too large; it is named.
    pub fn verify(&self) -> Result<(), PackError> {
        for rule in &self.rules {
            rule.verify().map_err(|source| self.error(&rule.id, source))?;
        }
        for pattern in self.allow.iter().flat_map(Allow::patterns) {
            let verified = pattern.verify().map_err(RuleError::from);
            verified.map_err(|source| self.error("allowlist", source))?;
        }
        Ok(())
    }

    /// What the file says that means nothing here.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether it has no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rules: Vec::new(),
            allow: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn add(&mut self, text: &str) -> Result<(), PackError> {
        let file: PackFile = toml::from_str(text).map_err(|source| PackError::Toml {
            pack: self.name.clone(),
            source: Box::new(source),
        })?;
        for word in file.rest.keys() {
            if !KNOWN_REST.contains(&word.as_str()) {
                self.notes.push(format!("`{word}` is not known here"));
            }
        }
        for table in file.allowlist.into_iter().chain(file.allowlists) {
            let allow = Allow::of(table).map_err(RuleError::from);
            self.allow
                .push(allow.map_err(|source| self.error("allowlist", source))?);
        }
        for table in file.rules {
            if table.skip_report {
                self.notes
                    .push(format!("rule {} reports nothing by itself", table.id));
                continue;
            }
            let id = table.id.clone();
            let rule = Rule::of(table, &mut self.notes).map_err(|source| self.error(&id, source))?;
            self.rules.push(rule);
        }
        Ok(())
    }

    fn error(&self, rule: &str, source: RuleError) -> PackError {
        PackError::Rule {
            pack: self.name.clone(),
            rule: rule.to_owned(),
            source,
        }
    }
}
