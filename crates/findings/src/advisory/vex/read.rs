//! Documents as they are read.

use std::collections::BTreeMap;

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{VexComponent, VexDocument, VexProduct, VexStatement, VexStatus};
use crate::advisory::{
    bounded::{Bounded, clip, is_plain, is_reference},
    error::{AdvisoryError, check_size},
    limits::{
        VEX_COMPONENTS, VEX_DOCUMENT_BYTES, VEX_ID_BYTES, VEX_PRODUCTS, VEX_STATEMENTS, VEX_TEXT_BYTES,
    },
};

const WHAT: &str = "OpenVEX document";
const CONTEXT: &str = "https://openvex.dev/ns";

#[derive(Deserialize)]
struct WireDocument {
    #[serde(rename = "@context")]
    context: String,
    #[serde(rename = "@id")]
    id: String,
    author: String,
    timestamp: String,
    last_updated: Option<String>,
    statements: Bounded<WireStatement, VEX_STATEMENTS>,
}

#[derive(Deserialize)]
struct WireStatement {
    vulnerability: WireVulnerability,
    timestamp: Option<String>,
    last_updated: Option<String>,
    #[serde(default)]
    products: Bounded<WireProduct, VEX_PRODUCTS>,
    #[serde(default)]
    subcomponents: Bounded<WireComponentOrId, VEX_PRODUCTS>,
    status: VexStatus,
    justification: Option<String>,
    impact_statement: Option<String>,
    action_statement: Option<String>,
    status_notes: Option<String>,
}

