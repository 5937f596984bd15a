//! What was named on the command line.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::{Digest, Reference, RepoName, Tag};

use crate::client::DOCKER_IO;

/// First bytes of a file that tell what it is. The mark of a tar lies at 257.
const HEAD: u64 = 512;

/// Something to scan.
#[derive(Debug)]
pub(super) enum Target {
    /// A directory with an OCI layout.
    Layout {
        /// The directory.
        root: PathBuf,
        /// Which image; not needed where there is one.
        reference: Option<Reference>,
    },
    /// An archive of images.
    Archive {
        /// The file.
        file: PathBuf,
        /// Which image; not needed where there is one.
        reference: Option<Reference>,
        /// Whether it is packed with gzip.
        is_packed: bool,
    },
    /// Any other directory.
    Directory(PathBuf),
    /// An SBOM.
    Sbom(PathBuf),
    /// An image in a registry.
    Registry(Remote),
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// `host[:port]`, where it was written.
    pub(super) host: Option<String>,
    /// Its repository.
    pub(super) repository: RepoName,
    /// Its tag or digest.
    pub(super) reference: Reference,
}

impl Target {
    /// Looks at what there is. What is there as a file goes before what could be in a registry.
    pub(super) fn recognise(text: &str) -> Result<Self> {
        if let Some(target) = Self::at(Path::new(text), None)? {
            return Ok(target);
        }
        if let Some((path, reference)) = split(text)
            && let Some(target) = Self::at(Path::new(path), Some(reference))?
        {
            return Ok(target);
        }
        let is_path = text.starts_with(['/', '.', '~'])
            || [".tar", ".json", ".tgz", ".gz"]
                .iter()
                .any(|end| text.ends_with(end));
        if is_path {
            bail!("{text:?} does not exist");
        }
        Remote::parse(text).map(Self::Registry).with_context(|| {
            format!("{text:?} is no file, no directory and no image such as registry.example/team/app:v1")
        })
    }

    /// What lies at a path; `None` if nothing does.
    fn at(path: &Path, reference: Option<Reference>) -> Result<Option<Self>> {
        let Ok(metadata) = std::fs::metadata(path) else {
            return Ok(None);
        };
        let root = path.to_owned();
        if metadata.is_dir() {
            let is_layout = root.join("index.json").is_file() && root.join("blobs").is_dir();
            if is_transport(&root) {
                bail!(
                    "{} is what `skopeo copy … dir:` writes, of which the layers cannot be told: copy to oci:DIR:TAG instead",
                    path.display()
                );
            }
            return match reference {
                reference if is_layout => Ok(Some(Self::Layout { root, reference })),
                None => Ok(Some(Self::Directory(root))),
                Some(_) => bail!(
                    "{} holds no OCI layout (index.json and blobs): leave out the tag to scan it as a directory",
                    path.display()
                ),
            };
        }
        if !metadata.is_file() {
            bail!("{} is neither file nor directory", path.display());
        }
        of_file(root, reference).map(Some)
    }
}

/// Whether containers' directory transport wrote it (containers-transports(5)).
fn is_transport(root: &Path) -> bool {
    let mut head = [0; 27];
    let read = File::open(root.join("version")).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == *b"Directory Transport Version"
}

fn of_file(file: PathBuf, reference: Option<Reference>) -> Result<Target> {
    let mut head = Vec::new();
    File::open(&file)
        .and_then(|opened| opened.take(HEAD).read_to_end(&mut head))
        .with_context(|| format!("cannot read {}", file.display()))?;
    let is_packed = head.starts_with(&[0x1f, 0x8b]);
    if is_packed || head.get(257..262) == Some(b"ustar") {
        return Ok(Target::Archive {
            file,
            reference,
            is_packed,
        });
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    if text.trim_ascii_start().starts_with(b"{") && reference.is_none() {
        return Ok(Target::Sbom(file));
    }
    bail!(
        "{} is neither an archive of `docker save` nor an SBOM in JSON; to scan a single file, put it into a directory",
        file.display()
    )
}

/// `PATH:TAG` or `PATH@DIGEST`.
fn split(text: &str) -> Option<(&str, Reference)> {
    if let Some((path, digest)) = text.split_once('@') {
        return Some((path, Reference::Digest(digest.parse::<Digest>().ok()?)));
    }
    let (path, tag) = text.rsplit_once(':')?;
    Some((path, Reference::Tag(tag.parse::<Tag>().ok()?)))
}

impl Remote {
    /// From the command line.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| format!("{error:#}"))
    }

    /// Its repository.
    pub(crate) fn repository(&self) -> &RepoName {
        &self.repository
    }

    /// The registry, where it was written.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn parse(text: &str) -> Result<Self> {
        let (host, rest) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (Some(first.to_owned()), rest)
            }
            _ => (None, text),
        };
        let (name, reference) = match split(rest) {
            Some(found) => found,
            None if rest.contains(['@', ':']) => bail!("the tag or digest is not well formed"),
            None => (rest, Reference::Tag("latest".parse()?)),
        };
        // Docker's own registry keeps what has one name only under another one.
        let is_official =
            !name.contains('/') && host.as_deref().is_some_and(|host| DOCKER_IO.contains(&host));
        let name = if is_official {
            format!("library/{name}")
        } else {
            name.to_owned()
        };
        Ok(Self {
            host,
            repository: name.parse()?,
            reference,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_with_and_without_host_and_tag() {
        for (text, host, name, reference) in [
            ("team/app:v1", None, "team/app", "v1"),
            ("app", None, "app", "latest"),
            ("localhost/app", Some("localhost"), "app", "latest"),
            ("127.0.0.1:5000/a/b:x", Some("127.0.0.1:5000"), "a/b", "x"),
            ("docker.io/alpine:3", Some("docker.io"), "library/alpine", "3"),
            ("docker.io/team/app", Some("docker.io"), "team/app", "latest"),
        ] {
            let parsed = Remote::parse(text).unwrap();
            assert_eq!(parsed.host.as_deref(), host, "{text}");
            assert_eq!(parsed.repository.to_string(), name, "{text}");
            assert_eq!(parsed.reference.tag().unwrap().as_str(), reference, "{text}");
        }
        for bad in ["", "UPPER:x", "a@sha256:../../x", "a/../b:c", "a:", "a b"] {
            assert!(Remote::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_of_skopeo_is_not_taken_for_a_file_system() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("version"),
            "Directory Transport Version: 1.1\n",
        )
        .unwrap();
        let error = Target::recognise(&directory.path().display().to_string()).unwrap_err();
        assert!(error.to_string().contains("copy to oci:DIR:TAG"), "{error}");
        std::fs::write(directory.path().join("version"), "1.0\n").unwrap();
        Target::recognise(&directory.path().display().to_string()).unwrap();
    }

    #[test]
    fn a_path_that_is_not_there_is_no_image() {
        for path in ["./nothing", "/no/where", "missing.tar", "missing.json"] {
            let error = Target::recognise(path).unwrap_err().to_string();
            assert!(error.ends_with("does not exist"), "{error}");
        }
    }
}
