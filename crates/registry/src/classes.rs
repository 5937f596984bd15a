//! The class of a request: what goes first where not everybody can be served at once.
//!
//! A class is never believed because a client claims it. It comes from what the configuration says of a name or a network,
//! from what is granted to whoever signed in, or from a header that nobody but a trusted proxy can set. What a client says of
//! itself (its user agent) can only lower it.

use std::net::IpAddr;

use access::{AccessBook, Caller, Cidr, Class, NamePattern};
use http::{HeaderMap, HeaderName, Method, header};

use crate::route::Route;

/// What an administrator says about classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassRules {
    /// Users and robots that nodes pull with.
    pub nodes: Vec<NamePattern>,
    /// Users and robots of builds.
    pub ci: Vec<NamePattern>,
    /// Users and robots that look into images.
    pub scanners: Vec<NamePattern>,
    /// Networks in which whoever asks is a node, with or without a name, unless a list has that name.
    pub node_networks: Vec<Cidr>,
    /// The header by which a trusted proxy names the class. Whoever hands requests in has removed it where it came from
    /// somebody else.
    pub header: Option<HeaderName>,
}

/// What is known of a caller's class before it asks for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    class: Class,
    /// By the configuration: no user agent lowers it.
    is_said: bool,
}

impl ClassRules {
    /// What is known of a caller.
    pub(crate) fn standing(&self, book: &AccessBook, caller: &Caller) -> Standing {
        let said = caller.principal().and_then(|principal| {
            let lists = [
                (&self.nodes, Class::Node),
                (&self.ci, Class::Ci),
                (&self.scanners, Class::Scan),
            ];
            let names = |patterns: &[NamePattern]| patterns.iter().any(|it| it.matches(&principal.name));
            lists
                .into_iter()
                .find_map(|(patterns, class)| names(patterns).then_some(class))
        });
        Standing {
            class: said.unwrap_or_else(|| book.class_of(caller)),
            is_said: said.is_some(),
        }
    }

    /// The class of one request.
    pub(crate) fn class(
        &self,
        standing: Standing,
        address: IpAddr,
        headers: &HeaderMap,
        (route, method): (&Route, &Method),
    ) -> Class {
        let is_upload = matches!(route, Route::Uploads(_) | Route::Upload(..));
        let reads = !is_upload && matches!(*method, Method::GET | Method::HEAD | Method::POST);
        let at_best = match route {
            Route::Catalog | Route::Tags(_) | Route::Referrers(..) | Route::ChartIndex(_) => Class::Scan,
            _ if reads => Class::Node,
            _ => Class::Push,
        };
        self.of_caller(standing, address, headers).lowered_to(at_best)
    }

    fn of_caller(&self, standing: Standing, address: IpAddr, headers: &HeaderMap) -> Class {
        if let Some(said) = self.of_proxy(headers) {
            return said;
        }
        // A scanner in a cluster asks from the address of a node.
        if standing.is_said {
            return standing.class;
        }
        if self.node_networks.iter().any(|network| network.contains(address)) {
            return Class::Node;
        }
        if standing.class == Class::Node && !has_agent_of_node(headers) {
            return Class::Ci;
        }
        standing.class
    }

    fn of_proxy(&self, headers: &HeaderMap) -> Option<Class> {
        let value = headers.get(self.header.as_ref()?)?;
        value.to_str().ok()?.trim().parse().ok()
    }
}

