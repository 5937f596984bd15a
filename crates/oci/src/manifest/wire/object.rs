//! Objects of a known shape: manifest, descriptor, platform.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::value::{
    Annotations, Custom, DigestText, List, MediaTypeText, Nullable, Present, Size, Text, Unsigned,
};
use super::{Context, Field, WireManifest};
use crate::manifest::ManifestError;
use crate::text::excerpt;
use crate::{Descriptor, Platform};

/// Reads the keys of one object: known ones as their index, custom ones by checking and skipping their value.
struct Keys<'c> {
    context: &'c Context<'c>,
    known: &'static [&'static str],
    /// One bit for each of `known`.
    seen: u32,
    custom: HashSet<String>,
    depth: usize,
}

impl<'c> Keys<'c> {
    fn new(context: &'c Context<'c>, known: &'static [&'static str], depth: usize) -> Self {
        Keys {
            context,
            known,
            seen: 0,
            custom: HashSet::new(),
            depth,
        }
    }

    /// The next known key.
    fn next<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<&'static str>, A::Error> {
        loop {
            let context = self.context;
            let depth = self.depth;
            match map.next_key_seed(KeySeed(self))? {
                None => return Ok(None),
                Some(Key::Known(name)) => return Ok(Some(name)),
                Some(Key::Custom) => map.next_value_seed(Custom {
                    context,
                    depth: depth + 1,
                })?,
            }
        }
    }
}

enum Key {
    Known(&'static str),
    Custom,
}

struct KeySeed<'k, 'c>(&'k mut Keys<'c>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
        let keys = self.0;
        let context = keys.context;
        let duplicate = || context.refuse(ManifestError::DuplicateKey { key: excerpt(key) });
        if let Some(index) = keys.known.iter().position(|known| *known == key) {
            if keys.seen & (1 << index) != 0 {
                return Err(duplicate());
            }
            keys.seen |= 1 << index;
            return Ok(Key::Known(keys.known[index]));
        }
        if let Some(field) = keys.known.iter().find(|known| folds_to(key, known)) {
            return Err(context.refuse(ManifestError::AmbiguousKey {
                key: excerpt(key),
                field,
            }));
        }
        context.count(
            &context.custom_fields,
            context.limits.custom_fields,
            "custom fields",
        )?;
        if keys.custom.insert(key.to_owned()) {
            Ok(Key::Custom)
        } else {
            Err(duplicate())
        }
    }
}

/// Whether Go's `encoding/json` would take `key` for `field`: it compares under simple case folding, in which
/// two characters outside ASCII fold to letters (`ſ` to s, the Kelvin sign to k).
fn folds_to(key: &str, field: &str) -> bool {
    let folded = key.chars().map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(field.chars().map(|c| c.to_ascii_lowercase()))
}

/// Makes a seed that reads a JSON object with its own `read`.
macro_rules! object_seed {
    ($name:ident, $value:ty, $expecting:literal) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_map(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_> {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$value, A::Error> {
                self.read(map)
            }
        }
    };
}

pub(super) struct ManifestSeed<'c>(pub(super) &'c Context<'c>);

object_seed!(ManifestSeed, WireManifest, "a manifest, which is a JSON object");

impl ManifestSeed<'_> {
    const KEYS: &'static [&'static str] = &[
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
    ];

    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<WireManifest, A::Error> {
        let context = self.0;
        let limits = context.limits;
        let descriptor = DescriptorSeed { context, depth: 2 };
        let item = DescriptorSeed { context, depth: 3 };
        let mut wire = WireManifest {
            schema_version: None,
            media_type: None,
            artifact_type: None,
            config: Field::Absent,
            layers: Field::Absent,
            manifests: Field::Absent,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let mut keys = Keys::new(context, Self::KEYS, 1);
        while let Some(key) = keys.next(&mut map)? {
            match key {
                "schemaVersion" => wire.schema_version = map.next_value_seed(Nullable(Unsigned))?,
                "mediaType" => wire.media_type = map.next_value_seed(Nullable(MediaTypeText(context)))?,
                "artifactType" => wire.artifact_type = artifact_type(context, &mut map)?,
                "config" => wire.config = map.next_value_seed(Nullable(descriptor))?.into(),
                "layers" => {
                    let list = List {
                        context,
                        what: "layers",
                        limit: limits.layers,
                        item,
                    };
                    wire.layers = map.next_value_seed(Nullable(list))?.into();
                }
                "manifests" => {
                    let list = List {
                        context,
                        what: "manifests",
                        limit: limits.children,
                        item,
                    };
                    wire.manifests = map.next_value_seed(Nullable(list))?.into();
                }
                "subject" => wire.subject = map.next_value_seed(Nullable(descriptor))?,
                _ => {
                    let annotations = map.next_value_seed(Nullable(Annotations(context)))?;
                    wire.annotations = annotations.unwrap_or_default();
                }
            }
        }
        Ok(wire)
    }
}

