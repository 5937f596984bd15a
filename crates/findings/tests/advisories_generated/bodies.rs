//! What must hold for whatever feeds and images say, one function per format.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/advisories_generated.rs`.

use std::cmp::Ordering;

use findings::{
    Ecosystem, Listing, Package, PackageKind, ParsedPurl, Purl, ReadConfig,
    advisory::{
        Advisory, AdvisoryIndex, DocumentKind, Epss, Kev, RECOGNISE_BYTES, VexDocument, encode, limits,
        match_packages, recognise,
    },
    version,
};

/// Kinds of packages whose ecosystem does not depend on the operating system.
const LANGUAGES: [PackageKind; 8] = [
    PackageKind::Java,
    PackageKind::Npm,
    PackageKind::Python,
    PackageKind::Go,
    PackageKind::Rust,
    PackageKind::Gem,
    PackageKind::Composer,
    PackageKind::NuGet,
];

/// An OSV document: within its limits, the same after it was stored, and matched without harm.
pub(crate) fn osv(data: &[u8]) {
    let Ok(advisory) = Advisory::read(data, "home") else {
        return;
    };
    assert!(advisory.id.len() <= limits::ID_BYTES);
    assert!(advisory.affected.len() <= limits::AFFECTED);
    assert!(advisory.summary.len() <= limits::SUMMARY_BYTES + '…'.len_utf8());
    let stored = encode([&advisory]);
    let loaded = AdvisoryIndex::load(&stored).expect("what was written is read");
    let mut packages = Vec::new();
    for affected in advisory.affected.iter().take(20) {
        let Ok((ecosystem, _)) = Ecosystem::parse_with_release(&affected.ecosystem) else {
            continue;
        };
        let versions = affected
            .ranges
            .iter()
            .flat_map(|range| range.events.iter().map(findings::advisory::Event::version));
        for version in versions
            .chain(affected.versions.iter().map(String::as_str))
            .take(20)
        {
            let kind = LANGUAGES
                .iter()
                .find(|kind| kind.language_ecosystem() == Some(ecosystem));
            if let Some(kind) = kind {
                packages.push(Package::new(*kind, &affected.name, version));
            }
        }
    }
    let built = AdvisoryIndex::build([advisory]).expect("one advisory is no index too large");
    let found = match_packages(&packages, None, &built);
    assert_eq!(
        found.matches.len(),
        match_packages(&packages, None, &loaded).matches.len()
    );
    assert!(found.matches.len() <= limits::MATCHES);
}

/// A catalogue of exploited vulnerabilities.
pub(crate) fn kev(data: &[u8]) {
    if let Ok(kev) = Kev::read(data) {
        assert!(kev.len() <= limits::KEV_ENTRIES);
    }
}

/// A list of probabilities.
pub(crate) fn epss(data: &[u8]) {
    if let Ok(epss) = Epss::read(data) {
        assert!(epss.len() <= limits::EPSS_LINES);
        if let Some(score) = epss.get("CVE-2021-44228") {
            assert!((0.0..=1.0).contains(&score.probability));
            assert!((0.0..=1.0).contains(&score.percentile));
        }
    }
}

/// A document about what does not apply: the same after it was stored.
pub(crate) fn vex(data: &[u8]) {
    let Ok(document) = VexDocument::read(data) else {
        return;
    };
    assert!(document.statements.len() <= limits::VEX_STATEMENTS);
    let stored = serde_json::to_string(&document).expect("it has no keys that are no texts");
    assert_eq!(
        serde_json::from_str::<VexDocument>(&stored).expect("it was written"),
        document
    );
}

/// Any file by any name. Whatever it is taken for, its reader refuses it or takes it.
pub(crate) fn any_document(data: &[u8]) {
    let head = &data[..data.len().min(RECOGNISE_BYTES)];
    for name in ["a.json", "a.csv", "a.csv.gz", "a.zip", "a"] {
        match recognise(name, head) {
            Some(DocumentKind::Osv) => osv(data),
            Some(DocumentKind::Kev) => kev(data),
            Some(DocumentKind::Epss) => epss(data),
            Some(DocumentKind::OpenVex) => vex(data),
            _ => {}
        }
    }
}

/// Three texts: an order, the same from both sides, and without circles.
pub(crate) fn version(data: &[u8]) {
    let Some((&number, text)) = data.split_first() else {
        return;
    };
    let ecosystem = Ecosystem::ALL[usize::from(number) % Ecosystem::ALL.len()];
    let text = String::from_utf8_lossy(text);
    let mut versions = text.splitn(3, '\n');
    let [a, b, c] = [(); 3].map(|()| versions.next().unwrap_or("1"));
    let compare = |left, right| version::compare(ecosystem, left, right);
    for left in [a, b, c] {
        version::is_valid(ecosystem, left);
        if let Ok(order) = compare(left, left) {
            assert_eq!(order, Ordering::Equal, "{ecosystem:?} {left:?}");
        }
    }
    let (Ok(ab), Ok(ba), Ok(bc), Ok(ac)) = (compare(a, b), compare(b, a), compare(b, c), compare(a, c))
    else {
        return;
    };
    assert_eq!(ab, ba.reverse(), "{ecosystem:?} {a:?} {b:?}");
    if ab == bc {
        assert_eq!(ac, ab, "{ecosystem:?} {a:?} {b:?} {c:?}");
    }
    if ab == Ordering::Equal {
        assert_eq!(ac, bc, "{ecosystem:?} {a:?} {b:?} {c:?}");
    }
}

/// A package URL.
pub(crate) fn purl(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(parsed) = Purl::parse(text) {
        assert!(text.len() <= ParsedPurl::MAX_LENGTH);
        assert!(!parsed.name.is_empty());
        assert!(parsed.qualifiers.len() <= ParsedPurl::MAX_QUALIFIERS);
    }
}

/// The configuration of an image.
pub(crate) fn config(data: &[u8]) {
    if let Ok(read) = ReadConfig::parse(data) {
        let stored = serde_json::to_string(&read.config).expect("it has no keys that are no texts");
        let again: findings::ImageConfig = serde_json::from_str(&stored).expect("it was written");
        assert_eq!(again, read.config);
    }
}

/// A compressed listing, as a child that was taken over may send it.
pub(crate) fn listing(data: &[u8]) {
    const LIMIT: u64 = 1 << 16;
    let listing = Listing::from_bytes(data.to_vec());
    if let Ok(entries) = listing.entries(LIMIT) {
        let bytes: usize = entries.iter().map(|entry| entry.path.len()).sum();
        // Each path is told by what it has not in common with the one before it.
        assert!(entries.len() as u64 <= LIMIT, "{bytes}");
    }
}
