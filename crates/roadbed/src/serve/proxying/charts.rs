//! The files of a repository of charts, which are asked for over HTTP; those that its index has in a registry (`oci://`), there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use oci::{Descriptor, Digest, Manifest, ManifestLimits, Reference, RepoName};
use outbound::Url;
use outbound::distribution::{
    DOCKER_HUB, DOCKER_IO, Upstream, UpstreamError, UpstreamFile, UpstreamSettings, WantedFile, on_docker_hub,
};
use registry::proxy::{Asked, ChartFile, ChartFiles, SourceBudget, SourceError, SourceSpent};

use super::{left, recall, spent, told};

/// Registries that one index may name; of more, no chart is fetched.
const REGISTRIES: usize = 16;

/// Bytes of the manifest of a chart in a registry.
const MANIFEST_BYTES: usize = 1 << 20;

/// Bytes of a host with its port: the longest name, and a few.
const HOST_BYTES: usize = 261;

/// What a repository of charts consists of.
pub(super) struct Files {
    client: Upstream,
    /// Where the index is; ends with a slash.
    base: Url,
    /// How others are asked that the index names: as nobody.
    others: UpstreamSettings,
    registries: Mutex<HashMap<String, Upstream>>,
}

/// A chart in a registry.
#[derive(Debug, PartialEq, Eq)]
struct InRegistry {
    /// `host[:port]`.
    host: String,
    repository: RepoName,
    reference: Reference,
}

impl InRegistry {
    /// Reads `oci://HOST/REPOSITORY:TAG`, or with a digest.
    fn parse(url: &str) -> Option<Self> {
        let (host, rest) = url.strip_prefix("oci://")?.split_once('/')?;
        let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || host.len() > HOST_BYTES || !host.bytes().all(is_of_host) {
            return None;
        }
        let (name, reference) = rest.split_once('@').or_else(|| rest.rsplit_once(':'))?;
        let name: RepoName = name.parse().ok()?;
        let is_hub = DOCKER_IO.contains(&host);
        Some(Self {
            host: host.to_owned(),
            repository: if is_hub { on_docker_hub(&name)? } else { name },
            reference: reference.parse().ok()?,
        })
    }
}

impl Files {
    /// The repository at `base`, which `client` asks. `settings` are those of the client.
    pub(super) fn new(client: Upstream, base: Url, settings: UpstreamSettings) -> Self {
        Self {
            client,
            base,
            others: UpstreamSettings {
                login: None,
                // Without a login nobody is told anything.
                realm_hosts: vec!["*".to_owned()],
                ..settings
            },
            registries: Mutex::default(),
        }
    }

    async fn file(
        &self,
        url: Url,
        known: Option<&str>,
        most: usize,
        is_content: bool,
    ) -> Result<Option<ChartFile>, SourceError> {
        let wanted = WantedFile {
            url,
            known: known.map(str::to_owned),
            most,
            is_content,
        };
        let is_own = wanted.url.origin() == self.base.origin();
        let file = self.client.file(&wanted).await;
        let file = file.map_err(if is_own { told } else { told_elsewhere })?;
        Ok(file.map(|UpstreamFile { bytes, etag }| ChartFile { bytes, etag }))
    }

    /// What an index names, with something behind its path.
    fn url(&self, url: &str, behind: &str) -> Result<Url, SourceError> {
        let joined = self.base.join(url);
        let mut url =
            joined.map_err(|error| SourceError::Broken(format!("its index names no URL: {error}").into()))?;
        if !behind.is_empty() {
            let path = format!("{}{behind}", url.path());
            url.set_path(&path);
        }
        Ok(url)
    }

    async fn content(&self, url: &str, behind: &str, most: usize) -> Result<ChartFile, SourceError> {
        let file = self.file(self.url(url, behind)?, None, most, true).await?;
        file.ok_or_else(|| SourceError::Broken("it says that a chart is what nobody has".into()))
    }

    /// A layer of a chart in a registry.
    async fn layer(
        &self,
        url: &str,
        of: fn(&Manifest) -> Option<&Descriptor>,
        most: usize,
    ) -> Result<ChartFile, SourceError> {
        let named = InRegistry::parse(url).ok_or_else(|| {
            let url: String = url.chars().take(200).flat_map(char::escape_debug).collect();
            SourceError::Broken(format!("its index names no chart in a registry: {url}").into())
        })?;
        let registry = self.registry(&named.host)?;
        let found = registry.manifest(&named.repository, &named.reference, MANIFEST_BYTES);
        let found = found.await.map_err(told_elsewhere)?;
        let manifest = Manifest::parse(&found.bytes, None, &ManifestLimits::default()).map_err(|error| {
            SourceError::Broken(format!("the manifest of a chart cannot be read: {error}").into())
        })?;
        if manifest.chart_archive().is_none() {
            return Err(SourceError::Broken(
                format!("{} has no chart at {}", named.host, named.repository).into(),
            ));
        }
        let layer = of(&manifest).ok_or(SourceError::NotFound)?;
        let bytes = fetched(&registry, &named.repository, layer, most).await?;
        Ok(ChartFile { bytes, etag: None })
    }

    /// Who is asked for what is at a host, if that may be.
    fn registry(&self, host: &str) -> Result<Upstream, SourceError> {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = registries.get(host) {
            return Ok(known.clone());
        }
        let url = self.registry_url(host)?;
        if !self.client.may_send_to(&url) {
            return Err(SourceError::Broken(format!(
                "its index names a chart at {host}, from which nothing is fetched: list {host} among its blob hosts if that is right"
            ).into()));
        }
        if registries.len() >= REGISTRIES {
            return Err(SourceError::Broken(format!(
                "its index names more than {REGISTRIES} registries: pull the chart through an upstream for {host}"
            ).into()));
        }
        let settings = UpstreamSettings {
            url,
            ..self.others.clone()
        };
        let made = Upstream::new(settings, Instant::now);
        let made =
            made.map_err(|error| SourceError::Broken(format!("its index names {host}: {error}").into()))?;
        registries.insert(host.to_owned(), made.clone());
        Ok(made)
    }

