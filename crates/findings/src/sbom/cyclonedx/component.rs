//! Components as they are read: from any depth into one list, bounded while it is read.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::sbom::{
    foreign,
    kept::{Kept, Text, Wire},
    limits::{COMPONENTS, DEPTH},
    property::{PREFIX, Property},
};

/// A component with nothing of what lies inside it.
#[derive(Default)]
pub(super) struct WireComponent {
    pub(super) component_type: Text,
    pub(super) group: Text,
    pub(super) name: Text,
    pub(super) version: Text,
    pub(super) purl: Text,
    pub(super) licences: Kept<WireLicence>,
    pub(super) properties: Kept<WireProperty>,
}

#[derive(Deserialize)]
pub(super) struct WireProperty {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    value: Text,
}

impl Wire for WireProperty {
    type Kept = Property;

    fn keep(self) -> Option<Property> {
        let name = self.name.0?;
        let is_known = |prefix: &str| name.starts_with(prefix);
        if !is_known(PREFIX) && !foreign::PREFIXES.into_iter().any(is_known) {
            return None;
        }
        Some((name, self.value.0?))
    }
}

#[derive(Deserialize)]
pub(super) struct WireLicence {
    #[serde(default)]
    license: Option<WireNamed>,
    #[serde(default)]
    expression: Text,
}

#[derive(Deserialize)]
struct WireNamed {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    name: Text,
}

impl Wire for WireLicence {
    type Kept = String;

    fn keep(self) -> Option<String> {
        let named = self.license.and_then(|licence| licence.id.0.or(licence.name.0));
        named.or(self.expression.0)
    }
}

/// All components of a document.
#[derive(Default)]
pub(super) struct Components(pub(super) Vec<WireComponent>);

impl<'de> Deserialize<'de> for Components {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Vec::new();
        deserializer.deserialize_any(List {
            all: &mut all,
            depth: 0,
        })?;
        Ok(Self(all))
    }
}

/// A component that stands alone, with what lies inside it.
#[derive(Default)]
pub(super) struct Single(pub(super) Vec<WireComponent>);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Vec::new();
        One {
            all: &mut all,
            depth: 0,
        }
        .deserialize(deserializer)?;
        Ok(Self(all))
    }
}

struct List<'a> {
    all: &'a mut Vec<WireComponent>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of components, at most {COMPONENTS} and {DEPTH} deep")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.depth > DEPTH {
            return Err(A::Error::custom(format_args!(
                "components lie more than {DEPTH} deep in each other"
            )));
        }
        let depth = self.depth;
        while list
            .next_element_seed(One {
                all: &mut *self.all,
                depth,
            })?
            .is_some()
        {}
        Ok(())
    }
}

struct One<'a> {
    all: &'a mut Vec<WireComponent>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a component")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.all.len() >= COMPONENTS {
            return Err(A::Error::custom(format_args!(
                "there are more than {COMPONENTS} components"
            )));
        }
        // Its place comes before those inside it.
        let place = self.all.len();
        self.all.push(WireComponent::default());
        let mut component = WireComponent::default();
        while let Some(key) = map.next_key::<Text>()? {
            match key.0.as_deref().unwrap_or_default() {
                "type" => component.component_type = map.next_value()?,
                "group" => component.group = map.next_value()?,
                "name" => component.name = map.next_value()?,
                "version" => component.version = map.next_value()?,
                "purl" => component.purl = map.next_value()?,
                "licenses" => component.licences = map.next_value()?,
                "properties" => component.properties = map.next_value()?,
                "components" => map.next_value_seed(List {
                    all: &mut *self.all,
                    depth: self.depth + 1,
                })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let Some(kept) = self.all.get_mut(place) {
            *kept = component;
        }
        Ok(())
    }
}
