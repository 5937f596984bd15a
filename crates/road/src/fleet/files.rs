//! Digests of single files. A fleet has hundreds of millions of files: they are found in the compressed listings of layers, one
//! after the other or by an index that the store keeps, and the layers lead to images here.

use std::{collections::BTreeSet, ops::Bound};

use findings::{LayerReport, Listing, ListingError};
use oci::{Algorithm, Digest};
use roaring::RoaringBitmap;

use super::{Fleet, Scope, answer::Answer, answer::Found, answer::State, posting::Posting};

/// Digits of a digest that a listing keeps.
const KEPT: usize = 32;

/// Paths of a listing whose file has this digest, by as much of it as a listing keeps (16 bytes of the SHA-256). `limit` bounds
/// the bytes that the listing decodes to.
///
/// # Errors
/// The listing is damaged or larger.
pub fn files_with(listing: &Listing, digest: &Digest, limit: u64) -> Result<Vec<String>, ListingError> {
    let hex = digest.hex();
    if digest.algorithm() != Algorithm::Sha256 {
        return Ok(Vec::new());
    }
    let entries = listing.entries(limit)?.into_iter();
    let has_it = |content: &str| content.len() == KEPT && hex.starts_with(content);
    Ok(entries
        .filter(|entry| entry.kind == '0' && has_it(&entry.content))
        .map(|entry| entry.path)
        .collect())
}

/// Which of these paths of lower layers a layer hides: by a whiteout, by an opaque directory above, or by what it puts there or in
/// the place of a directory above (image-spec, layer.md, "Applying Changesets"). `limit` bounds the bytes that its listing decodes
/// to.
///
/// # Errors
/// The listing is damaged or larger.
pub fn hidden_by(
    report: &LayerReport,
    paths: &BTreeSet<String>,
    limit: u64,
) -> Result<BTreeSet<String>, ListingError> {
    // What is hidden is taken out, so that each path costs once whatever hides it.
    let mut left: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let mut hidden = BTreeSet::new();
    for directory in &report.opaque {
        hide_below(&mut left, directory, &mut hidden);
    }
    let mut hide = |path: &str| {
        if let Some(path) = left.take(path) {
            hidden.insert(path.to_owned());
        }
        hide_below(&mut left, path, &mut hidden);
    };
    report.whiteouts.iter().for_each(|path| hide(path));
    report.listing.for_each(limit, |path, kind| {
        if kind != '5' {
            hide(path);
        }
    })?;
    Ok(hidden)
}

/// Hides everything below a directory; the root is the empty path.
fn hide_below(left: &mut BTreeSet<&str>, directory: &str, hidden: &mut BTreeSet<String>) {
    if directory.is_empty() {
        hidden.extend(std::mem::take(left).into_iter().map(str::to_owned));
        return;
    }
    let prefix = format!("{directory}/");
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let below = left
        .range::<str, _>(from)
        .take_while(|path| path.starts_with(&prefix));
    for path in below.copied().collect::<Vec<_>>() {
        left.remove(path);
        hidden.insert(path.to_owned());
    }
}

