//! Archives made by chance from the pieces that parsers stumble over. The same each time.

use super::builder::{Part, archive, entry, file, global, link, long, open_archive, pax};

/// A small generator of numbers (xorshift): the tests need variety, not quality.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a usize")
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const NAMES: &[&str] = &[
    "a",
    "dir/b",
    "dir/",
    "./c",
    "/d",
    "../e",
    "f/../g",
    "",
    "long/long/long/name",
    "h/",
];
const TYPES: &[u8] = b"000001234567SLKxgXNVMD\0\0Z";
const KEYS: &[&str] = &[
    "path",
    "path",
    "linkpath",
    "size",
    "size",
    "mtime",
    "uid",
    "comment",
    "SCHILY.xattr.user.x",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.size",
    "GNU.sparse.realsize",
    "GNU.sparse.map",
    "GNU.sparse.numblocks",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "uname",
];
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "3",
    "512",
    "600",
    "1024",
    "-1",
    "+3",
    "name",
    "dir/name",
    "dir/",
    "1.5",
    "0,3",
    "0,1,2,1",
    "10,2",
    "9223372036854775807",
    "9223372036854775808",
    "x y",
    "a\0b",
    " 3",
    "1_0",
    "../up",
    "3.",
    ".5",
];
const FIELDS: &[&[u8; 12]] = &[
    b"00000000000\0",
    b"00000000003\0",
    b"0000000003 \0",
    b"          3 ",
    b"3\0\0\0\0\0\0\0\0\0\0\0",
    b"\0\0\0\x000000003\0",
    b"3\x0000000003\0\0",
    b"00000001000\0",
    b"777777777777",
    b"0o3\0\0\0\0\0\0\0\0\0",
    b"-3\0\0\0\0\0\0\0\0\0\0",
    b"\x80\0\0\0\0\0\0\0\0\0\0\x03",
    b"\x80\0\0\0\x7f\0\0\0\0\0\0\x03",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x81\0\0\0\0\0\0\0\0\0\0\x03",
    b"\xc0\0\0\0\0\0\0\0\0\0\0\x03",
    b"\t3\0\0\0\0\0\0\0\0\0\0",
    b"            ",
];

fn content(chance: &mut Chance) -> Vec<u8> {
    let length = chance.pick(&[0, 0, 1, 3, 3, 511, 512, 513, 1024, 1500]);
    (0..length).map(|place| b"0123456789\n"[place % 11]).collect()
}

fn records(chance: &mut Chance) -> Vec<(&'static str, &'static str)> {
    (0..chance.below(5))
        .map(|_| (chance.pick(KEYS), chance.pick(VALUES)))
        .collect()
}

fn sparse(chance: &mut Chance) -> Vec<Part> {
    let map = chance.pick(&[
        "2\n0\n3\n10\n2\n",
        "0\n",
        "1\n0\n3\n",
        "1\n5\n9999\n",
        "x\n",
        "2\n0\n3\n1\n1\n",
    ]);
    let version = chance.pick(&[("1", "0"), ("1", "0"), ("0", "1"), ("0", "0"), ("2", "0")]);
    let mut data = map.as_bytes().to_vec();
    data.resize(512, 0);
    data.extend_from_slice(&b"xyzuvw"[..chance.below(6)]);
    let header = pax(&[
        ("GNU.sparse.major", version.0),
        ("GNU.sparse.minor", version.1),
        ("GNU.sparse.name", chance.pick(&["sparse", "sparse", "dir/s", ""])),
        (
            "GNU.sparse.realsize",
            chance.pick(&["12", "12", "3", "20", "-1", "x"]),
        ),
        ("GNU.sparse.map", chance.pick(&["0,3", "0,3,10,2", "", "0"])),
        ("GNU.sparse.numblocks", chance.pick(&["1", "2", "0"])),
    ]);
    vec![header, file("GNUSparseFile.0/sparse", data)]
}

fn old_sparse(chance: &mut Chance) -> Part {
    let numbers = |offset: u64, length: u64| format!("{offset:011o}\0{length:011o}\0").into_bytes();
    let pieces = [numbers(0, 3), numbers(chance.pick(&[10, 10, 1]), 2)].concat();
    let real = chance.pick(&[12_u64, 12, 13, 5]);
    entry(b'S', "old-sparse")
        .gnu()
        .raw(386, &pieces)
        .raw(483, format!("{real:011o}\0").as_bytes())
        .content(&b"abcde"[..chance.pick(&[5, 5, 5, 4, 3])])
}

fn part(chance: &mut Chance) -> Vec<Part> {
    let name = chance.pick(NAMES);
    let part = match chance.below(12) {
        0..=3 => file(name, content(chance)),
        4 => return vec![pax(&records(chance)), file(name, content(chance))],
        5 => pax(&records(chance)),
        6 => long(
            chance.pick(b"LLK"),
            chance.pick(&["long-name", "dir/long", "", "a\0b", "slash/"]),
        ),
        7 => link(chance.pick(b"12"), name, chance.pick(NAMES)),
        8 => global(&records(chance)),
        9 => return sparse(chance),
        10 => old_sparse(chance),
        _ => entry(chance.pick(TYPES), name).content(content(chance)),
    };
    vec![tampered(chance, part)]
}

/// Now and then a field that is not as it should be.
fn tampered(chance: &mut Chance, part: Part) -> Part {
    if !chance.one_in(4) {
        return part;
    }
    let field = chance.pick(FIELDS);
    match chance.below(12) {
        0 | 1 => part.size_field(field),
        2 => part.gnu(),
        3 => part.v7(),
        4 => part.raw(508, b"tar\0"),
        5 => part.raw(345, b"prefix/of/it"),
        6 => part.gnu().raw(345, field),
        7 => part.raw(chance.pick(&[100, 108, 116, 329, 337]), &field[..8]),
        8 => part.raw(136, field),
        9 => part.raw(10, b"behind"),
        10 => {
            let part = part.raw(265, b"\xe9");
            let sum = if chance.one_in(2) {
                part.sums().1
            } else {
                part.sums().0 + 1
            };
            let field = format!("{sum:06o}\0 ");
            part.checksum_field(field.as_bytes().try_into().expect("eight bytes"))
        }
        _ => {
            let (place, byte) = (chance.below(512), chance.below(256));
            part.raw(place, &[u8::try_from(byte).expect("a byte")])
        }
    }
}

/// One archive.
pub(super) fn generate(chance: &mut Chance) -> Vec<u8> {
    let parts: Vec<Part> = (0..=chance.below(5)).flat_map(|_| part(chance)).collect();
    let mut bytes = if chance.one_in(8) {
        open_archive(&parts)
    } else {
        archive(&parts)
    };
    match chance.below(24) {
        0 => bytes.truncate(bytes.len() - chance.below(bytes.len())),
        1 => bytes.extend(archive(&[file("behind", "the end")])),
        2 => bytes.extend(b"garbage"),
        3 => {
            let block = open_archive(&parts).len() / 512;
            let place = 512 * chance.below(block + 1);
            bytes.splice(place..place, [0; 512]);
        }
        _ => {}
    }
    bytes
}
