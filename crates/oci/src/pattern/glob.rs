//! Parsing of patterns, and matching of names against them.

/// One part of a pattern between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Any number of components, also none.
    Many,
    /// Exactly one component; `*` is any number of its characters.
    One(Box<str>),
}

/// Splits a pattern into segments. A `**` at the end becomes `*` and [`Segment::Many`], since it asks for one
/// component or more.
pub(super) fn parse(text: &str) -> Result<Vec<Segment>, &'static str> {
    let mut segments = Vec::new();
    for part in text.split('/') {
        match part {
            "" => return Err("write components between single slashes, without one at the start or end"),
            "**" if segments.last() == Some(&Segment::Many) => {
                return Err("one ** after another says nothing more");
            }
            "**" => segments.push(Segment::Many),
            _ if part.contains("**") => return Err("** stands for whole components: put it between slashes"),
            _ if !part.bytes().all(is_pattern_byte) => {
                return Err("use lowercase letters, digits, `.`, `_`, `-`, `/` and the wildcards * and **");
            }
            _ => segments.push(Segment::One(part.into())),
        }
    }
    if segments.last() == Some(&Segment::Many) {
        let last = segments.len() - 1;
        segments.insert(last, Segment::One("*".into()));
    }
    Ok(segments)
}

fn is_pattern_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'*')
}

/// Whether a name matches. When a [`Segment::Many`] was passed and a later segment fails, the last one takes
/// one more component and matching goes on from there; earlier ones never need to, as each segment after it
/// takes exactly one component.
pub(super) fn matches(segments: &[Segment], name: &str) -> bool {
    let mut rest = Some(name);
    let mut index = 0;
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let fits = match (segments.get(index), rest) {
            (None, None) => return true,
            (Some(Segment::Many), _) => {
                retry = rest.map(|rest| (index + 1, rest));
                true
            }
            (Some(Segment::One(glob)), Some(name)) => {
                let (component, after) = split(name);
                let fits = component_matches(glob.as_bytes(), component.as_bytes());
                rest = if fits { after } else { rest };
                fits
            }
            (None, Some(_)) | (Some(Segment::One(_)), None) => false,
        };
        if fits {
            index += 1;
            continue;
        }
        let Some((resume, from)) = retry else { return false };
        index = resume;
        rest = split(from).1;
        retry = rest.map(|rest| (resume, rest));
    }
}

fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('/')
        .map_or((name, None), |(first, rest)| (first, Some(rest)))
}

/// The same for the characters of one component.
fn component_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (glob.get(g), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((g + 1, t));
                g += 1;
            }
            (Some(wanted), Some(found)) if wanted == found => {
                g += 1;
                t += 1;
            }
            _ => match retry {
                Some((resume, from)) if from < text.len() => {
                    retry = Some((resume, from + 1));
                    g = resume;
                    t = from + 1;
                }
                _ => return false,
            },
        }
    }
}
