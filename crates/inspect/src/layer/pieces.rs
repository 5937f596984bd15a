//! Pieces of a file, as a table of contents cuts it: what a client that reads lazily checks.

use oci::{Algorithm, Hasher};

use super::contents::first_digits;

/// A piece as the table tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Bytes of the file before it.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) size: u64,
    /// The first digits of its digest; empty where the table says nothing.
    pub(super) digest: String,
}

/// Whether pieces are the whole of a file, one after the other: clients look a place up in them.
pub(super) fn are_whole(pieces: &[Piece], size: u64) -> bool {
    let mut end = 0_u64;
    for piece in pieces {
        if piece.offset != end || piece.size == 0 {
            return false;
        }
        let Some(next) = end.checked_add(piece.size) else {
            return false;
        };
        end = next;
    }
    end == size
}

/// Compares a file with its pieces while it passes by.
pub(super) struct Comparison {
    pieces: std::vec::IntoIter<Piece>,
    /// The piece that passes by, with what is missing of it.
    now: Option<(Piece, u64)>,
    hasher: Hasher,
    differs: bool,
}

impl Comparison {
    pub(super) fn with(pieces: Vec<Piece>) -> Self {
        let mut pieces = pieces.into_iter();
        let now = pieces.next().map(begun);
        Self {
            pieces,
            now,
            hasher: Hasher::new(Algorithm::Sha256),
            differs: false,
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((piece, missing)) = &mut self.now else {
                // The file is longer than its pieces.
                self.differs = true;
                return;
            };
            let count = usize::try_from(*missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
            self.hasher.update(&bytes[..count]);
            bytes = &bytes[count..];
            *missing -= count as u64;
            if *missing > 0 {
                return;
            }
            let hasher = std::mem::replace(&mut self.hasher, Hasher::new(Algorithm::Sha256));
            let is_told = !piece.digest.is_empty();
            self.differs |= is_told && first_digits(&hasher.finish().to_string()) != piece.digest;
            self.now = self.pieces.next().map(begun);
        }
    }

    /// Whether all of the file has passed by and each piece is what was told.
    pub(super) fn agrees(self) -> bool {
        !self.differs && self.now.is_none()
    }
}

fn begun(piece: Piece) -> (Piece, u64) {
    let size = piece.size;
    (piece, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(cut: &[&str]) -> Vec<Piece> {
        let mut offset = 0;
        let piece = |text: &&str| {
            let size = text.len() as u64;
            let digest = oci::Digest::of(Algorithm::Sha256, text.as_bytes()).to_string();
            offset += size;
            Piece {
                offset: offset - size,
                size,
                digest: first_digits(&digest),
            }
        };
        cut.iter().map(piece).collect()
    }

    fn agrees(pieces: &[Piece], text: &str, at_once: usize) -> bool {
        let mut comparison = Comparison::with(pieces.to_vec());
        for chunk in text.as_bytes().chunks(at_once) {
            comparison.update(chunk);
        }
        comparison.agrees()
    }

    #[test]
    fn a_file_is_compared_with_its_pieces_however_it_passes_by() {
        let told = pieces(&["abc", "de", "f"]);
        assert!(are_whole(&told, 6));
        for at_once in 1..=6 {
            assert!(agrees(&told, "abcdef", at_once));
            for other in ["abcdeF", "Abcdef", "abcde", "abcdefg", "abdcef", ""] {
                assert!(!agrees(&told, other, at_once), "{other}");
            }
        }
        let mut untold = told;
        untold[1].digest = String::new();
        assert!(agrees(&untold, "abcXXf", 4));
    }

    #[test]
    fn pieces_with_gaps_or_behind_the_end_are_not_the_file() {
        let told = pieces(&["abc", "de"]);
        assert!(!are_whole(&told, 6) && !are_whole(&told, 4) && !are_whole(&[], 1));
        let changed = |change: fn(&mut Piece)| {
            let mut pieces = pieces(&["abc", "de"]);
            change(&mut pieces[1]);
            are_whole(&pieces, 5)
        };
        assert!(!changed(|piece| piece.offset = 2));
        assert!(!changed(|piece| piece.size = 0));
        assert!(!changed(|piece| piece.size = u64::MAX));
    }
}