/// Before 0.2 it was a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireVulnerability {
    Name(String),
    Named {
        #[serde(rename = "@id")]
        id: Option<String>,
        name: Option<String>,
        #[serde(default)]
        aliases: Bounded<String, VEX_PRODUCTS>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireProduct {
    Id(String),
    Product {
        #[serde(flatten)]
        component: WireComponent,
        #[serde(default)]
        subcomponents: Bounded<WireComponentOrId, VEX_PRODUCTS>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireComponentOrId {
    Id(String),
    Component(WireComponent),
}

#[derive(Deserialize)]
struct WireComponent {
    #[serde(rename = "@id")]
    id: Option<String>,
    #[serde(default)]
    identifiers: BTreeMap<String, String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl VexDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// It is too large, no `OpenVEX`, or a statement breaks the specification.
    pub fn read(bytes: &[u8]) -> Result<Self, AdvisoryError> {
        check_size(WHAT, bytes, VEX_DOCUMENT_BYTES)?;
        let wire: WireDocument = serde_json::from_slice(bytes)
            .map_err(|source| AdvisoryError::Malformed { what: WHAT, source })?;
        let id = clip(&wire.id, VEX_TEXT_BYTES);
        let broken = |place: String, offence: &str| AdvisoryError::Broken {
            document: id.escape_default().to_string(),
            place,
            offence: offence.to_owned(),
        };
        if !wire.context.starts_with(CONTEXT) {
            return Err(broken("@context".to_owned(), "it is not OpenVEX's"));
        }
        let at = time(wire.last_updated.as_deref().unwrap_or(&wire.timestamp))
            .ok_or_else(|| broken("timestamp".to_owned(), "it is no time of RFC 3339"))?;
        let mut statements = Vec::with_capacity(wire.statements.0.len());
        let mut components = 0_usize;
        for (number, statement) in wire.statements.0.into_iter().enumerate() {
            components = components.saturating_add(statement.components());
            if components > VEX_COMPONENTS {
                let offence = format!("there are more than {VEX_COMPONENTS} products and parts");
                return Err(broken(format!("statements[{number}]"), &offence));
            }
            let read = statement
                .read(at)
                .map_err(|offence| broken(format!("statements[{number}]"), offence))?;
            statements.push(read);
        }
        Ok(Self {
            id,
            author: clip(&wire.author, VEX_TEXT_BYTES),
            at,
            statements,
        })
    }
}

impl WireStatement {
    /// How many products and parts it makes: each product gets the parts that stand beside all of them.
    fn components(&self) -> usize {
        let own = self.products.0.iter().map(|product| match product {
            WireProduct::Id(_) => 0,
            WireProduct::Product { subcomponents, .. } => subcomponents.0.len(),
        });
        let shared = self
            .products
            .0
            .len()
            .saturating_mul(self.subcomponents.0.len() + 1);
        own.sum::<usize>().saturating_add(shared)
    }

    fn read(self, document_at: OffsetDateTime) -> Result<VexStatement, &'static str> {
        let stated = self.last_updated.as_deref().or(self.timestamp.as_deref());
        let at = match stated {
            Some(text) => time(text).ok_or("its timestamp is no time of RFC 3339")?,
            None => document_at,
        };
        let vulnerability = self.vulnerability.ids();
        if vulnerability.is_empty() {
            return Err("it names no vulnerability");
        }
        let reason = self
            .impact_statement
            .or(self.action_statement)
            .or(self.status_notes);
        // OpenVEX 0.2, "Status Labels": not_affected needs a justification or an impact statement.
        if self.status == VexStatus::NotAffected && self.justification.is_none() && reason.is_none() {
            return Err("it is not affected but does not say why");
        }
        let shared: Vec<VexComponent> = self.subcomponents.0.into_iter().map(component).collect();
        let products: Vec<VexProduct> = self
            .products
            .0
            .into_iter()
            .map(|product| product.read(&shared))
            .collect();
        if !products.iter().all(has_plain_names) {
            return Err("an identifier of a product is too long, or has characters that are not seen");
        }
        Ok(VexStatement {
            vulnerability,
            products,
            status: self.status,
            justification: self
                .justification
                .as_deref()
                .map(|text| clip(text, VEX_TEXT_BYTES)),
            reason: reason.as_deref().map(|text| clip(text, VEX_TEXT_BYTES)),
            at,
        })
    }
}

impl WireVulnerability {
    fn ids(self) -> Vec<String> {
        let mut ids = match self {
            Self::Name(name) => vec![name],
            Self::Named { id, name, aliases } => name.into_iter().chain(id).chain(aliases.0).collect(),
        };
        ids.retain(|id| is_reference(id));
        ids
    }
}

impl WireProduct {
    /// Before 0.2 the parts stood beside the products.
    fn read(self, shared: &[VexComponent]) -> VexProduct {
        match self {
            Self::Id(id) => VexProduct {
                product: VexComponent {
                    ids: vec![id],
                    digests: Vec::new(),
                },
                subcomponents: shared.to_vec(),
            },
            Self::Product {
                component: product,
                subcomponents,
            } => {
                let own = subcomponents.0.into_iter().map(component);
                VexProduct {
                    product: product.read(),
                    subcomponents: own.chain(shared.iter().cloned()).collect(),
                }
            }
        }
    }
}

fn component(wire: WireComponentOrId) -> VexComponent {
    match wire {
        WireComponentOrId::Id(id) => VexComponent {
            ids: vec![id],
            digests: Vec::new(),
        },
        WireComponentOrId::Component(component) => component.read(),
    }
}

impl WireComponent {
    fn read(self) -> VexComponent {
        let mut ids: Vec<String> = self
            .id
            .into_iter()
            .chain(self.identifiers.into_values())
            .collect();
        ids.retain(|id| !id.is_empty());
        ids.dedup();
        let digest = |(algorithm, hex): (String, String)| match algorithm.as_str() {
            "sha-256" => Some(format!("sha256:{}", hex.to_ascii_lowercase())),
            "sha-512" => Some(format!("sha512:{}", hex.to_ascii_lowercase())),
            _ => None,
        };
        VexComponent {
            ids,
            digests: self.hashes.into_iter().filter_map(digest).collect(),
        }
    }
}

fn has_plain_names(product: &VexProduct) -> bool {
    let components = std::iter::once(&product.product).chain(&product.subcomponents);
    let names = components.flat_map(|component| component.ids.iter().chain(&component.digests));
    names
        .into_iter()
        .all(|name| name.len() <= VEX_ID_BYTES && is_plain(name))
}

fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
