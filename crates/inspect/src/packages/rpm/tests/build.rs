//! Databases of rpm in each of its forms, small enough to read.

/// A tag and its value.
pub(in crate::packages) type Tag = (u32, TagValue);

pub(in crate::packages) enum TagValue {
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<u32>),
}

impl From<&str> for TagValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<&str>> for TagValue {
    fn from(texts: Vec<&str>) -> Self {
        Self::Texts(texts.into_iter().map(str::to_owned).collect())
    }
}

impl From<Vec<u32>> for TagValue {
    fn from(numbers: Vec<u32>) -> Self {
        Self::Numbers(numbers)
    }
}

/// The header of a package.
pub(in crate::packages) fn header(tags: &[Tag]) -> Vec<u8> {
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, value) in tags {
        let start = store.len();
        let (kind, count) = match value {
            TagValue::Text(text) => {
                store.extend([text.as_bytes(), b"\0"].concat());
                (6, 1)
            }
            TagValue::Texts(texts) => {
                for text in texts {
                    store.extend([text.as_bytes(), b"\0"].concat());
                }
                (8, texts.len())
            }
            TagValue::Numbers(numbers) => {
                for number in numbers {
                    store.extend(number.to_be_bytes());
                }
                (4, numbers.len())
            }
        };
        for number in [*tag, kind, u32_of(start), u32_of(count)] {
            index.extend(number.to_be_bytes());
        }
    }
    [
        &u32_of(tags.len()).to_be_bytes()[..],
        &u32_of(store.len()).to_be_bytes(),
        &index,
        &store,
    ]
    .concat()
}

fn u32_of(number: usize) -> u32 {
    number.try_into().unwrap()
}