fn artifact_type<'de, A: MapAccess<'de>>(
    context: &Context<'_>,
    map: &mut A,
) -> Result<Option<String>, A::Error> {
    let text = Text {
        context,
        field: "artifactType",
        limit: context.limits.text_bytes,
    };
    let artifact_type = map.next_value_seed(Nullable(text))?;
    Ok(artifact_type.filter(|text| !text.is_empty()))
}

#[derive(Clone, Copy)]
pub(super) struct DescriptorSeed<'c> {
    context: &'c Context<'c>,
    depth: usize,
}

object_seed!(DescriptorSeed, Descriptor, "a descriptor, which is a JSON object");

impl DescriptorSeed<'_> {
    const KEYS: &'static [&'static str] = &[
        "mediaType",
        "digest",
        "size",
        "urls",
        "annotations",
        "artifactType",
        "platform",
        "data",
    ];

    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Descriptor, A::Error> {
        let DescriptorSeed { context, depth } = self;
        let limits = context.limits;
        let (mut media_type, mut digest, mut size) = (None, None, None);
        let (mut urls, mut annotations, mut artifact, mut platform, mut data) =
            (Vec::new(), BTreeMap::new(), None, None, false);
        let mut keys = Keys::new(context, Self::KEYS, depth);
        while let Some(key) = keys.next(&mut map)? {
            match key {
                "mediaType" => media_type = map.next_value_seed(Nullable(MediaTypeText(context)))?,
                "digest" => digest = map.next_value_seed(Nullable(DigestText(context)))?,
                "size" => size = map.next_value_seed(Nullable(Size(context)))?,
                "urls" => {
                    let item = Text {
                        context,
                        field: "urls",
                        limit: limits.url_bytes,
                    };
                    let list = List {
                        context,
                        what: "urls",
                        limit: limits.urls,
                        item,
                    };
                    urls = map.next_value_seed(Nullable(list))?.unwrap_or_default();
                }
                "annotations" => {
                    annotations = map
                        .next_value_seed(Nullable(Annotations(context)))?
                        .unwrap_or_default();
                }
                "artifactType" => artifact = artifact_type(context, &mut map)?,
                "platform" => {
                    platform = map.next_value_seed(Nullable(PlatformSeed {
                        context,
                        depth: depth + 1,
                    }))?;
                }
                _ => data = map.next_value_seed(Nullable(Present))?.is_some(),
            }
        }
        let missing = |field| context.refuse(ManifestError::Missing { field });
        let media_type = media_type.ok_or_else(|| missing("mediaType"))?;
        let digest = digest.ok_or_else(|| missing("digest"))?;
        let size = size.ok_or_else(|| missing("size"))?;
        Ok(Descriptor {
            media_type,
            digest,
            size,
            artifact_type: artifact,
            urls,
            annotations,
            platform,
            data,
        })
    }
}

struct PlatformSeed<'c> {
    context: &'c Context<'c>,
    depth: usize,
}

object_seed!(PlatformSeed, Platform, "a platform, which is a JSON object");

impl PlatformSeed<'_> {
    const KEYS: &'static [&'static str] = &["architecture", "os", "os.version", "os.features", "variant"];

    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Platform, A::Error> {
        let PlatformSeed { context, depth } = self;
        let mut platform = Platform::default();
        let mut keys = Keys::new(context, Self::KEYS, depth);
        while let Some(key) = keys.next(&mut map)? {
            let text = Text {
                context,
                field: key,
                limit: context.limits.text_bytes,
            };
            if key == "os.features" {
                let list = List {
                    context,
                    what: key,
                    limit: context.limits.features,
                    item: text,
                };
                platform.os_features = map.next_value_seed(Nullable(list))?.unwrap_or_default();
                continue;
            }
            let value = map.next_value_seed(Nullable(text))?;
            match key {
                "architecture" => platform.architecture = value.unwrap_or_default(),
                "os" => platform.os = value.unwrap_or_default(),
                "os.version" => platform.os_version = value.filter(|text| !text.is_empty()),
                _ => platform.variant = value.filter(|text| !text.is_empty()),
            }
        }
        Ok(platform)
    }
}

#[cfg(test)]
mod tests {
    use super::folds_to;

    #[test]
    fn folds_like_go() {
        for key in ["Layers", "LAYERS", "layer\u{17f}", "layers"] {
            assert!(folds_to(key, "layers"), "{key}");
        }
        assert!(!folds_to("layer", "layers"));
        assert!(!folds_to("layers ", "layers"));
        assert!(folds_to("MEDIATYPE", "mediaType"));
    }
}
