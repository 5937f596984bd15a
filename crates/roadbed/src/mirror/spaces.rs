//! Which registries are mirrored, and under which paths what they have is kept here.

use std::sync::Arc;

use http::{HeaderMap, header};
use oci::RepoName;

use crate::config::mirror::NamespaceName;

/// One registry whose images are mirrored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// As images are called.
    pub(super) name: String,
    /// What the centre is told (`ns=`); `None`: it is the centre itself.
    pub(super) asked_as: Option<String>,
    /// The path under which its repositories are kept here.
    pub(super) prefix: RepoName,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Spaces {
    own: Arc<Space>,
    others: Vec<Arc<Space>>,
}

/// What a request means by its `ns=`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// Images of this registry.
    Here(Arc<Space>),
    /// The mirror itself, which has no images of its own.
    Mirror,
    /// A registry that is not mirrored.
    Unknown,
}

impl Space {
    /// A repository of it as it is called here.
    pub(super) fn local(&self, there: &RepoName) -> Option<RepoName> {
        format!("{}/{there}", self.prefix).parse().ok()
    }

    /// A repository here as it is called there.
    pub(super) fn there(&self, local: &RepoName) -> Option<RepoName> {
        let rest = local.as_str().strip_prefix(self.prefix.as_str())?;
        rest.strip_prefix('/')?.parse().ok()
    }
}

impl Spaces {
    /// Those of a centre, and the others that are named.
    pub(super) fn new(centre: &NamespaceName, others: &[NamespaceName]) -> Self {
        let space = |name: &NamespaceName, is_centre: bool| {
            Arc::new(Space {
                name: name.as_str().to_owned(),
                asked_as: (!is_centre).then(|| name.as_str().to_owned()),
                prefix: name.prefix().clone(),
            })
        };
        let mut named: Vec<&NamespaceName> = others.iter().filter(|name| *name != centre).collect();
        named.sort();
        named.dedup();
        Self {
            own: space(centre, true),
            others: named.into_iter().map(|name| space(name, false)).collect(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Space>> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// What is meant by `ns=`, asked of the host that `headers` name.
    pub(super) fn meant(&self, namespace: Option<&str>, headers: &HeaderMap) -> Meant {
        let Some(namespace) = namespace else {
            return Meant::Here(Arc::clone(&self.own));
        };
        match self.iter().find(|space| space.name == namespace) {
            Some(space) => Meant::Here(Arc::clone(space)),
            None if headers.get(header::HOST).is_some_and(|host| host == namespace) => Meant::Mirror,
            None => Meant::Unknown,
        }
    }

    /// The registry whose repository is kept under a name here.
    pub(super) fn of(&self, local: &RepoName) -> Option<(&Arc<Space>, RepoName)> {
        self.iter().find_map(|space| Some((space, space.there(local)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaces() -> Spaces {
        let names = ["docker.io", "quay.io", "registry.example:5000"].map(|name| name.parse().unwrap());
        Spaces::new(&"registry.example:5000".parse().unwrap(), &names)
    }

    fn meant(namespace: Option<&str>) -> Meant {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:5080".parse().unwrap());
        spaces().meant(namespace, &headers)
    }

    #[test]
    fn without_a_namespace_the_centre_is_meant() {
        for namespace in [None, Some("registry.example:5000")] {
            let Meant::Here(space) = meant(namespace) else {
                panic!("{namespace:?}")
            };
            assert_eq!(space.asked_as, None);
        }
        let Meant::Here(space) = meant(Some("docker.io")) else {
            panic!("docker.io")
        };
        assert_eq!(space.asked_as.as_deref(), Some("docker.io"));
        assert_eq!(meant(Some("127.0.0.1:5080")), Meant::Mirror);
        for unknown in ["ghcr.io", "", "docker.io/..", "DOCKER.IO"] {
            assert_eq!(meant(Some(unknown)), Meant::Unknown);
        }
    }

    #[test]
    fn names_lead_here_and_back() {
        let spaces = spaces();
        for space in spaces.iter() {
            let there: RepoName = "library/alpine".parse().unwrap();
            let local = space.local(&there).unwrap();
            let (found, back) = spaces.of(&local).unwrap();
            assert_eq!((found, back), (space, there));
        }
        assert!(spaces.of(&"library/alpine".parse().unwrap()).is_none());
    }
}