/// One page of slots for every 254 blobs, then the blobs.
pub(in crate::packages) fn ndb(blobs: &[Vec<u8>]) -> Vec<u8> {
    let slot_pages = (blobs.len() + 2).div_ceil(256);
    let mut slots = Vec::new();
    let mut body: Vec<u8> = Vec::new();
    for (index, blob) in blobs.iter().enumerate() {
        let package = u32_of(index + 1).to_le_bytes();
        let offset = slot_pages * 4_096 + body.len();
        body.extend(
            [
                &b"BlbS"[..],
                &package,
                &[0; 4],
                &u32_of(blob.len()).to_le_bytes(),
                blob,
            ]
            .concat(),
        );
        body.extend([0; 4]);
        body.extend(u32_of(blob.len()).to_le_bytes());
        body.extend(b"BlbE");
        body.resize(body.len().next_multiple_of(16), 0);
        let blocks = slot_pages * 256 + body.len() / 16 - offset / 16;
        slots.extend(
            [
                &b"Slot"[..],
                &package,
                &u32_of(offset / 16).to_le_bytes(),
                &u32_of(blocks).to_le_bytes(),
            ]
            .concat(),
        );
    }
    let mut out = [
        &b"RpmP"[..],
        &[0; 4],
        &[1, 0, 0, 0],
        &u32_of(slot_pages).to_le_bytes(),
        &[0; 16],
    ]
    .concat();
    out.extend(slots);
    while out.len() < slot_pages * 4_096 {
        out.extend(*b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    out.extend(body);
    out
}

const BERKELEY_PAGE: usize = 512;

/// Blobs of up to 200 bytes in the page, others on pages of their own.
pub(in crate::packages) fn berkeley(blobs: &[Vec<u8>], is_big: bool) -> Vec<u8> {
    let u32 = |number: usize| {
        if is_big {
            u32_of(number).to_be_bytes()
        } else {
            u32_of(number).to_le_bytes()
        }
    };
    let u16 = |number: usize| {
        let number = u16::try_from(number).unwrap();
        if is_big {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let page = |number: usize, next: usize, entries: usize, offset: usize, kind: u8| {
        let mut page = [
            &[0; 8][..],
            &u32(number),
            &u32(0),
            &u32(next),
            &u16(entries),
            &u16(offset),
            &[0, kind],
        ]
        .concat();
        page.resize(BERKELEY_PAGE, 0);
        page
    };
    let mut pages = vec![page(0, 0, 0, 0, 8)];
    pages[0][12..16].copy_from_slice(&u32(0x0006_1561));
    pages[0][16..20].copy_from_slice(&u32(9));
    pages[0][20..24].copy_from_slice(&u32(BERKELEY_PAGE));
    pages[0][24] = 0;
    for (index, blob) in std::iter::once(&vec![9, 0, 0, 0]).chain(blobs).enumerate() {
        let mut item = [&[1][..], blob].concat();
        let own = pages.len();
        pages.push(page(own, 0, 2, 0, 13));
        if blob.len() > 200 {
            item = [&[3, 0, 0, 0][..], &u32(pages.len()), &u32(blob.len())].concat();
            let mut chunks = blob.chunks(BERKELEY_PAGE - 26).peekable();
            while let Some(chunk) = chunks.next() {
                let number = pages.len();
                let next = if chunks.peek().is_some() { number + 1 } else { 0 };
                let mut overflow = page(number, next, 1, chunk.len(), 7);
                overflow[26..26 + chunk.len()].copy_from_slice(chunk);
                pages.push(overflow);
            }
        }
        let key = [&[1][..], &u32(index)].concat();
        let key_at = BERKELEY_PAGE - key.len();
        let item_at = key_at - item.len();
        pages[own][26..28].copy_from_slice(&u16(key_at));
        pages[own][28..30].copy_from_slice(&u16(item_at));
        pages[own][key_at..].copy_from_slice(&key);
        pages[own][item_at..key_at].copy_from_slice(&item);
    }
    pages.concat()
}

pub(in crate::packages) const SQLITE_PAGE: usize = 512;

/// Page 1 is the schema, page 2 the root, which points at a leaf a blob.
pub(in crate::packages) fn sqlite(blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut first = b"SQLite format 3\0".to_vec();
    first.extend(u16::try_from(SQLITE_PAGE).unwrap().to_be_bytes());
    first.resize(100, 0);
    let schema = record(
        &[
            b"table",
            b"Packages",
            b"Packages",
            &[2],
            b"CREATE TABLE 'Packages' (x)",
        ],
        &[0, 0, 0, 1, 0],
    );
    let mut pages = vec![leaf(first, 1, &schema, 0), Vec::new()];
    let mut children = Vec::new();
    for (row, blob) in blobs.iter().enumerate() {
        let payload = record(&[&[], blob], &[2, 3]);
        children.push(pages.len() + 1);
        let local = local(payload.len());
        pages.push(leaf(Vec::new(), row + 1, &payload, pages.len() + 2));
        let mut chunks = payload[local..].chunks(SQLITE_PAGE - 4).peekable();
        while let Some(chunk) = chunks.next() {
            let next = if chunks.peek().is_some() {
                pages.len() + 2
            } else {
                0
            };
            let mut page = [&u32_of(next).to_be_bytes()[..], chunk].concat();
            page.resize(SQLITE_PAGE, 0);
            pages.push(page);
        }
    }
    pages[1] = interior(&children);
    pages.concat()
}

fn interior(children: &[usize]) -> Vec<u8> {
    let (right, others) = children.split_last().unwrap();
    let mut page = vec![5, 0, 0];
    page.extend(u16::try_from(others.len()).unwrap().to_be_bytes());
    page.extend([0; 3]);
    page.extend(u32_of(*right).to_be_bytes());
    page.resize(SQLITE_PAGE, 0);
    for (index, child) in others.iter().enumerate() {
        let at = SQLITE_PAGE - 5 * (index + 1);
        page[12 + 2 * index..][..2].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
        page[at..at + 4].copy_from_slice(&u32_of(*child).to_be_bytes());
        page[at + 4] = u8::try_from(index + 1).unwrap();
    }
    page
}

/// A page with one cell, which goes on at page `overflow` if it is long.
fn leaf(start: Vec<u8>, row: usize, payload: &[u8], overflow: usize) -> Vec<u8> {
    let local = local(payload.len());
    let mut cell = [varint(payload.len()), varint(row), payload[..local].to_vec()].concat();
    if local < payload.len() {
        cell.extend(u32_of(overflow).to_be_bytes());
    }
    let at = SQLITE_PAGE - cell.len();
    let mut page = start;
    page.extend([13, 0, 0, 0, 1, 0, 0, 0]);
    page.extend(u16::try_from(at).unwrap().to_be_bytes());
    page.resize(at, 0);
    page.extend(cell);
    page
}

fn local(length: usize) -> usize {
    let (most, least) = (SQLITE_PAGE - 35, (SQLITE_PAGE - 12) * 32 / 255 - 23);
    let some = least + length.saturating_sub(least) % (SQLITE_PAGE - 4);
    match length {
        _ if length <= most => length,
        _ if some <= most => some,
        _ => least,
    }
}

/// Kinds: 0 text, 1 a number of one byte, 2 null, 3 blob.
fn record(values: &[&[u8]], kinds: &[u8]) -> Vec<u8> {
    let types: Vec<u8> = values
        .iter()
        .zip(kinds)
        .flat_map(|(value, kind)| match kind {
            0 => varint(value.len() * 2 + 13),
            1 => varint(1),
            2 => varint(0),
            _ => varint(value.len() * 2 + 12),
        })
        .collect();
    [varint(types.len() + 1), types, values.concat()].concat()
}

fn varint(number: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(number & 0x7f).unwrap()];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.insert(0, u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes
}
