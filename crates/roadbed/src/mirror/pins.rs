//! Images that somebody wants to stay when the disk is full, besides those of `mirror.pinned`: `roadbed mirror pin`.
//!
//! They are named in a file of the data directory, so that whoever has the machine can change them while the mirror runs, which reads
//! them whenever it has to make room.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use oci::{Digest, Reference, RepoName, Tag};
use outbound::distribution::{DOCKER_IO, on_docker_hub};
use store::{KeptImage, Store};

use crate::config::mirror::NamespaceName;
use crate::inside::Inside;

/// Name of the file in the data directory.
const FILE: &str = "pins.json";

/// Bytes of the file.
const FILE_BYTES: u64 = 1 << 20;

/// Most pins: each is looked up when room is made.
const MOST: usize = 1_000;

/// What stays: a repository, what a tag of it is, or what has a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// As it is called.
    text: String,
    /// As it is kept here; `None`: wherever it is.
    repo: Option<RepoName>,
    /// `None`: all that is in the repository.
    reference: Option<Reference>,
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(digest) = text.parse::<Digest>() {
            return Ok(Self {
                text: digest.to_string(),
                repo: None,
                reference: Some(Reference::Digest(digest)),
            });
        }
        let (host, rest) = text
            .split_once('/')
            .ok_or("name an image with its registry, such as docker.io/library/alpine:3, or a digest")?;
        let is_hub = DOCKER_IO.contains(&host);
        let host = if is_hub { "docker.io" } else { host };
        let space = host
            .parse::<NamespaceName>()
            .map_err(|error| format!("{host:?}: {error}"))?;
        let (name, mark, reference) = split(rest)?;
        let name = name.parse::<RepoName>().map_err(|error| error.to_string())?;
        let name = if is_hub { on_docker_hub(&name) } else { Some(name) };
        let name = name.ok_or("the name is too long")?;
        let local = format!("{}/{name}", space.prefix());
        Ok(Self {
            text: match &reference {
                Some(reference) => format!("{host}/{name}{mark}{reference}"),
                None => format!("{host}/{name}"),
            },
            repo: Some(local.parse().map_err(|_| "the name is too long")?),
            reference,
        })
    }
}

