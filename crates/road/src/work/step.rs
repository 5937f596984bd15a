//! The step of a Dockerfile that a layer stems from, as far as an image tells. It is shown to people and decides nothing.

use findings::without_arguments;
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

/// The steps that made the layers of an image, from the bottom.
pub struct Steps(Vec<Step>);

impl Steps {
    /// Of an image with so many layers. `None` where the history says nothing, or cannot be that of the image.
    pub fn of(config: &[u8], layers: usize) -> Option<Self> {
        let config: Config = serde_json::from_slice(config).ok()?;
        let mut steps: Vec<Step> = config.history;
        steps.retain(|step| !step.empty_layer);
        (steps.len() == layers).then_some(Self(steps))
    }

    /// The step that made a layer, counted from 0 at the bottom. `None` where the history does not say.
    pub fn step(&self, layer: usize) -> Option<String> {
        let step = in_dockerfile(&self.0.get(layer)?.created_by)?;
        (!step.is_empty()).then(|| one_line(&step, MAX_STEP_BYTES))
    }
}

/// In front of what a shell carries out.
const SHELL: &str = "/bin/sh -c ";

/// As it stands in the Dockerfile, without what builders put around it. `None` where it cannot be told from build arguments.
fn in_dockerfile(created_by: &str) -> Option<String> {
    let text = without_arguments(created_by)?;
    let text = text.strip_suffix("# buildkit").unwrap_or(&text).trim_end();
    if let Some(rest) = text.strip_prefix("/bin/sh -c #(nop)") {
        return Some(rest.trim().to_owned());
    }
    let run = text.strip_prefix("RUN ").unwrap_or(text).trim_start();
    Some(match run.strip_prefix(SHELL) {
        Some(step) => format!("RUN {}", step.trim()),
        None => text.to_owned(),
    })
}
