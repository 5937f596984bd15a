//! A data directory with images that nobody pushed, and the index of them.

use std::{io::Write as _, path::Path, sync::Arc};

use anyhow::Result;
use findings::advisory::{Event, RangeKind};
use oci::{Algorithm, Digest};
use road::{
    fleet::Fleet,
    synthetic::{Parameters, Synthetic},
};
use serde_json::{Value, json};
use store::{Store, StoreConfig, SyntheticImage, SystemClock, Timestamp};

/// Images that one transaction writes.
const AT_ONCE: usize = 5_000;

/// Reasons of a decision: about as many as an image of 300 packages has packages with something known about them.
const REASONS: usize = 30;

/// Writes the rows, and the index as the server would have.
pub(crate) async fn fill(directory: &Path, parameters: Parameters) -> Result<()> {
    let store = Store::open(StoreConfig::at(directory), Arc::new(SystemClock)).await?;
    let mut fleet = Fleet::default();
    let mut images = Vec::new();
    let mut number = 0_u32;
    Synthetic::new(parameters).for_each(|key, facts, moment| {
        number += 1;
        fleet.add_image(key, facts, moment);
        let tag = format!("build{number}");
        fleet.set_tags(key, [tag.as_str()]);
        images.push(SyntheticImage {
            repo: key.repository.parse().expect("it is a name"),
            digest: key.digest,
            tag: tag.parse().expect("it is a tag"),
            pushed_at: Timestamp(moment.0),
            decision: decision(number),
        });
    });
    for chunk in images.chunks(AT_ONCE) {
        store.put_synthetic(chunk.to_vec()).await?;
    }
    let mark = store.fleet_mark().await?;
    let stamp = store.event_stamp(mark.event).await?.unwrap_or_default();
    store.close().await?;
    let head = json!({ "event": mark.event, "report": mark.report, "stamp": stamp, "waiting": [] });
    let head = serde_json::to_vec(&head)?;
    // The form of the file is told in `fleet/file.rs`; one that is not believed ends the measurement.
    let mut file = std::fs::File::create(directory.join("fleet.index"))?;
    file.write_all(b"roadbed fleet file 1\n")?;
    file.write_all(&(head.len() as u64).to_le_bytes())?;
    file.write_all(&head)?;
    file.write_all(Digest::of(Algorithm::Sha256, &head).bytes())?;
    file.write_all(&fleet.encode(u64::try_from(mark.event)?))?;
    Ok(())
}

/// One of a usual size, about 8 KiB; one in a hundred takes something away.
fn decision(number: u32) -> String {
    let reason = |at: usize| {
        json!({
            "rule": "known-vulnerabilities", "effect": "warn", "kind": "vulnerability",
            "findings": [format!("CVE-2020-{}", 10_000 + at)],
            "message": format!("{number}: problem {at} in source{at} 1.2.3-4+debian12: a sentence that says what is wrong and where"),
            "fix": "1.2.3-5+debian12", "severity": "medium",
        })
    };
    let mut body = json!({ "outcome": "warn", "point": "pull", "reasons": (0..REASONS).map(reason).collect::<Vec<_>>() });
    if number.is_multiple_of(100) {
        body["waived"] = json!([{
            "finding": format!("CVE-2021-{}", 40_000 + number % 4_000), "rule": "known-vulnerabilities", "waived_as": "vex",
            "by": "security", "reason": "not affected",
        }]);
    }
    body.to_string()
}

/// Advisories about packages of the fleet, as OSV writes them.
pub(crate) fn advisories(parameters: Parameters, count: u32) -> Vec<(String, Value)> {
    let synthetic = Synthetic::new(parameters);
    let advisories = synthetic.advisories(count).into_iter().map(|advisory| {
        let affected = advisory.affected.iter().map(|affected| {
            let ranges = affected.ranges.iter().map(|range| {
                let events = range.events.iter().filter_map(|event| match event {
                    Event::Introduced(version) => Some(json!({ "introduced": version })),
                    Event::Fixed(version) => Some(json!({ "fixed": version })),
                    _ => None,
                });
                let kind = if range.kind == RangeKind::Semver { "SEMVER" } else { "ECOSYSTEM" };
                json!({ "type": kind, "events": events.collect::<Vec<_>>() })
            });
            json!({
                "package": { "ecosystem": affected.ecosystem, "name": affected.name },
                "ranges": ranges.collect::<Vec<_>>(),
            })
        });
        let document = json!({
            "schema_version": "1.6.0", "id": advisory.id, "modified": "2021-12-10T00:00:00Z", "summary": advisory.summary,
            "affected": affected.collect::<Vec<_>>(),
        });
        (format!("{}.json", advisory.id), document)
    });
    advisories.collect()
}
