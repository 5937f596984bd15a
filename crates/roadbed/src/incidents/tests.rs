//! Incidents over a real store, index and matcher.
