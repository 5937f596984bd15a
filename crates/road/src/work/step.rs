//! The step of a Dockerfile that a layer stems from, as far as an image tells. It is shown to people and decides nothing.

use policy::yaml::one_line;
use serde::Deserialize;

/// Longest step that is shown, in bytes.
const MAX_STEP_BYTES: usize = 300;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    history: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    empty_layer: bool,
}

/// The step that made a layer, counted from 0 at the bottom, of an image with so many layers. `None` where the history says nothing,
/// or cannot be that of the image.
pub fn step_of(config: &[u8], layers: usize, layer: usize) -> Option<String> {
    let config: Config = serde_json::from_slice(config).ok()?;
    let mut steps: Vec<Step> = config.history;
    steps.retain(|step| !step.empty_layer);
    if steps.len() != layers {
        return None;
    }
    let step = in_dockerfile(&steps.get(layer)?.created_by);
    (!step.is_empty()).then(|| one_line(&step, MAX_STEP_BYTES))
}

/// As it stands in the Dockerfile, without what builders put around it.
fn in_dockerfile(created_by: &str) -> String {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    if let Some(rest) = text.strip_prefix("/bin/sh -c #(nop)") {
        return rest.trim().to_owned();
    }
    let shell = "/bin/sh -c ";
    if let Some(rest) = text.strip_prefix(shell) {
        return format!("RUN {}", rest.trim());
    }
    match text
        .strip_prefix("RUN ")
        .and_then(|rest| rest.strip_prefix(shell))
    {
        Some(rest) => format!("RUN {}", rest.trim()),
        None => text.to_owned(),
    }
}
