//! What was named on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use oci::{Digest, Reference, RepoName, Tag};
use outbound::distribution::{DOCKER_IO, on_docker_hub};

/// Somewhere that images are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A repository of a registry.
    Registry {
        /// `host[:port]`.
        host: String,
        repository: RepoName,
        reference: Option<Reference>,
    },
    /// A directory with an OCI layout.
    Layout {
        root: PathBuf,
        reference: Option<Reference>,
    },
}

impl Place {
    /// What was named there, if anything was.
    pub(super) fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Registry { reference, .. } | Self::Layout { reference, .. } => reference.as_ref(),
        }
    }

    /// The same place with another name in it, as people write it.
    pub(super) fn with(&self, name: &Reference) -> String {
        let mark = if name.tag().is_some() { ':' } else { '@' };
        format!("{}{mark}{name}", self.bare())
    }

    fn bare(&self) -> String {
        match self {
            Self::Registry { host, repository, .. } => format!("docker://{host}/{repository}"),
            Self::Layout { root, .. } => format!("oci:{}", root.display()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reference() {
            Some(reference) => f.write_str(&self.with(reference)),
            None => f.write_str(&self.bare()),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("docker://") {
            return registry(rest);
        }
        let Some(rest) = text.strip_prefix("oci:") else {
            return Err("it begins neither with docker:// nor with oci:".to_owned());
        };
        let (root, reference) = split(rest)?;
        if root.is_empty() {
            return Err("it names no directory: write oci:DIRECTORY[:TAG]".to_owned());
        }
        Ok(Self::Layout {
            root: root.into(),
            reference,
        })
    }
}

fn registry(text: &str) -> Result<Place, String> {
    let (host, rest) = text
        .split_once('/')
        .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost")
        .ok_or("it names no registry: write docker://HOST/REPOSITORY, such as docker://docker.io/alpine")?;
    if host.contains('@') {
        return Err("it has a login in it, which `ps` shows to everybody: see `roadbed copy --help` for where it goes".to_owned());
    }
    let (name, reference) = split(rest)?;
    let name = name.parse::<RepoName>().map_err(|error| error.to_string())?;
    // Docker's own registry keeps what has one name only under another one.
    let repository = if DOCKER_IO.contains(&host) {
        on_docker_hub(&name).ok_or("the repository's name is too long")?
    } else {
        name
    };
    Ok(Place::Registry {
        host: host.to_owned(),
        repository,
        reference,
    })
}

/// `NAME`, `NAME:TAG` or `NAME@DIGEST`.
fn split(text: &str) -> Result<(&str, Option<Reference>), String> {
    if let Some((name, digest)) = text.split_once('@') {
        let digest = digest.parse::<Digest>().map_err(|error| error.to_string())?;
        return Ok((name, Some(Reference::Digest(digest))));
    }
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => {
            let tag = tag.parse::<Tag>().map_err(|error| error.to_string())?;
            Ok((name, Some(Reference::Tag(tag))))
        }
        _ => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_printed() {
        for (text, printed) in [
            (
                "docker://docker.io/alpine:3",
                "docker://docker.io/library/alpine:3",
            ),
            ("docker://docker.io/team/app", "docker://docker.io/team/app"),
            ("docker://127.0.0.1:5000/a/b:x", "docker://127.0.0.1:5000/a/b:x"),
            ("docker://localhost/a", "docker://localhost/a"),
            ("oci:dir", "oci:dir"),
            ("oci:/a/b.c:v1", "oci:/a/b.c:v1"),
            ("oci:../a:b/c", "oci:../a:b/c"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), printed);
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [
            format!("docker://a.example/b@{digest}"),
            format!("oci:dir@{digest}"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "alpine",
            "docker://alpine",
            "docker://team/app:v1",
            "docker://a.example/",
            "docker://a.example/UPPER",
            "docker://a.example/b:",
            "docker://a.example/b@sha256:../../x",
            "docker://a.example/b:v1@sha256:abc",
            "docker://ann:secret@a.example/b",
            "oci:",
            "oci::v1",
            "oci:dir:",
            "docker-archive:x.tar",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
