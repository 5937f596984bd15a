//! References of images as people write them, whole.

use oci::{Digest, RepoName, Tag};

/// Where an image is whose reference names no registry.
const DOCKER_IO: &str = "docker.io";

/// A reference with its registry, and with a tag or a digest: `nginx` is `docker.io/library/nginx:latest`. `None`: it is none.
pub(super) fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse::<Digest>().ok()?)),
        None => (text, None),
    };
    // The port of a registry has a slash behind it.
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse::<Tag>().ok()?)),
        _ => (name, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (DOCKER_IO, name),
    };
    let is_official = registry == DOCKER_IO && !path.contains('/');
    let path = if is_official {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    let path: RepoName = path.parse().ok()?;
    Some(match (tag, digest) {
        (_, Some(digest)) => format!("{registry}/{path}@{digest}"),
        (Some(tag), None) => format!("{registry}/{path}:{tag}"),
        (None, None) => format!("{registry}/{path}:latest"),
    })
}

/// Whether a reference says which state of an image it means.
pub(super) fn is_pinned(text: &str) -> bool {
    let behind = text.rsplit_once('/').map_or(text, |(_, behind)| behind);
    behind.contains([':', '@'])
}

fn is_registry(component: &str) -> bool {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (component == "localhost" || component.contains(['.', ':'])) && component.bytes().all(is_host)
}
