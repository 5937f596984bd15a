//! What is fetched, and from where.

use findings::advisory::DocumentKind;
use outbound::Url;

use crate::config;

/// One thing that is fetched by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it lies: the list of an ecosystem, or the catalogue.
    pub(crate) url: Url,
}

/// The kinds of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An ecosystem of OSV's export, by its folder.
    Osv(String),
    /// CISA's catalogue.
    Kev,
    /// EPSS's scores.
    Epss,
}

/// The list of an ecosystem.
const LIST: &str = "modified_id.csv";

/// All of its documents.
const ARCHIVE: &str = "all.zip";

impl Source {
    /// What its documents are.
    pub(crate) fn document_kind(&self) -> DocumentKind {
        match self.kind {
            Kind::Osv(_) => DocumentKind::Osv,
            Kind::Kev => DocumentKind::Kev,
            Kind::Epss => DocumentKind::Epss,
        }
    }

    /// Those that are configured: the catalogues first, they are small.
    pub(crate) fn all(feeds: &config::Feeds) -> Vec<Self> {
        let catalogues = [(Kind::Kev, &feeds.kev), (Kind::Epss, &feeds.epss)];
        let mut sources: Vec<Self> = catalogues
            .into_iter()
            .filter_map(|(kind, url)| {
                let url = url.as_ref()?.0.clone();
                Some(Self { kind, url })
            })
            .collect();
        if let Some(base) = &feeds.osv {
            sources.extend(feeds.ecosystems.iter().map(|ecosystem| Self {
                url: below(&base.0, &[&ecosystem.0, LIST]),
                kind: Kind::Osv(ecosystem.0.clone()),
            }));
        }
        sources
    }

    /// Its name, by which people call it.
    pub(crate) fn name(&self) -> &str {
        match &self.kind {
            Kind::Osv(folder) => folder,
            Kind::Kev => "kev",
            Kind::Epss => "epss",
        }
    }

    /// Whether somebody who says `name` means it.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
            || (name.eq_ignore_ascii_case("osv") && matches!(self.kind, Kind::Osv(_)))
    }

    /// Where the archive of an ecosystem lies.
    pub(crate) fn archive(&self) -> Url {
        self.beside(ARCHIVE)
    }

    /// Where one document of an ecosystem lies.
    pub(crate) fn document(&self, id: &str) -> Url {
        self.beside(&format!("{id}.json"))
    }

    fn beside(&self, file: &str) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop().push(file);
        }
        url
    }
}

/// Each part becomes one segment, whatever is in it.
fn below(base: &Url, parts: &[&str]) -> Url {
    let mut url = base.clone();
    // Fails only for URLs without a host, which the configuration refuses.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_ids_are_segments() {
        let mut feeds = config::Feeds::default();
        for base in ["https://mirror.example/osv", "https://mirror.example/osv/"] {
            feeds.osv = base.parse().ok();
            let sources = Source::all(&feeds);
            assert_eq!((sources[0].name(), sources[1].name()), ("kev", "epss"));
            let red_hat = sources.iter().find(|source| source.name() == "Red Hat").unwrap();
            assert_eq!(
                red_hat.url.as_str(),
                "https://mirror.example/osv/Red%20Hat/modified_id.csv"
            );
            assert_eq!(
                red_hat.archive().as_str(),
                "https://mirror.example/osv/Red%20Hat/all.zip"
            );
            assert_eq!(
                red_hat.document("RHSA-2026:1?x").as_str(),
                "https://mirror.example/osv/Red%20Hat/RHSA-2026:1%3Fx.json"
            );
            assert!(red_hat.is_called("OSV") && red_hat.is_called("red hat") && !red_hat.is_called("kev"));
        }
        feeds.osv = None;
        feeds.kev = None;
        assert_eq!(Source::all(&feeds).len(), 1);
    }
}