impl Fleet {
    /// Digests of the layers of a scope, each once: whose listings are to be searched.
    pub fn layers_of(&self, scope: &Scope) -> Vec<Digest> {
        let mut numbers = RoaringBitmap::new();
        for image in &scope.images {
            let image = self.images.get(image);
            numbers.extend(image.into_iter().flat_map(|image| image.layers.iter().copied()));
        }
        let mut digests: Vec<Digest> = numbers
            .iter()
            .filter_map(|number| self.layers.get(number)?.blob.digest(&self.strings))
            .collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    /// Digests of the layers that lie above one of these in an image of the scope, each once: they may hide what it has.
    pub fn layers_above(&self, blobs: &BTreeSet<Digest>, scope: &Scope) -> Vec<Digest> {
        let with = self.numbers_of(blobs);
        let mut above = RoaringBitmap::new();
        for image in &self.images_with(&with) & &scope.images {
            let layers = self
                .images
                .get(image)
                .map(|image| &*image.layers)
                .unwrap_or_default();
            let lowest = layers.iter().position(|layer| with.contains(*layer));
            above.extend(
                lowest
                    .into_iter()
                    .flat_map(|lowest| layers[lowest + 1..].iter().copied()),
            );
        }
        let digests = above.iter().filter_map(|number| self.blob_of(number));
        digests.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The images that have one of these layers. What that means for an image is the caller's to say, who knows what lies in the
    /// layers: by their digests, lowest first. `None`: one of which nobody knows its digest.
    pub fn by_layers(
        &self,
        blobs: &BTreeSet<Digest>,
        scope: &Scope,
        state: impl Fn(&[Option<Digest>]) -> State,
    ) -> Answer {
        let mut found = Found::of(self);
        let with = self.numbers_of(blobs);
        for number in &self.images_with(&with) & &scope.images {
            let Some(image) = self.images.get(number) else {
                continue;
            };
            let layers: Vec<Option<Digest>> = image.layers.iter().map(|layer| self.blob_of(*layer)).collect();
            found.put(number, state(&layers));
        }
        found.into_answer(scope)
    }

    fn numbers_of(&self, blobs: &BTreeSet<Digest>) -> RoaringBitmap {
        let layers = self.layers.iter().filter(|(_, layer)| {
            let blob = layer.blob.digest(&self.strings);
            blob.is_some_and(|blob| blobs.contains(&blob))
        });
        layers.map(|(number, _)| number).collect()
    }

    fn images_with(&self, layers: &RoaringBitmap) -> RoaringBitmap {
        let mut images = RoaringBitmap::new();
        for layer in layers {
            let of_layer = self.layer_images.get(layer as usize).unwrap_or(&Posting::None);
            of_layer.for_each(|image| {
                images.insert(image);
            });
        }
        images
    }

    fn blob_of(&self, layer: u32) -> Option<Digest> {
        self.layers.get(layer)?.blob.digest(&self.strings)
    }
}

#[cfg(test)]
mod tests {
    use findings::ListingEntry;

    use super::*;

    #[test]
    fn a_file_is_found_by_its_digest() {
        let digest = Digest::of(Algorithm::Sha256, b"a file");
        let entry = |path: &str, kind, content: &str| ListingEntry {
            path: path.to_owned(),
            kind,
            mode: 0o644,
            size: 1,
            content: content.to_owned(),
        };
        let kept = &digest.hex()[..KEPT];
        let listing = Listing::of(&[
            entry("a", '0', kept),
            entry("b", '2', kept),
            entry("c", '0', &kept[..4]),
            entry("d", '0', ""),
            entry("e", '0', kept),
        ]);
        assert_eq!(files_with(&listing, &digest, 1 << 20).unwrap(), ["a", "e"]);
        assert!(files_with(&listing, &digest, 3).is_err());
        let other = Digest::of(Algorithm::Sha512, b"a file");
        assert!(files_with(&listing, &other, 1 << 20).unwrap().is_empty());
    }

    #[test]
    fn a_layer_hides_what_it_deletes_replaces_or_makes_opaque() {
        let entry = |path: &str, kind| ListingEntry {
            path: path.to_owned(),
            kind,
            mode: 0o644,
            size: 1,
            content: String::new(),
        };
        let report = |whiteouts: &[&str], opaque: &[&str], entries: &[(&str, char)]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let entries: Vec<ListingEntry> = entries.iter().map(|(path, kind)| entry(path, *kind)).collect();
            LayerReport {
                whiteouts: owned(whiteouts),
                opaque: owned(opaque),
                listing: Listing::of(&entries),
                ..crate::fleet::tests::report("above")
            }
        };
        let paths = ["app/a.jar", "app/lib/b.jar", "application/c.jar"].map(str::to_owned);
        let paths = BTreeSet::from(paths);
        let hidden = |report: &LayerReport| {
            hidden_by(report, &paths, 1 << 20)
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>()
        };
        let table: [(LayerReport, &[&str]); 8] = [
            (report(&["app/a.jar"], &[], &[]), &["app/a.jar"]),
            (report(&["app"], &[], &[]), &["app/a.jar", "app/lib/b.jar"]),
            (report(&[], &["app/lib"], &[]), &["app/lib/b.jar"]),
            (
                report(&[], &[""], &[]),
                &["app/a.jar", "app/lib/b.jar", "application/c.jar"],
            ),
            (report(&[], &[], &[("app/a.jar", '0')]), &["app/a.jar"]),
            (report(&[], &[], &[("app/lib", '2')]), &["app/lib/b.jar"]),
            (report(&[], &[], &[("app", '5'), ("app/lib", '5')]), &[]),
            (report(&["app/x", "ap"], &["app/a.jar"], &[("app/b", '0')]), &[]),
        ];
        for (report, wanted) in table {
            assert_eq!(hidden(&report), wanted, "{report:?}");
        }
        assert!(hidden_by(&report(&[], &[], &[("app", '0')]), &paths, 1).is_err());
    }
}