    fn registry_url(&self, host: &str) -> Result<Url, SourceError> {
        let text = if DOCKER_IO.contains(&host) {
            DOCKER_HUB.to_owned()
        } else {
            // An index that was read without TLS is believed no more than what it names.
            format!("{}://{host}", self.base.scheme())
        };
        Url::parse(&text)
            .map_err(|error| SourceError::Broken(format!("its index names no registry: {error}").into()))
    }
}

/// What is wrong with whom the index leads to, who is not the repository of charts.
fn told_elsewhere(error: UpstreamError) -> SourceError {
    match told(error) {
        SourceError::Unreachable(why) => SourceError::Failing(why),
        error => error,
    }
}

/// The bytes of a layer, which are those of its digest.
async fn fetched(
    registry: &Upstream,
    repository: &RepoName,
    layer: &Descriptor,
    most: usize,
) -> Result<Bytes, SourceError> {
    let too_large = || SourceError::TooLarge { most: most as u64 };
    if layer.size > most as u64 {
        return Err(too_large());
    }
    let mut blob = registry
        .blob(repository, &layer.digest, 0)
        .await
        .map_err(told_elsewhere)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.body.chunk().await {
        bytes.extend_from_slice(&chunk.map_err(told_elsewhere)?);
        if bytes.len() > most {
            return Err(too_large());
        }
    }
    if Digest::of(layer.digest.algorithm(), &bytes) != layer.digest {
        return Err(SourceError::Broken(
            format!("the bytes of blob {} have another digest", layer.digest).into(),
        ));
    }
    Ok(bytes.into())
}

impl ChartFiles for Files {
    fn index<'a>(&'a self, known: Option<&'a str>, most: usize) -> Asked<'a, Option<ChartFile>> {
        Box::pin(async move { self.file(self.url("index.yaml", "")?, known, most, false).await })
    }

    fn archive<'a>(&'a self, url: &'a str, most: usize) -> Asked<'a, ChartFile> {
        Box::pin(async move {
            if url.starts_with("oci://") {
                return self.layer(url, Manifest::chart_archive, most).await;
            }
            self.content(url, "", most).await
        })
    }

    fn provenance<'a>(&'a self, url: &'a str, most: usize) -> Asked<'a, ChartFile> {
        Box::pin(async move {
            if url.starts_with("oci://") {
                return self.layer(url, Manifest::chart_provenance, most).await;
            }
            self.content(url, ".prov", most).await
        })
    }

    fn budget_left(&self) -> SourceBudget {
        left(&self.client)
    }

    fn spent(&self) -> Vec<SourceSpent> {
        spent(&self.client)
    }

    fn recall(&self, spent: &[SourceSpent]) {
        recall(&self.client, spent);
    }

    fn heard_since(&self, moment: Instant) -> bool {
        self.client.heard_since(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_in_a_registry_is_named_whole() {
        let parse = |url: &str| {
            let named = InRegistry::parse(url)?;
            Some(format!("{} {} {}", named.host, named.repository, named.reference))
        };
        assert_eq!(
            parse("oci://r.example:5000/a/app:1.0.0_b").unwrap(),
            "r.example:5000 a/app 1.0.0_b"
        );
        assert_eq!(
            parse("oci://docker.io/bitnamicharts/nginx:1").unwrap(),
            "docker.io bitnamicharts/nginx 1"
        );
        let digest = format!("sha256:{}", "a".repeat(64));
        let long = format!("oci://{}/app:1", "r".repeat(HOST_BYTES + 1));
        assert_eq!(parse(&long), None);
        assert_eq!(
            parse(&format!("oci://r.example/app@{digest}")).unwrap(),
            format!("r.example app {digest}")
        );
        for wrong in [
            "oci://r.example",
            "oci://r.example/",
            "oci://r.example/app",
            "oci://r.example/../app:1",
            "oci://r.example/app:",
            "https://r.example/app:1",
            "oci:///app:1",
            "oci://ann@r.example/app:1",
            "oci://r.example\n/app:1",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_index_does_not_have_any_number_of_registries_asked() {
        crate::install_crypto();
        let settings = UpstreamSettings {
            url: Url::parse("https://charts.example").unwrap(),
            login: None,
            realm_hosts: Vec::new(),
            blob_hosts: Vec::new(),
            budget: outbound::distribution::Budget::default(),
            client: outbound::Settings::default(),
            first_byte: std::time::Duration::from_secs(1),
            idle: std::time::Duration::from_secs(1),
        };
        let files = |settings: UpstreamSettings| {
            let client = Upstream::new(settings.clone(), Instant::now).unwrap();
            Files::new(
                client,
                Url::parse("https://charts.example/stable/").unwrap(),
                settings,
            )
        };
        let open = files(settings.clone());
        for number in 0..REGISTRIES {
            open.registry(&format!("r{number}.example")).unwrap();
        }
        open.registry("r1.example").unwrap();
        let error = open.registry("more.example").unwrap_err().to_string();
        assert!(error.contains("more than 16 registries"), "{error}");
        let listed = files(UpstreamSettings {
            blob_hosts: vec!["r.example".to_owned()],
            ..settings
        });
        listed.registry("r.example").unwrap();
        for host in ["other.example", "ann@r.example", "r.example:81"] {
            assert!(listed.registry(host).is_err(), "{host}");
        }
    }
}