/// Whether it says that it is what a cluster's nodes pull with. Anybody can say so.
pub(crate) fn has_agent_of_node(headers: &HeaderMap) -> bool {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    ["containerd/", "cri-o/", "kubelet/"]
        .iter()
        .any(|name| agent.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    fn standing(class: Class, is_said: bool) -> Standing {
        Standing { class, is_said }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn class(rules: &ClassRules, who: Standing, headers: &HeaderMap, path: &str, method: &Method) -> Class {
        let route = Route::parse(path).unwrap();
        rules.class(who, OUTSIDE, headers, (&route, method))
    }

    const MANIFEST: &str = "/v2/team/app/manifests/v1";

    #[test]
    fn a_user_agent_lowers_and_never_lifts() {
        let rules = ClassRules::default();
        let (node, curl) = (
            headers(&[("user-agent", "containerd/v2.0.0")]),
            headers(&[("user-agent", "curl/8")]),
        );
        for (who, agent, wanted) in [
            (standing(Class::Node, false), &node, Class::Node),
            (standing(Class::Node, false), &curl, Class::Ci),
            (standing(Class::Node, true), &curl, Class::Node),
            (standing(Class::Ci, false), &node, Class::Ci),
            (standing(Class::Scan, false), &node, Class::Scan),
        ] {
            assert_eq!(
                class(&rules, who, agent, MANIFEST, &Method::GET),
                wanted,
                "{who:?}"
            );
        }
    }

    #[test]
    fn what_is_asked_for_lowers_it_too() {
        let rules = ClassRules::default();
        let node = headers(&[("user-agent", "containerd/v2.0.0")]);
        for (path, method, wanted) in [
            (MANIFEST, Method::HEAD, Class::Node),
            (MANIFEST, Method::PUT, Class::Push),
            (MANIFEST, Method::DELETE, Class::Push),
            ("/v2/team/app/blobs/uploads/", Method::POST, Class::Push),
            ("/v2/team/app/tags/list", Method::GET, Class::Scan),
            ("/v2/token", Method::POST, Class::Node),
        ] {
            let found = class(&rules, standing(Class::Node, false), &node, path, &method);
            assert_eq!(found, wanted, "{method} {path}");
        }
    }

    #[test]
    fn the_configuration_says_who_is_a_node() {
        let network = ClassRules {
            node_networks: vec!["203.0.113.0/24".parse().unwrap()],
            ..ClassRules::default()
        };
        let none = HeaderMap::new();
        let stranger = standing(Class::Scan, false);
        assert_eq!(
            class(&network, stranger, &none, MANIFEST, &Method::GET),
            Class::Node
        );
        assert_eq!(
            class(
                &network,
                standing(Class::Scan, true),
                &none,
                MANIFEST,
                &Method::GET
            ),
            Class::Scan,
            "who is in a list is what it says"
        );
        let proxied = ClassRules {
            header: Some(HeaderName::from_static("x-class")),
            ..network
        };
        let says = headers(&[("x-class", "push")]);
        assert_eq!(
            class(&proxied, stranger, &says, MANIFEST, &Method::GET),
            Class::Push
        );
        let nonsense = headers(&[("x-class", "root")]);
        assert_eq!(
            class(&proxied, stranger, &nonsense, MANIFEST, &Method::GET),
            Class::Node
        );
    }

    proptest::proptest! {
        /// Whatever a client says of itself, it comes no earlier than by who it is; and what the header of a proxy says is one of
        /// the five, or nothing.
        #[test]
        fn nothing_that_is_said_lifts_a_class(
            agent in "[ -~]{0,24}|(containerd|cri-o|kubelet)/[ -~]{0,8}",
            says in "[ -~]{0,8}| ?(node|ci|push|scan|pages|Node|NODE) ?",
            who in 0..5_usize,
            is_said in proptest::bool::ANY,
        ) {
            let standing = standing(Class::ALL[who], is_said);
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            headers.insert("x-class", says.parse().unwrap());
            let alone = class(&ClassRules::default(), standing, &headers, MANIFEST, &Method::GET);
            proptest::prop_assert!(alone >= standing.class, "{agent} lifts {standing:?} to {alone}");
            let proxied = ClassRules {
                header: Some(HeaderName::from_static("x-class")),
                ..ClassRules::default()
            };
            let found = class(&proxied, standing, &headers, MANIFEST, &Method::GET);
            let wanted = says.trim().parse().unwrap_or(alone);
            proptest::prop_assert_eq!(found, wanted.lowered_to(Class::Node));
        }
    }
}
