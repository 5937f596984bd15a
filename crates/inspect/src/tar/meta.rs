//! Extended headers that stand before an entry: PAX and GNU's long names.

use super::{Entry, EntryKind, TarError, block::Header, pax::Records};

/// Sizes that a ustar header cannot say in octal; writers leave 0 or the largest there.
const NOT_IN_OCTAL: i64 = 1 << 33;

/// What was read before the entry that it belongs to.
#[derive(Default)]
pub(super) struct Meta {
    pax: Option<Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    odd: Vec<&'static str>,
}

impl Meta {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }

    /// The later header counts alone, as in Go; others merge the two.
    pub(super) fn put_pax(&mut self, records: Records) {
        if self.pax.replace(records).is_some() {
            self.odd.push("two extended headers stand before one entry");
        }
    }

    pub(super) fn put_long(&mut self, type_flag: u8, mut content: Vec<u8>) {
        let text = super::block::text(&content, &mut self.odd);
        if text.len() == content.len() {
            self.odd.push("a long name does not end with a NUL");
        }
        content.truncate(text.len());
        if content.is_empty() {
            self.odd.push("a long name is empty");
        }
        let place = if type_flag == b'L' {
            &mut self.long_name
        } else {
            &mut self.long_link
        };
        if place.replace(content).is_some() {
            self.odd.push("two long names stand before one entry");
        }
    }

    /// Notes of the header itself.
    pub(super) fn note(&mut self, odd: &[&'static str]) {
        self.odd.extend_from_slice(odd);
    }

    /// Applies all to the header that follows, in Go's order: PAX, then GNU's names.
    pub(super) fn apply(mut self, header: Header) -> Result<Merged, TarError> {
        let records = self.pax.take().unwrap_or_default();
        records.check_unused()?;
        let mut odd = self.odd;
        odd.extend_from_slice(&header.odd);
        let pax_size = records.number("size")?;
        let size = pax_size.unwrap_or(header.size);
        let is_long = self.long_name.is_some() || self.long_link.is_some();
        if is_long && records.changes_entries() {
            odd.push("extended headers of PAX and of GNU stand before one entry");
        }
        if records.repeats {
            odd.push("an extended header has one key twice");
        }
        if records.has_empty() {
            odd.push("an extended header has an empty name or size");
        }
        if size != header.size && !is_overflow(size, header.size) {
            odd.push("the extended header and the header disagree about the size");
        }
        let pick = |long: Option<Vec<u8>>, key, own| match long.filter(|long| !long.is_empty()) {
            Some(long) => long,
            None => records.get(key).map_or(own, <[u8]>::to_vec),
        };
        let has_slash = header.name.ends_with(b"/");
        let name = pick(self.long_name, "path", header.name);
        if header.type_flag == 0 && name.ends_with(b"/") != has_slash {
            odd.push("only one of its names is that of a directory");
        }
        let link = pick(self.long_link, "linkpath", header.link);
        let type_flag = type_flag(header.type_flag, &name, &mut odd);
        let kind = EntryKind::of(type_flag);
        let id = |key, own| -> Result<u32, TarError> {
            Ok(u32::try_from(records.number(key)?.unwrap_or(own)).unwrap_or(0))
        };
        let owner = (id("uid", header.owner.0)?, id("gid", header.owner.1)?);
        if kind != EntryKind::File && (size != 0 || header.size != 0) {
            odd.push("an entry without content has a size");
        }
        let entry = Entry {
            kind,
            type_flag,
            name,
            link,
            size: u64::try_from(size).unwrap_or(0),
            mode: u32::try_from(header.mode & 0o7777).unwrap_or(0),
            owner,
        };
        if kind == EntryKind::File && size < 0 {
            return Err(TarError::Malformed("a size is negative"));
        }
        Ok(Merged { entry, records, odd })
    }
}

/// An entry with the records that speak of its holes.
pub(super) struct Merged {
    pub(super) entry: Entry,
    pub(super) records: Records,
    pub(super) odd: Vec<&'static str>,
}

/// Whether the header's size is what writers leave there for files of 8 GiB and more.
fn is_overflow(pax: i64, header: i64) -> bool {
    pax >= NOT_IN_OCTAL && (header == 0 || header == NOT_IN_OCTAL - 1)
}

fn type_flag(stated: u8, name: &[u8], odd: &mut Vec<&'static str>) -> u8 {
    let has_slash = name.ends_with(b"/");
    match stated {
        // Old archives have no type for directories.
        0 if has_slash => return b'5',
        0 => return b'0',
        b'0' | b'7' | b'S' if has_slash => odd.push("a file has the name of a directory"),
        b'0'..=b'6' => {}
        _ => odd.push("an entry has a type that container runtimes refuse"),
    }
    stated
}
