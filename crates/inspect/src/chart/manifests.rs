//! Images in manifests of a chart that need no rendering.

use serde_json::Value;

use super::{Found, yaml};

/// Reads the documents of a file.
pub(super) fn read(path: &str, content: &[u8], found: &mut Found) {
    let Ok(text) = std::str::from_utf8(content) else {
        return found.unknown(path, "it is no text");
    };
    if text.contains("{{") {
        // A template without images is no reason to doubt what is known of the others.
        if text.to_ascii_lowercase().contains("image") {
            found.unknown(path, "it needs rendering");
        }
        return;
    }
    for (number, document) in documents(text).enumerate() {
        match yaml::<Value>(document.as_bytes()) {
            Ok(value) => walk(path, &format!("{number}"), &value, found),
            Err(()) => found.unknown(path, &format!("document {number} cannot be read")),
        }
    }
}

/// A line of `---` begins a document wherever it stands (YAML 1.2, section 9.1.2).
fn documents(text: &str) -> impl Iterator<Item = String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.starts_with("---") {
            documents.push(line.trim_start_matches('-').to_owned());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let says_something = |document: &String| {
        let mut lines = document.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with('#'))
    };
    documents.into_iter().filter(says_something)
}

// No deeper than the reader of the text lets it be.
fn walk(path: &str, place: &str, value: &Value, found: &mut Found) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let here = format!("{place}.{key}");
                match child {
                    Value::String(text) if key == "image" && !text.is_empty() => {
                        found.image(path, &here, text, false);
                    }
                    child => walk(path, &here, child, found),
                }
            }
        }
        Value::Array(list) => {
            for (number, item) in list.iter().enumerate() {
                walk(path, &format!("{place}[{number}]"), item, found);
            }
        }
        _ => {}
    }
}
