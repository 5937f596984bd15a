//! Which image of an index is meant.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use findings::harmless;
use oci::{Descriptor, Manifest, Platform};

/// Platforms that an error names.
const NAMED: usize = 20;

/// A platform that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        match (next(), next(), next(), parts.next()) {
            (Some(os), Some(architecture), variant, None) => Ok(Self {
                os,
                architecture,
                variant,
            }),
            _ => Err(format!("{text:?} is no platform such as linux/amd64")),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl Wanted {
    /// What this machine runs in containers.
    pub(crate) fn of_this_machine() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    fn is(&self, platform: &Platform) -> bool {
        platform.os == self.os
            && platform.architecture == self.architecture
            && (self.variant.is_none() || platform.variant == self.variant)
    }
}

/// The child of an index that is meant: the one for the platform that is wanted, else the only one, else the one for the platform
/// that is preferred. Attestations, which say to run nowhere, are no images.
pub(crate) fn choose<'a>(
    index: &'a Manifest,
    wanted: Option<&Wanted>,
    preferred: &Wanted,
) -> Result<&'a Descriptor> {
    let is_image = |child: &&Descriptor| {
        oci::media_type::MANIFESTS.contains(&child.media_type.as_str())
            && child
                .platform
                .as_ref()
                .is_none_or(|platform| platform.os != "unknown")
    };
    let images: Vec<&Descriptor> = index.manifests.iter().filter(is_image).collect();
    if let ([only], None) = (images.as_slice(), wanted) {
        return Ok(only);
    }
    if images.is_empty() {
        bail!("there is no image in the index");
    }
    let sought = wanted.unwrap_or(preferred);
    let found = images.iter().find(|child| {
        child
            .platform
            .as_ref()
            .is_some_and(|platform| sought.is(platform))
    });
    found.copied().ok_or_else(|| {
        anyhow!(
            "there is no image for {sought}: name one of these with --platform: {}",
            listed(&images)
        )
    })
}

fn listed(images: &[&Descriptor]) -> String {
    let platforms = images
        .iter()
        .filter_map(|image| image.platform.as_ref())
        .take(NAMED);
    platforms
        .map(|platform| harmless(&platform.to_string()).into_owned())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_as_people_write_them() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Wanted>().unwrap().to_string(), text);
        }
        for bad in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }
}
