//! Digests of single files. A fleet has hundreds of millions of files: they are found in the compressed listings of layers, one
//! after the other or by an index that the store keeps, and the layers lead to images here.

use findings::{Listing, ListingError};
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

    /// The images that have one of these layers. Whether something above hides what lies there is for their reports to say, so
    /// all are uncertain.
    pub fn by_layers(&self, blobs: &[Digest], scope: &Scope) -> Answer {
        let mut found = Found::of(self);
        for (number, layer) in self.layers.iter() {
            let blob = layer.blob.digest(&self.strings);
            if blob.is_some_and(|blob| blobs.contains(&blob)) {
                let images = self.layer_images.get(number as usize).unwrap_or(&Posting::None);
                images.for_each(|image| found.put(image, State::Uncertain));
            }
        }
        found.into_answer(scope)
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
}
