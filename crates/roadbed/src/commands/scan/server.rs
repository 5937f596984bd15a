//! What a Roadbed registry says in place of advisories and a policy of one's own: about an image that it has, or about one that
//! was not pushed.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use findings::{LayerReport, ScanResult};
use oci::{Descriptor, RepoName, Tag};
use web::wire::{ReportEntry, UnpushedBlob, UnpushedImage, UnpushedSbom, UnpushedSignatures};

use super::attached;
use super::resolve::Image;
use super::target::{Remote, Target};
use crate::cli::ClientArgs;
use crate::client::{Answered, Client, DOCKER_IO};
use crate::judge::{Gathered, Wanted};

/// As what an image is judged.
#[derive(Debug, Clone)]
pub(super) struct As {
    /// Where it would be pushed to.
    pub(super) repository: RepoName,
    /// Under which tag.
    tag: Option<Tag>,
}

impl FromStr for As {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (text, None),
        };
        let explain = |error: String| format!("{error}; write team/app:v1, without the registry's address");
        let repository = name
            .parse::<RepoName>()
            .map_err(|error| explain(error.to_string()))?;
        let tag = tag.map(str::parse::<Tag>).transpose();
        Ok(Self {
            repository,
            tag: tag.map_err(|error| explain(error.to_string()))?,
        })
    }
}

/// What a registry knows of an image that it has. `None`: it is no Roadbed, or does not look into images.
pub(crate) async fn known(
    client: &Client,
    remote: &Remote,
    wanted: Option<&Wanted>,
) -> Result<Option<ScanResult>> {
    if remote
        .host
        .as_deref()
        .is_some_and(|host| DOCKER_IO.contains(&host))
    {
        return Ok(None);
    }
    let reference = match &remote.reference {
        oci::Reference::Tag(tag) => tag.to_string(),
        oci::Reference::Digest(digest) => digest.to_string(),
    };
    let mut query = vec![
        ("repository", remote.repository.to_string()),
        ("reference", reference),
        ("prefer", Wanted::of_this_machine().to_string()),
    ];
    query.extend(wanted.map(|wanted| ("platform", wanted.to_string())));
    let mut answered = client.get_patiently::<ReportEntry>("/reports", &query).await?;
    if matches!(answered, Answered::Stranger)
        && let Some(client) = client.signed_in_by_docker(&remote.repository).await?
    {
        answered = client.get_patiently("/reports", &query).await?;
    }
    match answered {
        Answered::With(entry) => Ok(Some(entry.result)),
        Answered::NotHere => Ok(None),
        Answered::Stranger => bail!(
            "{url} wants to know who asks: run `roadbed login {url}` or `docker login`, or name it with --url and set \
             ROADBED_USER and ROADBED_PASSWORD",
            url = client.base()
        ),
    }
}

/// A registry that judges what was not pushed.
pub(super) struct Judge {
    client: Client,
    judged_as: As,
}

impl Judge {
    /// The registry at an address. Whoever has an image in a registry need not say as what it is judged.
    pub(super) fn connect(
        args: &ClientArgs,
        server: &str,
        judged_as: Option<&As>,
        target: &Target,
    ) -> Result<Self> {
        let judged_as = match (judged_as, target) {
            (Some(judged_as), _) => judged_as.clone(),
            (None, Target::Registry(remote)) => As {
                repository: remote.repository.clone(),
                tag: remote.reference.tag().cloned(),
            },
            (None, _) => bail!("say with --as REPOSITORY[:TAG] where it would be pushed to"),
        };
        let args = ClientArgs {
            url: Some(server.to_owned()),
            ..args.clone()
        };
        let client = Client::connect(&args)?;
        Ok(Self { client, judged_as })
    }

    /// What would become of an image with this SBOM.
    pub(super) async fn judge_sbom(&self, bytes: Vec<u8>) -> Result<ScanResult> {
        let sbom = String::from_utf8(bytes).context("an SBOM is JSON in UTF-8")?;
        let (query, given) = (self.query(), UnpushedSbom { sbom });
        let judged = self
            .client
            .post_patiently::<ReportEntry>("/judgements/sbom", &query, &given);
        let entry = judged
            .await
            .with_context(|| format!("{} did not judge it", self.client.base()))?;
        Ok(entry.result)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let As { repository, tag } = &self.judged_as;
        let mut query = vec![("repository", repository.to_string())];
        query.extend(tag.as_ref().map(|tag| ("tag", tag.to_string())));
        query
    }

    /// What would become of the image.
    pub(super) async fn judge(&self, image: &Image, gathered: &Gathered) -> Result<ScanResult> {
        let (query, unpushed) = (
            self.query(),
            unpushed(image, gathered, attached::of(image).await?),
        );
        let judged = self
            .client
            .post_patiently::<ReportEntry>("/judgements", &query, &unpushed);
        let entry = judged
            .await
            .with_context(|| format!("{} did not judge it", self.client.base()))?;
        Ok(entry.result)
    }
}

fn unpushed(image: &Image, gathered: &Gathered, signatures: Option<UnpushedSignatures>) -> UnpushedImage {
    let manifest = &image.manifest;
    let blob = |blob: &Descriptor, report: Option<&LayerReport>| UnpushedBlob {
        media_type: blob.media_type.clone(),
        digest: blob.digest,
        size: blob.size,
        // Nobody judges by files that are kept for rebases, secrets of accounts among them.
        report: report.cloned().map(|report| LayerReport {
            rebase: None,
            chart: None,
            ..report
        }),
    };
    // Layers that are not there have no report; the others keep their order.
    let mut reports = gathered.image.layers.iter().peekable();
    let layers = manifest.layers.iter().map(|layer| {
        let report = reports.next_if(|report| report.blob == layer.digest);
        blob(layer, report.map(|report| &**report))
    });
    let layers = layers.collect();
    UnpushedImage {
        digest: image.digest,
        media_type: manifest.media_type.clone(),
        artifact_type: manifest.declared_artifact_type.clone(),
        platform: image.platform.clone(),
        annotations: manifest.annotations.clone(),
        config: manifest
            .config
            .as_ref()
            .map(|config| blob(config, gathered.config_report.as_deref())),
        layers,
        unread: image.unread.clone(),
        signatures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_with_and_without_tag() {
        let read: As = "team/app:v1".parse().unwrap();
        assert_eq!(
            (read.repository.as_str(), read.tag.unwrap().as_str()),
            ("team/app", "v1")
        );
        assert!("team/app".parse::<As>().unwrap().tag.is_none());
        for bad in ["", "UPPER", "registry.example:5000/a:b c", "a:", "http://x/y"] {
            assert!(bad.parse::<As>().is_err(), "{bad}");
        }
    }
}
