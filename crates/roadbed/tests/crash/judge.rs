//! Compares a ledger with what the server serves after a crash.

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    dice::Dice,
    ledger::{Ledger, OpenUpload, Step},
};
use crate::harness::{
    client::Client,
    content::Algorithm,
    push::{blob_path, offset_of},
};

/// Digests beside the touched ones that are compared after each crash; all of them are compared at the end.
const SAMPLE: usize = 6;

/// Open uploads of one pusher that are finished after a crash; the others wait for later ones.
const FINISHED_UPLOADS: usize = 2;

/// Finds out what became of the step under way: all of it or nothing.
pub(super) async fn resolve(client: &Client, ledger: &mut Ledger) -> Result<()> {
    let Some(step) = ledger.under_way.take() else {
        return Ok(());
    };
    let done = match &step {
        Step::Blob { digest, length } => serves_blob(client, ledger, digest, *length).await?,
        Step::Manifest { manifest, tag } => {
            let done = serves_manifest(
                client,
                ledger,
                &manifest.document.digest,
                &manifest.document.bytes,
            )
            .await?;
            if let Some(tag) = tag {
                let named = tag_of(client, ledger, tag).await?;
                let (before, after) = (ledger.tags.get(tag), Some(&manifest.document.digest));
                let moved = named.as_ref() == after;
                ensure!(
                    moved || named.as_ref() == before,
                    "tag {tag}: {before:?} or {after:?}, not {named:?}"
                );
                ensure!(done || !moved, "tag {tag} names a manifest that is not there");
                if done && !moved {
                    ensure!(
                        ledger.manifests.contains_key(&manifest.document.digest),
                        "manifest without its tag {tag}"
                    );
                    return Ok(());
                }
            }
            done
        }
        Step::DeleteTag(tag) => {
            let (named, before) = (tag_of(client, ledger, tag).await?, ledger.tags.get(tag));
            ensure!(
                named.is_none() || named.as_ref() == before,
                "tag {tag}: {before:?} or none, not {named:?}"
            );
            named.is_none()
        }
        Step::DeleteManifest(digest) => {
            let bytes = &ledger.manifests[digest].document.bytes;
            !serves_manifest(client, ledger, digest, bytes).await?
        }
        Step::DeleteBlob(digest) => !serves_blob(client, ledger, digest, ledger.blobs[digest]).await?,
        Step::Append | Step::Session => true,
    };
    if done {
        ledger.apply(step);
    }
    Ok(())
}

/// Whether a blob is served; if so, it must be the right one.
async fn serves_blob(client: &Client, ledger: &Ledger, digest: &str, length: usize) -> Result<bool> {
    let answer = client
        .get(blob_path(&ledger.repository, digest))
        .send()
        .await?
        .expect(&[200, 404])?;
    if answer.status == 404 {
        return Ok(false);
    }
    let algorithm = if digest.starts_with("sha512") {
        Algorithm::Sha512
    } else {
        Algorithm::Sha256
    };
    let right = answer.body.len() == length && algorithm.digest(&answer.body) == digest;
    ensure!(
        right,
        "{digest} of {length} bytes is served torn: {} bytes",
        answer.body.len()
    );
    Ok(true)
}

async fn serves_manifest(client: &Client, ledger: &Ledger, digest: &str, bytes: &[u8]) -> Result<bool> {
    let path = format!("/v2/{}/manifests/{digest}", ledger.repository);
    let answer = client.get(path).send().await?.expect(&[200, 404])?;
    if answer.status == 404 {
        return Ok(false);
    }
    answer.expect_body(bytes)?;
    Ok(true)
}

async fn tag_of(client: &Client, ledger: &Ledger, tag: &str) -> Result<Option<String>> {
    let path = format!("/v2/{}/manifests/{tag}", ledger.repository);
    let answer = client.head(path).send().await?.expect(&[200, 404])?;
    Ok(answer
        .header("docker-content-digest")
        .filter(|_| answer.status == 200)
        .map(str::to_owned))
}

/// Compares tags, what was touched since last time, and a sample of the rest; with `all`, everything.
pub(super) async fn compare(client: &Client, ledger: &mut Ledger, dice: &mut Dice, all: bool) -> Result<()> {
    compare_tags(client, ledger).await?;
    let known: Vec<String> = ledger
        .blobs
        .keys()
        .chain(ledger.manifests.keys())
        .cloned()
        .collect();
    let mut wanted = std::mem::take(&mut ledger.touched);
    if all {
        wanted.extend(known);
    } else {
        wanted.extend((0..SAMPLE).filter_map(|_| dice.pick(known.iter().cloned())));
    }
    for digest in wanted {
        if let Some(length) = ledger.blobs.get(&digest) {
            ensure!(
                serves_blob(client, ledger, &digest, *length).await?,
                "acknowledged blob {digest} is lost"
            );
        }
        if let Some(manifest) = ledger.manifests.get(&digest) {
            let served = serves_manifest(client, ledger, &digest, &manifest.document.bytes).await?;
            ensure!(served, "acknowledged manifest {digest} is lost");
        }
    }
    Ok(())
}

async fn compare_tags(client: &Client, ledger: &Ledger) -> Result<()> {
    let answer = client
        .get(format!("/v2/{}/tags/list", ledger.repository))
        .send()
        .await?
        .expect(&[200, 404])?;
    let listed: Vec<String> = if answer.status == 404 {
        Vec::new()
    } else {
        serde_json::from_value(answer.json()?["tags"].clone())?
    };
    let wanted: Vec<&String> = ledger.tags.keys().collect();
    ensure!(
        listed.iter().eq(wanted.iter().copied()),
        "tags {listed:?} are listed, {wanted:?} were acknowledged"
    );
    for (tag, digest) in &ledger.tags {
        let named = tag_of(client, ledger, tag).await?;
        ensure!(
            named.as_ref() == Some(digest),
            "tag {tag} names {named:?}, {digest} was acknowledged"
        );
    }
    Ok(())
}

/// Every open upload has at least what was acknowledged; some are finished from there.
pub(super) async fn resume(client: &Client, ledger: &mut Ledger, dice: &mut Dice) -> Result<usize> {
    let mut open = std::mem::take(&mut ledger.uploads);
    for upload in &mut open {
        check_offset(client, upload)
            .await
            .with_context(|| format!("upload {}", upload.path))?;
    }
    let mut finished = 0;
    while finished < FINISHED_UPLOADS && !open.is_empty() {
        let upload = open.swap_remove(dice.index(open.len()));
        finish(client, &upload)
            .await
            .with_context(|| format!("upload {}", upload.path))?;
        let step = Step::Blob {
            digest: upload.content.digest.clone(),
            length: upload.content.bytes.len(),
        };
        ledger.apply(step);
        finished += 1;
    }
    ledger.uploads = open;
    Ok(finished)
}

async fn check_offset(client: &Client, upload: &mut OpenUpload) -> Result<()> {
    let answer = client.get(&upload.path).send().await?.expect(&[204])?;
    let offset = offset_of(&answer)?;
    let OpenUpload {
        acknowledged, sent, ..
    } = *upload;
    if !(acknowledged..=sent).contains(&offset) {
        bail!("the offset is {offset}, acknowledged were {acknowledged}, sent were {sent} bytes");
    }
    upload.acknowledged = offset;
    Ok(())
}

async fn finish(client: &Client, upload: &OpenUpload) -> Result<()> {
    let rest = upload.content.bytes.slice(upload.acknowledged..);
    let request = client
        .put(&upload.path)
        .query("digest", &upload.content.digest)
        .body(rest);
    request.send().await?.expect(&[201])?;
    Ok(())
}
