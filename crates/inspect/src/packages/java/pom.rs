//! The coordinates of `pom.xml` itself, and nothing else: its dependencies are wishes of whoever wrote it.

use super::evidence::Coordinates;
use crate::packages::gather::is_word;

/// Elements within elements that are followed.
const MAX_DEPTH: usize = 64;

/// Coordinates of the project, with group and version of its parent where it has none of its own.
pub(super) fn coordinates(text: &str) -> Option<Coordinates> {
    let mut stack: Vec<&str> = Vec::new();
    let mut own = [None; 3];
    let mut parent = [None; 3];
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let content = &rest[..start];
        let tag = &rest[start..];
        if let Some(behind) = behind_aside(tag) {
            rest = behind;
            continue;
        }
        let end = tag.find('>')?;
        let name = tag[1..end]
            .split([' ', '\t', '\r', '\n', '/'])
            .find(|word| !word.is_empty())?;
        if tag.starts_with("</") {
            note(&stack, content.trim(), &mut own, &mut parent);
            stack.pop();
        } else if !tag[..end].ends_with('/') {
            stack.push(name);
            if stack.len() > MAX_DEPTH {
                return None;
            }
        }
        rest = &tag[end + 1..];
    }
    let [group, artifact, version] = own;
    Some(Coordinates {
        group: Some(group.or(parent[0])?.to_owned()),
        artifact: artifact?.to_owned(),
        version: version.or(parent[2])?.to_owned(),
    })
}

/// What is behind a comment, an instruction or a declaration, if the tag is one. Nothing is behind one without an end.
fn behind_aside(tag: &str) -> Option<&str> {
    let (_, end) = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")]
        .into_iter()
        .find(|(start, _)| tag.starts_with(start))?;
    Some(tag.find(end).map_or("", |at| &tag[at + end.len()..]))
}

fn note<'a>(
    stack: &[&str],
    content: &'a str,
    own: &mut [Option<&'a str>; 3],
    parent: &mut [Option<&'a str>; 3],
) {
    let (fields, name) = match stack {
        ["project", name] => (own, *name),
        ["project", "parent", name] => (parent, *name),
        _ => return,
    };
    let place = ["groupId", "artifactId", "version"]
        .iter()
        .position(|known| *known == name);
    if let Some(place) = place.filter(|_| is_word(content)) {
        fields[place] = Some(content);
    }
}
