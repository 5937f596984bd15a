//! An upstream that is tried step by step: with the settings that the server was started with, and with its files as they are now.

use std::sync::Arc;
use std::time::Duration;

use oci::{Reference, RepoName};
use outbound::OutboundError;
use outbound::distribution::{Probe, ProbeError, ProbeStep, Probed, UpstreamError, WantedFile};
use registry::proxy::UpstreamKind;
use tokio::sync::Semaphore;
use web::TestRefused;
use web::wire::{UpstreamTest, UpstreamTestStep};

use super::proxying::{client, listed, remedy};
use crate::config::{Config, SecretFrom, UpstreamEntry};

/// Longest time for all steps. A request of the API may take longer.
const MOST_TIME: Duration = Duration::from_mins(1);

/// Characters of the name of an image that are shown where it is none.
const SHOWN: usize = 200;

/// Whoever tries upstreams, one at a time.
pub(super) struct Trying {
    config: Arc<Config>,
    place: Semaphore,
}

impl Trying {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            config: Arc::new(config.clone()),
            place: Semaphore::new(1),
        }
    }

    /// Tries one. What it is asked counts against no budget: there is one who asks, now and then.
    pub(super) async fn test(&self, name: &str, image: Option<&str>) -> Result<UpstreamTest, TestRefused> {
        let mut entries = self.config.proxy.upstreams.0.iter();
        let number = entries.position(|entry| entry.name == name);
        let number = number.ok_or_else(|| TestRefused::Unknown(name.to_owned()))?;
        let entry = &self.config.proxy.upstreams.0[number];
        if image.is_some() && entry.kind == UpstreamKind::Helm {
            return Err(TestRefused::Charts(name.to_owned()));
        }
        let image = image.map(|image| named(entry, image)).transpose()?;
        let Ok(_place) = self.place.try_acquire() else {
            return Err(TestRefused::Busy);
        };
        let steps = self.steps(number, entry, image).await;
        Ok(UpstreamTest {
            upstream: entry.name.clone(),
            url: entry.url.to_string(),
            passed: steps.iter().all(|step| step.passed),
            steps,
        })
    }

    async fn steps(
        &self,
        number: usize,
        entry: &UpstreamEntry,
        image: Option<(RepoName, Reference)>,
    ) -> Vec<UpstreamTestStep> {
        let config = Arc::clone(&self.config);
        // It reads files.
        let made =
            tokio::task::spawn_blocking(move || client(&config, (number, &config.proxy.upstreams.0[number])));
        let wrong = match made.await {
            Ok(Ok(client)) => {
                let file = index_of(&self.config, entry);
                let probe = match &file {
                    Some(file) => Probe::File(file),
                    None => Probe::Registry(image.as_ref().map(|(repo, reference)| (repo, reference))),
                };
                let probed = client.probe(probe, MOST_TIME).await;
                return probed
                    .into_iter()
                    .map(|probed| step(number, entry, probed))
                    .collect();
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "it was stopped".to_owned(),
        };
        vec![UpstreamTestStep {
            step: "settings".to_owned(),
            passed: false,
            took_ms: 0,
            outcome: wrong,
            remedy: None,
        }]
    }
}

/// The index of a repository of charts.
fn index_of(config: &Config, entry: &UpstreamEntry) -> Option<WantedFile> {
    if entry.kind != UpstreamKind::Helm {
        return None;
    }
    Some(WantedFile {
        url: entry.url.join("index.yaml").ok()?,
        known: None,
        most: config.proxy.chart_limits(entry.rule.fresh).index.bytes,
        is_content: false,
    })
}

/// An image as the upstream calls it.
fn named(entry: &UpstreamEntry, text: &str) -> Result<(RepoName, Reference), TestRefused> {
    let (name, reference) = match (text.split_once('@'), text.rsplit_once(':')) {
        (Some((name, digest)), _) => (name, digest.parse().ok().map(Reference::Digest)),
        (None, Some((name, tag))) if !tag.contains('/') => (name, tag.parse().ok().map(Reference::Tag)),
        _ => (text, "latest".parse().ok()),
    };
    let name = if entry.library && !name.contains('/') {
        format!("library/{name}")
    } else {
        name.to_owned()
    };
    match (name.parse(), reference) {
        (Ok(name), Some(reference)) => Ok((name, reference)),
        _ => Err(TestRefused::NoImage(text.chars().take(SHOWN).collect())),
    }
}

fn step(number: usize, entry: &UpstreamEntry, probed: Probed) -> UpstreamTestStep {
    let Probed { step, took, outcome } = probed;
    let (passed, remedy) = match &outcome {
        Ok(_) => (true, None),
        Err(error) => (false, what_to_do(number, entry, step, error)),
    };
    UpstreamTestStep {
        step: step.name().to_owned(),
        passed,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        outcome: outcome.unwrap_or_else(|error| format!("{:#}", anyhow::Error::new(error))),
        remedy,
    }
}

