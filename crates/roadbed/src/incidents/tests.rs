//! Incidents over a real store, a real index and the real matcher, with a clock that a test moves.

mod conflict;
mod coverage;
mod dated;
mod fixtures;
mod group;
mod kit;
mod limits;
mod moves;
mod over;
mod relief;
mod replay;
