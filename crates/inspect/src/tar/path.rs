//! Where an entry lands.

/// A path of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPath {
    /// Relative to the root of the file system, without `.`, `..` and empty parts; empty for the root. What is not UTF-8 is
    /// replaced.
    pub path: String,
    /// It tried to leave the root; it was held there, as containerd does.
    pub escapes: bool,
}

/// Cleans a name as it is written in an archive.
pub fn normalise(name: &[u8]) -> LayerPath {
    let name = String::from_utf8_lossy(name);
    let mut path = String::with_capacity(name.len());
    let mut escapes = false;
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                escapes |= path.is_empty();
                path.truncate(path.rfind('/').unwrap_or(0));
            }
            part => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
    }
    LayerPath { path, escapes }
}

/// What a name says about lower layers (image-spec, layer.md, "Whiteouts").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whiteout {
    /// This path is deleted.
    Removes(String),
    /// All that lower layers have in this directory is hidden.
    Opaque(String),
    /// For AUFS itself (`.wh..wh.plnk`).
    Metadata,
    /// It would delete its own directory or one above it.
    Misleading,
}

const PREFIX: &str = ".wh.";
const META_PREFIX: &str = ".wh..wh.";
const OPAQUE: &str = ".wh..wh..opq";

impl Whiteout {
    /// Of a normalised path.
    pub fn of(path: &str) -> Option<Self> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let removed = name.strip_prefix(PREFIX)?;
        Some(match removed {
            _ if name == OPAQUE => Self::Opaque(directory.to_owned()),
            _ if name.starts_with(META_PREFIX) => Self::Metadata,
            "" | "." | ".." => Self::Misleading,
            _ if directory.is_empty() => Self::Removes(removed.to_owned()),
            _ => Self::Removes(format!("{directory}/{removed}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (name, path, escapes) in [
            ("etc/passwd", "etc/passwd", false),
            ("./etc//passwd", "etc/passwd", false),
            ("/etc/./passwd/", "etc/passwd", false),
            ("a/../b", "b", false),
            ("a/b/../../c", "c", false),
            ("..", "", true),
            ("../../etc/x", "etc/x", true),
            ("a/../../b", "b", true),
            ("/../x", "x", true),
            ("", "", false),
            ("./", "", false),
            ("...", "...", false),
            ("a\\..\\b", "a\\..\\b", false),
        ] {
            let found = normalise(name.as_bytes());
            assert_eq!((found.path.as_str(), found.escapes), (path, escapes), "{name}");
        }
        assert_eq!(normalise(b"a/\xff/b").path, "a/\u{fffd}/b");
    }

    #[test]
    fn whiteouts_are_known_by_their_names() {
        let removes = |path: &str| Some(Whiteout::Removes(path.to_owned()));
        for (path, expected) in [
            ("a/.wh.b", removes("a/b")),
            (".wh.b", removes("b")),
            ("a/.wh..b", removes("a/.b")),
            ("a/.wh..wh..opq", Some(Whiteout::Opaque("a".to_owned()))),
            (".wh..wh..opq", Some(Whiteout::Opaque(String::new()))),
            (".wh..wh.plnk", Some(Whiteout::Metadata)),
            ("a/.wh.", Some(Whiteout::Misleading)),
            ("a/.wh..", Some(Whiteout::Misleading)),
            ("a/.wh...", Some(Whiteout::Misleading)),
            ("a/b.wh.c", None),
            ("a.wh./b", None),
        ] {
            assert_eq!(Whiteout::of(path), expected, "{path}");
        }
    }
}
