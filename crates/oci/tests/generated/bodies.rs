//! What must hold for any input, one function per parser.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/generated.rs`. Each
//! asserts an invariant: that what is accepted is exactly what a second, plainer reading of the grammar
//! accepts, and that it prints as it came.

use oci::{
    Algorithm, ContentRange, Digest, Manifest, ManifestKind, ManifestLimits, MediaType, RangeRequest,
    Reference, RepoName, RepoPattern, ResolvedRange, Tag, media_type,
};
use serde_json::Value;

/// Calls `body` if the bytes are text; the parsers take nothing else.
fn with_text(data: &[u8], body: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(data) {
        body(text);
    }
}

fn is_digest(text: &str) -> bool {
    [("sha256:", 64), ("sha512:", 128)]
        .into_iter()
        .any(|(prefix, len)| {
            text.strip_prefix(prefix)
                .is_some_and(|hex| hex.len() == len && hex.chars().all(|c| "0123456789abcdef".contains(c)))
        })
}

/// Digests, read and made.
pub(crate) fn digest(data: &[u8]) {
    with_text(data, |text| {
        let parsed = text.parse::<Digest>();
        assert_eq!(parsed.is_ok(), is_digest(text), "{text:?}");
        if let Ok(digest) = parsed {
            assert_eq!(digest.to_string(), text);
            assert_eq!(
                Digest::from_bytes(digest.algorithm(), digest.bytes()),
                Some(digest)
            );
        }
    });
    for algorithm in Algorithm::ALL {
        let digest = Digest::of(algorithm, data);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let tag = digest.fallback_tag();
        assert_eq!(tag.as_str().parse(), Ok(tag));
    }
}

fn is_repo_name(text: &str) -> bool {
    let is_word = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_component = |component: &str| {
        let words = |c: char| !matches!(c, '.' | '_' | '-');
        component.starts_with(words)
            && component.ends_with(words)
            && component.split(['.', '_', '-']).all(is_word)
            && component
                .split(words)
                .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
    };
    text.len() <= 255 && text.split('/').all(is_component)
}

/// Repository names.
pub(crate) fn repo_name(data: &[u8]) {
    with_text(data, |text| {
        let parsed = text.parse::<RepoName>();
        assert_eq!(parsed.is_ok(), is_repo_name(text), "{text:?}");
        if let Ok(name) = parsed {
            assert_eq!(name.to_string(), text);
            let path = std::path::Path::new(text);
            assert!(
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)))
            );
            assert!(RepoPattern::from(&name).matches(&name));
            assert_eq!(text.parse::<RepoPattern>(), Ok(RepoPattern::from(&name)));
        }
    });
}

/// Tags.
pub(crate) fn tag(data: &[u8]) {
    with_text(data, |text| {
        let parsed = text.parse::<Tag>();
        let is_tag = (1..=128).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
            && !text.starts_with(['.', '-']);
        assert_eq!(parsed.is_ok(), is_tag, "{text:?}");
        if let Ok(tag) = parsed {
            assert_eq!(tag.to_string(), text);
        }
    });
}

/// References: a tag or a digest, never both.
pub(crate) fn reference(data: &[u8]) {
    with_text(data, |text| match text.parse::<Reference>() {
        Ok(reference) => {
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.tag().cloned(), text.parse::<Tag>().ok());
            assert_eq!(reference.digest(), text.parse::<Digest>().ok());
        }
        Err(_) => assert!(text.parse::<Tag>().is_err() && text.parse::<Digest>().is_err()),
    });
}

/// Media types: what is kept is the start of what came, and is a header value.
pub(crate) fn media_type(data: &[u8]) {
    with_text(data, |text| {
        if let Ok(parsed) = text.parse::<MediaType>() {
            let printed = parsed.to_string();
            assert!(
                text.trim_start_matches([' ', '\t']).starts_with(&printed),
                "{text:?}"
            );
            assert!(printed.len() <= media_type::MAX_MEDIA_TYPE_BYTES);
            assert!(
                printed
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b';' && b != b',')
            );
            assert_eq!(printed.matches('/').count(), 1);
            assert_eq!(printed.parse::<MediaType>(), Ok(parsed));
        }
    });
}