/// `NAME`, `NAME:TAG` or `NAME@DIGEST`.
fn split(text: &str) -> Result<(&str, char, Option<Reference>), String> {
    let (name, mark, reference) = match (text.split_once('@'), text.rsplit_once(':')) {
        (Some((name, digest)), _) => {
            let digest = digest.parse::<Digest>().map_err(|error| error.to_string())?;
            return Ok((name, '@', Some(digest.into())));
        }
        (None, Some((name, tag))) => (name, ':', tag),
        (None, None) => return Ok((text, ':', None)),
    };
    let tag = reference.parse::<Tag>().map_err(|error| error.to_string())?;
    Ok((name, mark, Some(Reference::Tag(tag))))
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a data directory has pinned, in its order.
pub(crate) fn pins(data: &Path) -> Result<Vec<Pin>> {
    Ok(read(&Inside::open(data)?)?.into_values().collect())
}

/// Adds pins and takes others away. Answers all that there are then.
pub(crate) fn change(data: &Path, add: &[Pin], remove: &[Pin]) -> Result<Vec<Pin>> {
    let directory = Inside::open(data)?;
    let _alone = directory.lock()?;
    let mut pins = read(&directory)?;
    for pin in remove {
        ensure!(
            pins.remove(&pin.text).is_some(),
            "{pin} is not pinned: see `roadbed mirror pins`, and mirror.pinned of the configuration"
        );
    }
    pins.extend(add.iter().map(|pin| (pin.text.clone(), pin.clone())));
    ensure!(
        pins.len() <= MOST,
        "at most {MOST} images are pinned: pin whole repositories, or patterns of them with mirror.pinned"
    );
    write(&directory, &pins)?;
    Ok(pins.into_values().collect())
}

fn read(directory: &Inside) -> Result<BTreeMap<String, Pin>> {
    let Some(file) = directory.file(FILE)? else {
        return Ok(BTreeMap::new());
    };
    let shown = directory.path(FILE);
    let damaged = || format!("{} cannot be read: remove it and pin again", shown.display());
    let mut bytes = Vec::new();
    file.take(FILE_BYTES)
        .read_to_end(&mut bytes)
        .with_context(damaged)?;
    let texts: Vec<String> = serde_json::from_slice(&bytes).with_context(damaged)?;
    let pins = texts.into_iter().map(|text| {
        let pin = text
            .parse::<Pin>()
            .map_err(anyhow::Error::msg)
            .with_context(damaged)?;
        Ok((pin.text.clone(), pin))
    });
    pins.collect()
}

fn write(directory: &Inside, pins: &BTreeMap<String, Pin>) -> Result<()> {
    let texts: Vec<&String> = pins.keys().collect();
    let bytes = serde_json::to_vec_pretty(&texts)?;
    let mut draft = directory.begin()?;
    // Often it is not the mirror's user who pins; the mirror must be able to read it all the same.
    let written = draft.file.set_permissions(Permissions::from_mode(0o644));
    let written = written.and_then(|()| draft.file.write_all(&bytes));
    let written = written.and_then(|()| draft.commit(FILE));
    written.with_context(|| format!("cannot write {}", directory.path(FILE).display()))
}

/// The images that a mirror holds and that are pinned.
pub(super) struct Kept {
    repos: Vec<RepoName>,
    /// Where they are, if it matters.
    images: Vec<(Option<RepoName>, Digest)>,
}

impl Kept {
    /// Reads what is pinned in a data directory, and looks for it in its store.
    pub(super) async fn find(data: PathBuf, store: &Store) -> Result<Self> {
        let pins = tokio::task::spawn_blocking(move || pins(&data)).await??;
        let mut kept = Self {
            repos: Vec::new(),
            images: Vec::new(),
        };
        for pin in pins {
            let Some(reference) = &pin.reference else {
                kept.repos.extend(pin.repo);
                continue;
            };
            let held = store.held_as(pin.repo.as_ref(), reference).await?;
            let images = held.into_iter().map(|digest| (pin.repo.clone(), digest));
            kept.images.extend(images);
        }
        Ok(kept)
    }

    pub(super) fn has(&self, image: &KeptImage) -> bool {
        let is_it = |(repo, digest): &(Option<RepoName>, Digest)| {
            *digest == image.digest && repo.as_ref().is_none_or(|repo| *repo == image.repo)
        };
        self.repos.contains(&image.repo) || self.images.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn pin(text: &str) -> Pin {
        text.parse().unwrap()
    }

    #[test]
    fn an_image_is_pinned_as_it_is_called() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, shown, repo) in [
            (
                "docker.io/alpine:3",
                "docker.io/library/alpine:3",
                "docker.io/library/alpine",
            ),
            ("index.docker.io/a/b", "docker.io/a/b", "docker.io/a/b"),
            (
                "r.example:5000/app:1",
                "r.example:5000/app:1",
                "r.example__5000/app",
            ),
        ] {
            let pin = pin(text);
            assert_eq!(
                (pin.to_string(), pin.repo.unwrap().as_str()),
                (shown.to_owned(), repo)
            );
        }
        let by_digest = pin(&format!("quay.io/a/b@{digest}"));
        assert_eq!(by_digest.to_string(), format!("quay.io/a/b@{digest}"));
        assert_eq!((pin(&digest).repo, pin(&digest).to_string()), (None, digest));
        for wrong in [
            "",
            "alpine",
            "library/alpine:3",
            "docker.io/",
            "docker.io/a:",
            "docker.io/a@x",
            "docker.io/A",
        ] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_text_leads_astray() {
        let words = [
            "docker.io",
            "/",
            ":",
            "@",
            "sha256:",
            "a",
            "..",
            "A",
            "5000",
            "\n",
            "\u{e9}",
            "%",
        ];
        for seed in 0..2_000 {
            let text = Dice::new(seed).text(&words, 12);
            if let Ok(pin) = text.parse::<Pin>() {
                assert_eq!(pin.to_string().parse::<Pin>().unwrap(), pin, "{text}");
            }
        }
    }

    #[test]
    fn pins_come_and_go() {
        let data = tempfile::tempdir().unwrap();
        assert!(pins(data.path()).unwrap().is_empty());
        let (one, two) = (pin("docker.io/a/b:1"), pin("quay.io/a/b"));
        change(data.path(), &[two.clone(), one.clone(), one.clone()], &[]).unwrap();
        assert_eq!(pins(data.path()).unwrap(), [one.clone(), two.clone()]);
        let left = change(data.path(), &[], std::slice::from_ref(&one)).unwrap();
        assert_eq!(left, [two]);
        let error = change(data.path(), &[], &[one]).unwrap_err().to_string();
        assert!(error.contains("is not pinned"), "{error}");
        std::fs::write(data.path().join(FILE), "[\"nonsense\"]").unwrap();
        let error = pins(data.path()).unwrap_err().to_string();
        assert!(error.contains("remove it and pin again"), "{error}");
    }

    #[test]
    fn so_many_are_pinned_and_no_more() {
        let data = tempfile::tempdir().unwrap();
        let all: Vec<Pin> = (0..=MOST)
            .map(|number| pin(&format!("quay.io/a/b:{number}")))
            .collect();
        change(data.path(), &all[1..], &[]).unwrap();
        let error = change(data.path(), &all[..1], &[]).unwrap_err().to_string();
        assert!(error.contains("at most 1000"), "{error}");
        assert_eq!(pins(data.path()).unwrap().len(), MOST);
        std::fs::write(
            data.path().join(FILE),
            " ".repeat(usize::try_from(FILE_BYTES).unwrap() + 1),
        )
        .unwrap();
        assert!(pins(data.path()).is_err());
    }
}
