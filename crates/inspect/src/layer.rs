//! The one pass over a layer.