/// Manifests: within the limits, and saying what a plain reading of the JSON says.
pub(crate) fn manifest(data: &[u8]) {
    let limits = ManifestLimits {
        bytes: 64 * 1024,
        layers: 4,
        children: 4,
        annotations: 6,
        urls: 2,
        url_bytes: 64,
        text_bytes: 64,
        features: 2,
        depth: 8,
        custom_fields: 8,
    };
    let Ok(manifest) = Manifest::parse(data, None, &limits) else {
        return;
    };
    let plain: Value = serde_json::from_slice(data).expect("what is accepted is JSON");
    assert_eq!(plain["schemaVersion"], 2);
    assert!(data.len() <= limits.bytes);
    assert!(manifest.layers.len() <= limits.layers && manifest.manifests.len() <= limits.children);
    assert!(media_type::MANIFESTS.contains(&manifest.media_type.as_str()));
    assert_eq!(manifest.kind == ManifestKind::Image, manifest.config.is_some());
    assert!(manifest.kind == ManifestKind::Index || manifest.manifests.is_empty());
    let lists = [("layers", &manifest.layers), ("manifests", &manifest.manifests)];
    for (field, descriptors) in lists {
        assert_eq!(plain[field].as_array().map_or(0, Vec::len), descriptors.len());
        for (plain, descriptor) in plain[field].as_array().into_iter().flatten().zip(descriptors) {
            same_descriptor(plain, descriptor, &limits);
        }
    }
    for (field, descriptor) in [("config", &manifest.config), ("subject", &manifest.subject)] {
        assert_eq!(plain[field].is_object(), descriptor.is_some());
        if let Some(descriptor) = descriptor {
            same_descriptor(&plain[field], descriptor, &limits);
        }
    }
    assert_eq!(
        plain["annotations"].as_object().map_or(0, serde_json::Map::len),
        manifest.annotations.len()
    );
    let served = Manifest::parse(data, Some(&manifest.media_type), &limits);
    assert_eq!(
        served.as_ref(),
        Ok(&manifest),
        "the same when its media type is given"
    );
}

fn same_descriptor(plain: &Value, descriptor: &oci::Descriptor, limits: &ManifestLimits) {
    assert_eq!(plain["digest"], descriptor.digest.to_string());
    assert_eq!(plain["size"], descriptor.size);
    assert!(i64::try_from(descriptor.size).is_ok());
    assert!(
        plain["mediaType"]
            .as_str()
            .is_some_and(|text| text.contains(descriptor.media_type.as_str()))
    );
    assert_eq!(plain["data"].is_string(), descriptor.data);
    assert!(descriptor.urls.len() <= limits.urls);
    assert!(descriptor.annotations.len() <= limits.annotations);
}

/// Two patterns and a name, separated by NUL bytes: the answers about pairs agree with the answers about
/// names.
pub(crate) fn pattern(data: &[u8]) {
    with_text(data, |text| {
        let mut parts = text.splitn(3, '\0');
        let mut next = || parts.next().unwrap_or_default();
        let (a, b, name) = (next(), next(), next());
        let Ok(a_parsed) = a.parse::<RepoPattern>() else {
            return;
        };
        assert_eq!(a_parsed.as_str(), a);
        assert!(a_parsed.overlaps(&a_parsed) && a_parsed.contains(&a_parsed));
        let Ok(b_parsed) = b.parse::<RepoPattern>() else {
            return;
        };
        let overlap = a_parsed.overlaps(&b_parsed);
        assert_eq!(overlap, b_parsed.overlaps(&a_parsed));
        let (a_contains, b_contains) = (a_parsed.contains(&b_parsed), b_parsed.contains(&a_parsed));
        assert!(overlap || !(a_contains || b_contains));
        match (a_contains, b_contains) {
            (true, true) => assert_eq!(a_parsed.specificity(), b_parsed.specificity()),
            (true, false) => assert!(a_parsed.specificity() < b_parsed.specificity()),
            (false, true) => assert!(a_parsed.specificity() > b_parsed.specificity()),
            (false, false) => {}
        }
        let Ok(name) = name.parse::<RepoName>() else {
            return;
        };
        let (in_a, in_b) = (a_parsed.matches(&name), b_parsed.matches(&name));
        assert!(overlap || !(in_a && in_b), "{a} {b} {name}");
        assert!(in_a || !in_b || !a_contains, "{a} {b} {name}");
        assert!(in_b || !in_a || !b_contains, "{a} {b} {name}");
        assert_eq!(a_parsed.contains(&RepoPattern::from(&name)), in_a, "{a} {name}");
    });
}

/// A size in the first eight bytes, then a header: what is granted lies within the content.
pub(crate) fn range(data: &[u8]) {
    let Some((size, header)) = data.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_be_bytes(*size);
    with_text(header, |text| {
        if let ResolvedRange::Part(part) = RangeRequest::parse(text).resolve(size) {
            assert!(part.start < part.end && part.end <= size, "{text:?} of {size}");
            let again = format!("bytes={}-{}", part.start, part.end - 1);
            assert_eq!(
                RangeRequest::parse(&again).resolve(size),
                ResolvedRange::Part(part)
            );
        }
        if let Ok(range) = text.parse::<ContentRange>() {
            assert!(range.start() <= range.end() && range.end() <= ContentRange::MAX);
            assert_eq!(range.to_string().parse(), Ok(range));
            assert!(text.contains(&range.to_string()));
        }
    });
}
