//! The form of control files (deb822(5)): paragraphs of fields, separated by empty lines.

/// The fields of one paragraph that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Paragraph {
    pub(super) package: Option<String>,
    pub(super) version: Option<String>,
    pub(super) source: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) status: Option<String>,
}

/// The paragraphs that have any of those fields.
pub(super) fn paragraphs(bytes: &[u8]) -> impl Iterator<Item = Paragraph> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    std::iter::from_fn(move || {
        let mut paragraph = Paragraph::default();
        loop {
            let line = lines.next();
            match line {
                Some(line) if !line.trim_ascii().is_empty() => paragraph.take(line),
                _ if paragraph != Paragraph::default() => return Some(paragraph),
                Some(_) => {}
                None => return None,
            }
        }
    })
}

impl Paragraph {
    /// Takes a field. Lines that go on with the one before are of fields that do not matter; dpkg refuses a field that is
    /// there twice, so the first one counts.
    fn take(&mut self, line: &[u8]) {
        let Some((name, value)) = field(line) else {
            return;
        };
        let slot = match () {
            () if name.eq_ignore_ascii_case(b"Package") => &mut self.package,
            () if name.eq_ignore_ascii_case(b"Version") => &mut self.version,
            () if name.eq_ignore_ascii_case(b"Source") => &mut self.source,
            () if name.eq_ignore_ascii_case(b"Architecture") => &mut self.architecture,
            () if name.eq_ignore_ascii_case(b"Status") => &mut self.status,
            () => return,
        };
        if slot.is_none() && !value.is_empty() {
            *slot = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
}

/// Name and value of a line that begins a field.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.first().is_none_or(u8::is_ascii_whitespace) || line.starts_with(b"#") {
        return None;
    }
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
}
