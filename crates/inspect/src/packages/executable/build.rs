//! Executables of each format with a few sections, for tests.

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::packages) enum Format {
    Elf { is_wide: bool, is_big_endian: bool },
    Pe { is_wide: bool },
    MachO { is_wide: bool, is_big_endian: bool },
}

pub(in crate::packages) const FORMATS: [Format; 9] = [
    Format::Elf {
        is_wide: true,
        is_big_endian: false,
    },
    Format::Elf {
        is_wide: true,
        is_big_endian: true,
    },
    Format::Elf {
        is_wide: false,
        is_big_endian: false,
    },
    Format::Elf {
        is_wide: false,
        is_big_endian: true,
    },
    Format::Pe { is_wide: false },
    Format::Pe { is_wide: true },
    Format::MachO {
        is_wide: true,
        is_big_endian: false,
    },
    Format::MachO {
        is_wide: false,
        is_big_endian: false,
    },
    Format::MachO {
        is_wide: false,
        is_big_endian: true,
    },
];

/// Where the data of each file are, in the file and in memory.
pub(in crate::packages) const DATA_OFFSET: usize = 1_024;
pub(in crate::packages) const DATA_ADDRESS: u64 = 0x50_0000;

impl Format {
    pub(in crate::packages) fn is_wide(self) -> bool {
        match self {
            Self::Elf { is_wide, .. } | Self::Pe { is_wide } | Self::MachO { is_wide, .. } => is_wide,
        }
    }

    pub(in crate::packages) fn is_big_endian(self) -> bool {
        match self {
            Self::Elf { is_big_endian, .. } | Self::MachO { is_big_endian, .. } => is_big_endian,
            Self::Pe { .. } => false,
        }
    }

    fn number(self, value: u64, width: usize) -> Vec<u8> {
        if self.is_big_endian() {
            value.to_be_bytes()[8 - width..].to_vec()
        } else {
            value.to_le_bytes()[..width].to_vec()
        }
    }

    fn numbers(self, values: &[(u64, usize)]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|&(value, width)| self.number(value, width))
            .collect()
    }

    pub(in crate::packages) fn word(self, value: u64) -> Vec<u8> {
        self.number(value, self.word_bytes())
    }

    fn word_bytes(self) -> usize {
        if self.is_wide() { 8 } else { 4 }
    }
}

/// A file with one writable segment of data, which a section of that name covers.
pub(in crate::packages) fn executable(format: Format, section: &str, data: &[u8]) -> Vec<u8> {
    let mut head = match format {
        Format::Elf { .. } => elf(format, section, data.len() as u64),
        Format::Pe { .. } => pe(format, section, data.len() as u64),
        Format::MachO { .. } => mach_o(format, section, data.len() as u64),
    };
    head.resize(DATA_OFFSET, 0);
    head.extend(data);
    head
}

fn elf(format: Format, section: &str, size: u64) -> Vec<u8> {
    let w = format.word_bytes();
    let (header, segment, row) = if w == 8 { (64, 56, 64) } else { (52, 32, 40) };
    let names = [b"\0", section.as_bytes(), b"\0"].concat();
    let (offset, names_at) = (DATA_OFFSET as u64, 512_u64);
    let class = [
        u8::from(format.is_wide()) + 1,
        u8::from(format.is_big_endian()) + 1,
        1,
    ];
    let mut out = [&b"\x7fELF"[..], &class, &[0; 9]].concat();
    out.extend(format.numbers(&[
        (2, 2),
        (62, 2),
        (1, 4),
        (0, w),
        (header, w),
        (header + segment, w),
        (0, 4),
    ]));
    out.extend(format.numbers(&[(header, 2), (segment, 2), (1, 2), (row, 2), (3, 2), (2, 2)]));
    let place = [
        (offset, w),
        (DATA_ADDRESS, w),
        (DATA_ADDRESS, w),
        (size, w),
        (size, w),
    ];
    out.extend(if w == 8 {
        [
            format.numbers(&[(1, 4), (6, 4)]),
            format.numbers(&place),
            format.numbers(&[(16, w)]),
        ]
        .concat()
    } else {
        [
            format.numbers(&[(1, 4)]),
            format.numbers(&place),
            format.numbers(&[(6, 4), (16, w)]),
        ]
        .concat()
    });
    for (name, offset, size) in [(0, 0, 0), (1, offset, size), (0, names_at, names.len() as u64)] {
        out.extend(format.numbers(&[
            (name, 4),
            (1, 4),
            (0, w),
            (DATA_ADDRESS, w),
            (offset, w),
            (size, w),
        ]));
        out.extend(format.numbers(&[(0, 4), (0, 4), (0, w), (0, w)]));
    }
    out.resize(512, 0);
    out.extend(names);
    out
}

fn pe(format: Format, section: &str, size: u64) -> Vec<u8> {
    let mut out = b"MZ".to_vec();
    out.resize(0x3c, 0);
    out.extend(format.number(0x80, 4));
    out.resize(0x80, 0);
    out.extend(b"PE\0\0");
    out.extend(format.numbers(&[(0x8664, 2), (1, 2), (0, 8), (0, 4), (112, 2), (0, 2)]));
    let mut optional = vec![0; 112];
    let base = DATA_ADDRESS - 0x1000;
    if format.is_wide() {
        optional[..2].copy_from_slice(&format.number(0x20b, 2));
        optional[24..32].copy_from_slice(&format.number(base, 8));
    } else {
        optional[..2].copy_from_slice(&format.number(0x10b, 2));
        optional[28..32].copy_from_slice(&format.number(base, 4));
    }
    out.extend(optional);
    let mut name = section.as_bytes().to_vec();
    name.resize(8, 0);
    out.extend(name);
    out.extend(format.numbers(&[
        (size, 4),
        (0x1000, 4),
        (size, 4),
        (DATA_OFFSET as u64, 4),
        (0, 8),
        (0, 4),
    ]));
    out.extend(format.number(0xc000_0040, 4));
    out
}

fn mach_o(format: Format, section: &str, size: u64) -> Vec<u8> {
    let w = format.word_bytes();
    let (command, fixed, row) = if w == 8 { (0x19, 72, 80) } else { (0x1, 56, 68) };
    let mut out = format.number(if w == 8 { 0xfeed_facf } else { 0xfeed_face }, 4);
    out.extend(format.numbers(&[(0, 4), (0, 4), (2, 4), (1, 4), (fixed + row, 4), (0, 4)]));
    out.resize(if w == 8 { 32 } else { 28 }, 0);
    let padded = |name: &str| {
        let mut name = name.as_bytes().to_vec();
        name.resize(16, 0);
        name
    };
    let offset = DATA_OFFSET as u64;
    out.extend(format.numbers(&[(command, 4), (fixed + row, 4)]));
    out.extend(padded("__DATA"));
    out.extend(format.numbers(&[
        (DATA_ADDRESS, w),
        (size, w),
        (offset, w),
        (size, w),
        (3, 4),
        (3, 4),
        (1, 4),
        (0, 4),
    ]));
    out.extend([padded(section), padded("__DATA")].concat());
    out.extend(format.numbers(&[(DATA_ADDRESS, w), (size, w), (offset, 4)]));
    out.resize(out.len() + 64, 0);
    out
}
