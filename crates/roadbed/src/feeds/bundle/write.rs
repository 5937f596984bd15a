//! Making a bundle.

use std::io::{self, Write};

use oci::{Algorithm, Digest, Hasher};
use store::Timestamp;
use zstd::stream::write::Encoder;

use super::{Document, FORMAT, Line, is_name};

/// How hard it is packed: lists of versions pack well already with little effort.
const LEVEL: i32 = 9;

/// Writes a bundle that was made at a moment, of documents that come one by one. Answers how many they were.
///
/// # Errors
/// A document has a name that none can have (`InvalidInput`), cannot be read, or the file cannot be written.
pub(crate) fn write(
    to: impl Write,
    created: Timestamp,
    documents: impl Iterator<Item = io::Result<Document>>,
) -> io::Result<u64> {
    let mut encoder = Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut put = |encoder: &mut Encoder<'_, _>, line: &Line| {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        hasher.update(&bytes);
        encoder.write_all(&bytes)
    };
    let head = Line::Head {
        format: FORMAT.to_owned(),
        created: created.to_rfc3339(),
    };
    put(&mut encoder, &head)?;
    let mut count = 0;
    for document in documents {
        let Document { name, text } = document?;
        if !is_name(&name) {
            let why = format!(
                "{name:?} cannot be the name of a document in a bundle: name it by a plain path below here"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let sha256 = Digest::of(Algorithm::Sha256, text.as_bytes()).hex();
        put(&mut encoder, &Line::Document { name, sha256, text })?;
        count += 1;
    }
    let end = Line::End {
        documents: count,
        sha256: hasher.finish().hex(),
    };
    let mut bytes = serde_json::to_vec(&end)?;
    bytes.push(b'\n');
    encoder.write_all(&bytes)?;
    encoder.finish()?.flush()?;
    Ok(count)
}
