//! Files of a catalogue that lie in a registry as an artifact: `oci://registry.example/platform/road:v1`.

use anyhow::{Context as _, Result, bail, ensure};
use oci::{Descriptor, Digest, Manifest, ManifestLimits, Reference, RepoName, media_type};
use policy::yaml::one_line;
use reqwest::Response;
use road::catalog::CatalogLimits;

use crate::cli::ClientArgs;
use crate::client::{Client, Distribution};

/// In front of what lies in a registry.
const SCHEME: &str = "oci://";

/// Names the file that a layer is (OCI image specification, "Pre-Defined Annotation Keys").
const TITLE: &str = "org.opencontainers.image.title";

/// Longest name of a file that is told, in bytes.
const NAME_BYTES: usize = 200;

/// Where an artifact lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    host: String,
    repository: RepoName,
    reference: Reference,
}

impl Artifact {
    /// `None`: it is the name of a file.
    pub(super) fn recognise(text: &str) -> Result<Option<Self>> {
        let Some(name) = text.strip_prefix(SCHEME) else {
            return Ok(None);
        };
        let parsed = || {
            let (host, rest) = name.split_once('/')?;
            let (repository, reference) = if let Some((repository, digest)) = rest.split_once('@') {
                (repository, Reference::Digest(digest.parse().ok()?))
            } else {
                let (repository, tag) = rest.rsplit_once(':')?;
                (repository, Reference::Tag(tag.parse().ok()?))
            };
            Some(Self {
                host: (!host.is_empty()).then(|| host.to_owned())?,
                repository: repository.parse().ok()?,
                reference,
            })
        };
        parsed()
            .with_context(|| {
                let text = one_line(text, NAME_BYTES);
                format!("`{text}` names no artifact: write oci://registry.example/platform/road:v1")
            })
            .map(Some)
    }

    /// Its YAML files, each called by where it lies.
    pub(super) async fn texts(
        &self,
        args: &ClientArgs,
        limits: &CatalogLimits,
    ) -> Result<Vec<(String, String)>> {
        let client = Client::of_image(args, Some(&self.host))?;
        let registry = Distribution::of(&client, &self.repository).await?;
        let manifest = self.manifest(&registry).await?;
        let (mut texts, mut left) = (Vec::new(), limits.bytes as u64);
        for layer in &manifest.layers {
            let title = layer.annotations.get(TITLE).map(String::as_str);
            let Some(title) = title.filter(|title| is_yaml(title)) else {
                continue;
            };
            let name = one_line(
                &format!("{SCHEME}{}/{}/{title}", self.host, self.repository),
                NAME_BYTES,
            );
            let (size, most) = (layer.size, limits.file_bytes as u64);
            ensure!(
                size <= most,
                "{name} has {size} bytes: at most {most} are read, split it"
            );
            let room = left.checked_sub(size);
            left = room.with_context(|| format!("the files have more than {} bytes", limits.bytes))?;
            let bytes = blob(&registry, layer).await?;
            let text = String::from_utf8(bytes).with_context(|| format!("{name} is not text in UTF-8"))?;
            texts.push((name, text));
        }
        ensure!(
            !texts.is_empty(),
            "the artifact has no YAML file: its layers are called by the annotation {TITLE}"
        );
        Ok(texts)
    }

    async fn manifest(&self, registry: &Distribution) -> Result<Manifest> {
        let name = match &self.reference {
            Reference::Tag(tag) => tag.to_string(),
            Reference::Digest(digest) => digest.to_string(),
        };
        let accept = media_type::MANIFESTS.join(", ");
        let response = registry.get(&format!("manifests/{name}"), &accept).await?;
        let media_type = response.headers().get(http::header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()?.parse().ok());
        let limits = ManifestLimits::default();
        let bytes = read(response, limits.bytes as u64).await?;
        if let Reference::Digest(digest) = &self.reference {
            check(&bytes, digest)?;
        }
        Manifest::parse(&bytes, media_type.as_ref(), &limits).context("what is there is no artifact")
    }
}

/// As people name such files: what is packed is not looked into here.
fn is_yaml(title: &str) -> bool {
    let ending = title.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("yaml" | "yml"))
}

async fn blob(registry: &Distribution, layer: &Descriptor) -> Result<Vec<u8>> {
    let response = registry.get(&format!("blobs/{}", layer.digest), "*/*").await?;
    let bytes = read(response, layer.size).await?;
    check(&bytes, &layer.digest)?;
    Ok(bytes)
}

fn check(bytes: &[u8], digest: &Digest) -> Result<()> {
    let found = Digest::of(digest.algorithm(), bytes);
    ensure!(
        found == *digest,
        "the bytes of {digest} have another digest, {found}"
    );
    Ok(())
}

async fn read(mut response: Response, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        if (bytes.len() + chunk.len()) as u64 > most {
            bail!("the answer has more than {most} bytes");
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_with_its_registry() {
        let artifact = Artifact::recognise("oci://localhost:5000/platform/road:v1").unwrap();
        let artifact = artifact.unwrap();
        assert_eq!(
            (artifact.host.as_str(), artifact.repository.as_str()),
            ("localhost:5000", "platform/road")
        );
        assert_eq!(artifact.reference, Reference::Tag("v1".parse().unwrap()));
        assert_eq!(Artifact::recognise("road/pavedroad.yaml").unwrap(), None);
        for wrong in [
            "oci://",
            "oci://platform",
            "oci://registry.example/road",
            "oci:///road:v1",
            "oci://r.example/a@b",
        ] {
            assert!(Artifact::recognise(wrong).is_err(), "{wrong}");
        }
    }
}