/// What to do about a step that failed, in the keys of the configuration.
fn what_to_do(number: usize, entry: &UpstreamEntry, step: ProbeStep, error: &ProbeError) -> Option<String> {
    let key = |name: &str| format!("proxy.upstreams[{number}].{name}");
    match (step, error) {
        (_, ProbeError::Outbound(OutboundError::Address { address, .. })) => {
            Some(format!("{}: {}", key("allowed_private"), listed(*address)))
        }
        (_, ProbeError::Upstream(error)) if remedy(error).is_some() => remedy(error),
        (ProbeStep::Resolve, _) => Some(match &entry.proxy {
            Some(_) => format!("correct the host in {}", key("proxy")),
            None => format!(
                "correct the host in {}, or let this machine ask a name server that knows it",
                key("url")
            ),
        }),
        (ProbeStep::Connect, _) => Some(format!(
            "see whether a firewall is in between and whether the port is right; where only an HTTP proxy gets through, name it in {}",
            key("proxy")
        )),
        (ProbeStep::Tls, _) => Some(format!(
            "where its certificate is of an authority of your own, name the file with that in {}; else correct {}",
            key("ca_file"),
            key("url")
        )),
        (_, ProbeError::Upstream(UpstreamError::Denied { .. })) => Some(denied(entry, key)),
        (ProbeStep::Login, ProbeError::Upstream(UpstreamError::Broken { .. })) => Some(format!(
            "where that is its token service, list the host in {}",
            key("realm_hosts")
        )),
        (ProbeStep::Ping | ProbeStep::Index, ProbeError::Upstream(UpstreamError::Broken { .. })) => {
            Some(format!("correct {}", key("url")))
        }
        (ProbeStep::Manifest, ProbeError::Upstream(UpstreamError::NotFound)) => Some(
            "correct the name: it is the upstream's own, without the prefix that it has here; some registries say so of what they do \
             not let be had"
                .to_owned(),
        ),
        (_, ProbeError::Upstream(UpstreamError::Throttled { .. })) => {
            Some("wait until it wants to be asked again; many registries let those who log in ask more".to_owned())
        }
        _ => None,
    }
}

/// What to do where it does not let something be had.
fn denied(entry: &UpstreamEntry, key: impl Fn(&str) -> String) -> String {
    match &entry.login {
        None => format!(
            "name who asks in {} and {}",
            key("username"),
            key("password_file")
        ),
        Some((_, from)) => {
            let secret = match from {
                SecretFrom::File(_) => "password_file",
                SecretFrom::Variable(_) => "password_env",
            };
            format!(
                "correct {} and what is in {}, or let that user have it there",
                key("username"),
                key(secret)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(more: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("roadbed.toml");
        let text = format!(
            "[[proxy.upstreams]]\nname = \"hub\"\nurl = \"http://127.0.0.1:1\"\nlibrary = true\n{more}\n\
             [[proxy.upstreams]]\nname = \"charts\"\nkind = \"helm\"\nurl = \"http://127.0.0.1:1/x\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        Config::load(&sources).unwrap()
    }

    #[test]
    fn images_are_named_as_they_are_there() {
        let config = config("");
        let [hub, charts] = config.proxy.upstreams.0.as_slice() else {
            panic!("two")
        };
        let of = |entry, text: &str| {
            let (name, reference) = named(entry, text).ok()?;
            Some(format!("{name} {reference}"))
        };
        assert_eq!(of(hub, "alpine:3").as_deref(), Some("library/alpine 3"));
        assert_eq!(of(hub, "acme/app").as_deref(), Some("acme/app latest"));
        assert_eq!(of(charts, "app").as_deref(), Some("app latest"));
        for wrong in ["", "App", "a:b:c", "a@b", "http://x/y"] {
            assert_eq!(of(hub, wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_has_a_remedy() {
        let trying = Trying::of(&config(""));
        let test = trying.test("hub", None).await.unwrap();
        let [step] = test.steps.as_slice() else {
            panic!("{test:?}")
        };
        assert!(!test.passed && step.step == "resolve" && !step.passed, "{test:?}");
        let remedy = step.remedy.as_deref().unwrap();
        assert!(remedy.contains("proxy.upstreams[0].allowed_private"), "{remedy}");
        let trying = Trying::of(&config("allowed_private = [\"127.0.0.0/8\"]"));
        let test = trying.test("hub", None).await.unwrap();
        let last = test.steps.last().unwrap();
        assert_eq!((last.step.as_str(), last.passed), ("connect", false), "{test:?}");
        assert!(last.outcome.contains("127.0.0.1"), "{}", last.outcome);
    }

    #[tokio::test]
    async fn one_is_tried_at_a_time() {
        let trying = Trying::of(&config(""));
        let _place = trying.place.acquire().await.unwrap();
        assert_eq!(trying.test("hub", None).await, Err(TestRefused::Busy));
        let unknown = TestRefused::Unknown("nope".to_owned());
        assert_eq!(trying.test("nope", None).await, Err(unknown));
        let charts = TestRefused::Charts("charts".to_owned());
        assert_eq!(trying.test("charts", Some("a:1")).await, Err(charts));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_told_with_its_key() {
        let trying = Trying::of(&config("ca_file = \"/nowhere/ca.pem\""));
        let test = trying.test("hub", None).await.unwrap();
        let step = &test.steps[0];
        assert_eq!((step.step.as_str(), step.passed), ("settings", false));
        assert!(
            step.outcome.starts_with("proxy.upstreams[0].ca_file: "),
            "{}",
            step.outcome
        );
    }
}
