//! Documents are made here, by keys and authorities of the tests' own.

mod documents;
mod keyless;
mod keys;
mod signers;
mod world;
