//! Small archives of plain files, in the form that every reader takes (POSIX.1-1988 ustar).

/// Most members of an archive that is read or written here.
pub const MAX_MEMBERS: usize = 100_000;

const BLOCK: usize = 512;

/// A plain file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Relative to the root.
    pub(super) path: String,
    /// Permissions.
    pub(super) mode: u32,
    /// Who owns it: user and group.
    pub(super) owner: (u32, u32),
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// Reads an archive that has nothing but plain files with short names.
pub(super) fn members(mut archive: &[u8]) -> Result<Vec<Member>, String> {
    let mut members = Vec::new();
    while let Some((header, rest)) = archive.split_first_chunk::<BLOCK>() {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let path = text(&header[..100])?;
        let size = octal(&header[124..136])?;
        let size = usize::try_from(size).map_err(|_| format!("`{path}` is too large"))?;
        if !matches!(header[156], b'0' | 0) {
            return Err(format!("`{path}` is no plain file"));
        }
        let bytes = rest.get(..size).ok_or_else(|| format!("`{path}` is cut off"))?;
        let number = |from: usize, to: usize| -> Result<u32, String> {
            u32::try_from(octal(&header[from..to])?).map_err(|_| format!("`{path}` has no usable header"))
        };
        members.push(Member {
            path: path.to_owned(),
            mode: number(100, 108)?,
            owner: (number(108, 116)?, number(116, 124)?),
            bytes: bytes.to_vec(),
        });
        if members.len() > MAX_MEMBERS {
            return Err(format!("it has more than {MAX_MEMBERS} files"));
        }
        archive = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    Ok(members)
}

fn text(field: &[u8]) -> Result<&str, String> {
    let ends = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..ends]).map_err(|_| "a name is not UTF-8".to_owned())
}

fn octal(field: &[u8]) -> Result<u64, String> {
    let digits = text(field)?.trim_matches(' ');
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| "a header has no usable number".to_owned())
}

/// Writes an archive with one time of change for all, in seconds since 1970. The same members give the same bytes.
pub(super) fn write_members(members: &[Member], changed_at: u64) -> Result<Vec<u8>, String> {
    if members.len() > MAX_MEMBERS {
        return Err(format!("it has more than {MAX_MEMBERS} files"));
    }
    let mut archive = Vec::new();
    for member in members {
        archive.extend(header(member, changed_at)?);
        archive.extend(&member.bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

fn header(member: &Member, changed_at: u64) -> Result<[u8; BLOCK], String> {
    let mut header = [0; BLOCK];
    let path = member.path.as_bytes();
    if path.len() > 99 {
        return Err(format!("the name `{}` is too long", member.path));
    }
    header[..path.len()].copy_from_slice(path);
    let mut put = |at: usize, width: usize, number: u64| {
        let digits = format!("{number:0width$o}");
        if digits.len() > width {
            return Err(format!("`{}` has a number that is too large", member.path));
        }
        header[at..at + width].copy_from_slice(digits.as_bytes());
        Ok(())
    };
    put(100, 7, u64::from(member.mode))?;
    put(108, 7, u64::from(member.owner.0))?;
    put(116, 7, u64::from(member.owner.1))?;
    put(124, 11, member.bytes.len() as u64)?;
    put(136, 11, changed_at)?;
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, bytes: &[u8]) -> Member {
        Member {
            path: path.to_owned(),
            mode: 0o644,
            owner: (0, 42),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let all = [
            member("a/b", b"x"),
            member("empty", b""),
            member("large", &[7; 1_025]),
        ];
        let archive = write_members(&all, 1_600_000_000).unwrap();
        assert_eq!(archive.len() % BLOCK, 0);
        assert_eq!(members(&archive).unwrap(), all);
        assert_eq!(archive, write_members(&all, 1_600_000_000).unwrap());
    }

    #[test]
    fn what_is_cut_or_odd_is_refused() {
        let archive = write_members(&[member("a", &[1; 600])], 0).unwrap();
        assert!(members(&archive[..700]).unwrap_err().contains("cut off"));
        let mut link = archive.clone();
        link[156] = b'2';
        assert!(members(&link).unwrap_err().contains("no plain file"));
        let mut size = archive;
        size[124..135].copy_from_slice(b"77777777777");
        assert!(members(&size).is_err());
        assert!(write_members(&[member(&"n".repeat(100), b"")], 0).is_err());
    }
}
