//! Whose is it, what does it stand on, and is it over yet.
//!
//! Facts come in as plain values and answers go out as plain values: applications with their owners, the approved bases, which
//! base each image stands on, the cohort that follows from it, incidents from opening to closure, and what must be told to
//! whom; which images have what. Nothing here is carried out: `store` keeps the values, the binary acts on them.
//!
//! The crate is pure: no I/O, no clock; `now` is an argument. The same arguments give the same answer.
//!
//! # What is here
//!
//! - [`application`]: whose repository it is, by which source's word.
//! - [`catalog`]: Backstage's `catalog-info.yaml` and our own `pavedroad.yaml`.
//! - [`base`], [`lineage`]: the approved bases, and which of them an image stands on.
//! - [`ends`]: who is warned of what ends. [`debt`]: what owners of bases promised. [`adoption`]: how the road is taken up.
//! - [`paving`]: the rest of the catalogue: [`golden_path`]s and toolchains, what applications say ([`app_road`]), [`exemption`]s.
//! - [`saved`]: what the road would have saved an application. [`work`]: what an image that cannot follow its base asks of its owner.
//! - [`cohort`]: paved, stale, exempt, own road, unknown.
//! - [`incident`]: a group of vulnerabilities, followed until it is closed.
//! - [`fleet`]: the index from packages to images, which answers "who has this?" in milliseconds, from facts that were stored before
//!   anybody knew that the question would be asked. [`question`] reads what people type, [`diff`] tells what one image has and another
//!   one has not, [`synthetic`] makes fleets for benchmarks.
//! - [`escape`]: text of strangers in every format that is written here.
//! - [`page`]: headings, paragraphs and tables, as Markdown, HTML and plain text.
//! - [`message`]: what each owner is told, and how every kind of receiver wants it written; [`sink`]: who those receivers are.
//!
//! # Hostile input
//!
//! Annotations come from whoever pushes, catalogue files from every team: both are read under limits that are named beside the
//! code that keeps them, and neither moves an image into somebody else's application. Names of strangers go through the
//! grammar of [`names`]; every encoder of [`message`] and of the reports escapes for its own format.
//!
//! Read first: `application.rs`, then `lineage.rs`, then `fleet.rs`, then `incident.rs`.

pub mod adoption;
pub mod app_road;
pub mod application;
pub mod base;
pub mod catalog;
pub mod cohort;
pub mod debt;
pub mod diff;
pub mod ends;
pub mod escape;
pub mod exemption;
pub mod fleet;
pub mod golden_path;
pub mod incident;
pub mod lineage;
pub mod mass;
pub mod message;
pub mod names;
pub mod page;
pub mod paving;
pub mod question;
pub mod rebase;
pub mod saved;
pub mod sink;
pub mod synthetic;
pub mod work;
