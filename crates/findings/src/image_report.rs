//! The overlay of the reports of an image's layers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::LayerReport;

/// The facts of one image: its layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReport {
    /// The reports, lowest layer first.
    pub layers: Vec<Arc<LayerReport>>,
}
