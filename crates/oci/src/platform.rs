//! The platform that a child of an index runs on.

use serde::Serialize;

/// Where an image runs (image-spec, image-index.md, `platform`).
///
/// `architecture` and `os` are required by the specification and empty in what some tools write; they are
/// kept as they came. Texts have at most [`ManifestLimits::text_bytes`](crate::ManifestLimits) bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Platform {
    /// CPU architecture in Go's spelling, such as `amd64`.
    pub architecture: String,
    /// Operating system in Go's spelling, such as `linux`.
    pub os: String,
    /// Version of the operating system; Windows needs it.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that are required, such as `win32k`.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the CPU, such as `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// `os/architecture[/variant]`, as people write it.
impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_serialises_as_people_and_clients_expect() {
        let mut platform = Platform {
            architecture: "arm64".to_owned(),
            os: "linux".to_owned(),
            ..Platform::default()
        };
        assert_eq!(platform.to_string(), "linux/arm64");
        assert_eq!(
            serde_json::to_string(&platform).unwrap(),
            r#"{"architecture":"arm64","os":"linux"}"#
        );
        platform.variant = Some("v8".to_owned());
        platform.os_version = Some("10.0".to_owned());
        assert_eq!(platform.to_string(), "linux/arm64/v8");
        assert!(
            serde_json::to_string(&platform)
                .unwrap()
                .contains(r#""os.version":"10.0""#)
        );
    }
}
