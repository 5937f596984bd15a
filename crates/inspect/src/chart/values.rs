//! Images in the values of a chart, in the shapes that charts have them.
//!
//! `image: registry/name:tag`; `image: { registry, repository, tag, digest }`, whatever the key is called where it has both a
//! repository and something else of an image; lists of the first below a key that ends with `images`.

use serde_json::{Map, Value};

use super::{Found, reference, yaml};

/// Keys that only a table about an image has beside `repository`.
const OF_IMAGES: [&str; 6] = ["tag", "digest", "registry", "pullPolicy", "sha", "pullSecrets"];

/// Reads values.
pub(super) fn read(path: &str, content: &[u8], app_version: Option<&str>, found: &mut Found) {
    let Ok(values) = yaml::<Value>(content) else {
        return found.unknown(path, "it cannot be read");
    };
    let registry = values.pointer("/global/imageRegistry").and_then(Value::as_str);
    let mut walk = Walk {
        path,
        app_version,
        registry: registry.filter(|registry| !registry.is_empty()),
        found,
    };
    walk.value("", &values);
}

struct Walk<'w> {
    path: &'w str,
    app_version: Option<&'w str>,
    /// That of all images of the chart.
    registry: Option<&'w str>,
    found: &'w mut Found,
}

impl Walk<'_> {
    // No deeper than the reader of the text lets it be.
    fn value(&mut self, place: &str, value: &Value) {
        match value {
            Value::Object(map) => self.map(place, map),
            Value::Array(list) => {
                for (number, item) in list.iter().enumerate() {
                    let here = format!("{place}[{number}]");
                    match item {
                        Value::String(text) if is_list_of_images(place) => self.text(&here, text, None),
                        item => self.value(&here, item),
                    }
                }
            }
            _ => {}
        }
    }

    fn map(&mut self, place: &str, map: &Map<String, Value>) {
        if is_image(place, map) {
            return self.image(place, map);
        }
        for (key, child) in map {
            let here = if place.is_empty() {
                key.clone()
            } else {
                format!("{place}.{key}")
            };
            match child {
                Value::String(text) if is_image_key(key) => {
                    let tag = map.get("imageTag").or_else(|| map.get("tag"));
                    let is_plain = key == "image";
                    // `heroImage: hero.png` is none.
                    if is_plain || reference::is_pinned(text) {
                        self.text(&here, text, tag.filter(|_| is_plain).and_then(text_of));
                    }
                }
                child => self.value(&here, child),
            }
        }
    }

    fn text(&mut self, place: &str, text: &str, tag: Option<String>) {
        if text.is_empty() {
            return;
        }
        match tag.filter(|tag| !tag.is_empty() && !reference::is_pinned(text)) {
            Some(tag) => self
                .found
                .image(self.path, place, &format!("{text}:{tag}"), false),
            None => self.found.image(self.path, place, text, false),
        }
    }

    fn image(&mut self, place: &str, map: &Map<String, Value>) {
        let get = |key: &str| map.get(key).and_then(text_of).filter(|text| !text.is_empty());
        let Some(repository) = get("repository") else {
            return;
        };
        let registry = self.registry.map(str::to_owned).or_else(|| get("registry"));
        let name = match registry {
            Some(registry) => format!("{}/{repository}", registry.trim_end_matches('/')),
            None => repository,
        };
        let digest = get("digest").or_else(|| get("sha"));
        let digest = digest.map(|digest| {
            if digest.contains(':') {
                digest
            } else {
                format!("sha256:{digest}")
            }
        });
        let tag = get("tag").map(|tag| tag.trim_start_matches(':').to_owned());
        match (tag, digest, self.app_version) {
            (_, Some(digest), _) => self
                .found
                .image(self.path, place, &format!("{name}@{digest}"), false),
            (Some(tag), None, _) => self
                .found
                .image(self.path, place, &format!("{name}:{tag}"), false),
            (None, None, _) if reference::is_pinned(&name) => {
                self.found.image(self.path, place, &name, false);
            }
            (None, None, Some(version)) => {
                self.found.image(
                    self.path,
                    place,
                    &format!("{name}:{}", version.replace('+', "_")),
                    true,
                );
            }
            (None, None, None) => {
                self.found.unknown(
                    self.path,
                    &format!("{place} has no tag, and the chart no appVersion"),
                );
            }
        }
    }
}

fn is_image(place: &str, map: &Map<String, Value>) -> bool {
    let last = place.rsplit('.').next().unwrap_or(place);
    map.get("repository").is_some_and(Value::is_string)
        && (is_image_key(last) || OF_IMAGES.iter().any(|key| map.contains_key(*key)))
        // Where source or charts come from.
        && !map.get("repository").and_then(Value::as_str).is_some_and(|text| text.contains("://"))
}

fn is_image_key(key: &str) -> bool {
    key.to_ascii_lowercase().ends_with("image")
}

fn is_list_of_images(place: &str) -> bool {
    place.to_ascii_lowercase().ends_with("images")
}

/// A tag may be written as a number.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
