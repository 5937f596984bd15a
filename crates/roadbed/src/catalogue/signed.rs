//! By whom a catalogue is signed.

use std::{collections::BTreeSet, fs::File, io::Read as _};

use anyhow::{Context as _, Result};
use oci::{Manifest, RepoName};
use signatures::{Announced, Checked, Image, TrustedSigner, announced, check};
use store::{Store, StoredManifest};
use time::OffsetDateTime;

use super::CatalogueConfig;
use crate::judge::stored_limits;

/// Problems that are told.
const TOLD: usize = 3;

/// The trusted ones of the signers who count that signed it, or what is attached to it instead, in words.
pub(super) async fn by(
    store: &Store,
    repo: &RepoName,
    manifest: &StoredManifest,
    config: &CatalogueConfig,
) -> Result<Result<Vec<String>, String>> {
    let signers = trusted(store, config).await?;
    let micros = i128::from(store.now().micros());
    let now = OffsetDateTime::from_unix_timestamp_nanos(micros * 1_000)
        .context("the clock is beyond any calendar")?;
    let limits = config.signatures;
    let attached = store
        .attachments(repo, &manifest.digest, limits.documents)
        .await?;
    let (mut names, mut problems, mut bytes) = (BTreeSet::new(), Vec::new(), 0_u64);
    // What is said of an index that names it is not about a catalogue.
    let own = attached
        .found
        .iter()
        .filter(|attachment| attachment.subject == manifest.digest);
    for attachment in own {
        let stored = &attachment.manifest;
        let parsed = Manifest::parse(&stored.bytes, Some(&stored.media_type), &stored_limits())
            .context("the manifest that was stored cannot be read")?;
        for announced in announced(&parsed).take(limits.documents) {
            bytes = bytes.saturating_add(announced.blob.size);
            if announced.blob.size > limits.document_bytes || bytes > limits.total_bytes {
                problems
                    .push("a signature is larger than signatures.document_bytes or total_bytes".to_owned());
                continue;
            }
            let Some(document) = read(store, &announced).await? else {
                continue;
            };
            let about = Image {
                repository: repo,
                digest: &manifest.digest,
                manifest: &manifest.bytes,
            };
            let checked = check(&announced, &document, &about, &signers, now);
            note(checked, &mut names, &mut problems);
        }
    }
    if !names.is_empty() {
        return Ok(Ok(names.into_iter().collect()));
    }
    problems.truncate(TOLD);
    Ok(Err(if problems.is_empty() {
        "nothing is attached to it as a signature; sign it (cosign sign)".to_owned()
    } else {
        problems.join("; ")
    }))
}

/// The signers that are named and trusted.
async fn trusted(store: &Store, config: &CatalogueConfig) -> Result<Vec<TrustedSigner>> {
    let specs = store.trusted_signers().await?;
    let named = specs
        .into_iter()
        .filter(|spec| config.signers.contains(&spec.name));
    // What cannot be used was refused when it was set; one that is kept all the same stands behind nothing.
    Ok(named.filter_map(|spec| TrustedSigner::new(spec).ok()).collect())
}

fn note(checked: Checked, names: &mut BTreeSet<String>, problems: &mut Vec<String>) {
    if checked.is_signature() {
        names.extend(checked.signers);
    } else if !checked.signers.is_empty() {
        problems.push("an attestation is no signature of it".to_owned());
    }
    problems.extend(checked.problem.map(|problem| problem.to_string()));
}

async fn read(store: &Store, announced: &Announced) -> Result<Option<Vec<u8>>> {
    let Some(file) = store.blob_file(&announced.blob.digest).await? else {
        return Ok(None);
    };
    let size = announced.blob.size;
    let read = tokio::task::spawn_blocking(move || read_file(file, size)).await;
    read.context("the reading was lost")?.map(Some)
}

/// As many bytes as were announced.
pub(super) fn read_file(file: File, size: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(size).read_to_end(&mut bytes);
    read.context("a document that was stored cannot be read")?;
    Ok(bytes)
}
