//! Scopes of the Docker token flow: what a client asks a token for, and what a token is narrowed to.
//!
//! Form: `repository:NAME:ACTION,ACTION` and `registry:catalog:*`, separated by spaces
//! (<https://distribution.github.io/distribution/spec/auth/scope/>). As that page demands, resource types and
//! actions that we do not know are left out, not refused.

use std::fmt;

use oci::RepoName;

use crate::excerpt::excerpt;
use crate::role::{Role, RoleSet};
use crate::token::MAX_TOKEN_BYTES;

/// Most scopes in one request or token.
pub const MAX_SCOPES: usize = 64;

/// Longest text of all scopes in one request together, in bytes. Chosen so that a token which carries them stays
/// under [`crate::token::MAX_TOKEN_BYTES`].
pub const MAX_SCOPE_BYTES: usize = 4 * 1024;

const ANY_ACTION: &str = "*";
const CATALOG: &str = "registry:catalog:*";

/// One thing that a token may be used for. It narrows what its owner's grants allow and never adds to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// `repository:NAME:ACTIONS`.
    Repository {
        /// Exactly this one.
        repo: RepoName,
        /// At most [`RoleSet::ACTIONS`]: no token carries the role of an admin.
        actions: RoleSet,
    },
    /// `registry:catalog:*`: list the repositories that its owner may pull.
    Catalog,
}

impl Scope {
    /// A scope for one repository. [`Role::Admin`] is left out of `actions`.
    pub fn repository(repo: RepoName, actions: impl Into<RoleSet>) -> Scope {
        Scope::Repository {
            repo,
            actions: actions.into().intersection(RoleSet::ACTIONS),
        }
    }

    /// Reads the scopes of one request: each text may hold several, separated by spaces. Scopes for the same
    /// repository are united.
    ///
    /// The caps hold before anything is united or left out.
    pub fn parse_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Scope>, ScopeError> {
        parse_words(texts, MAX_SCOPE_BYTES)
    }

    /// Reads the scopes of one of our own tokens, whose text may be longer than what was asked for (`push` is
    /// written as `pull,push`). The cap on the token bounds it.
    pub(crate) fn parse_issued(text: &str) -> Result<Vec<Scope>, ScopeError> {
        parse_words([text], MAX_TOKEN_BYTES)
    }

    /// The scopes as one text, separated by spaces: the form that [`Scope::parse_list`] reads.
    pub fn format_list(scopes: &[Scope]) -> String {
        let texts: Vec<String> = scopes.iter().map(Scope::to_string).collect();
        texts.join(" ")
    }
}

fn parse_words<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    max_bytes: usize,
) -> Result<Vec<Scope>, ScopeError> {
    let mut scopes = Vec::new();
    let (mut bytes, mut count) = (0_usize, 0);
    for text in texts {
        bytes = bytes.saturating_add(text.len());
        if bytes > max_bytes {
            return Err(ScopeError::TooLong);
        }
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            count += 1;
            if count > MAX_SCOPES {
                return Err(ScopeError::TooMany);
            }
            if let Some(scope) = parse_one(word)? {
                unite(&mut scopes, scope);
            }
        }
    }
    Ok(scopes)
}

/// `None` for a resource type or for actions that we do not know.
fn parse_one(word: &str) -> Result<Option<Scope>, ScopeError> {
    let malformed = || ScopeError::Malformed { scope: excerpt(word) };
    // The name may hold a colon (host:port), type and actions cannot.
    let (kind, rest) = word.split_once(':').ok_or_else(malformed)?;
    let (name, actions) = rest.rsplit_once(':').ok_or_else(malformed)?;
    if word == CATALOG {
        return Ok(Some(Scope::Catalog));
    }
    if kind != "repository" {
        return Ok(None);
    }
    let repo = name
        .parse()
        .map_err(|_| ScopeError::Name { name: excerpt(name) })?;
    let actions = parse_actions(actions);
    Ok((!actions.is_empty()).then_some(Scope::Repository { repo, actions }))
}

fn parse_actions(text: &str) -> RoleSet {
    let known = |action| match action {
        ANY_ACTION => RoleSet::ACTIONS,
        "pull" => Role::Pull.into(),
        "push" => Role::Push.into(),
        "delete" => Role::Delete.into(),
        _ => RoleSet::EMPTY,
    };
    text.split(',').map(known).fold(RoleSet::EMPTY, RoleSet::union)
}

fn unite(scopes: &mut Vec<Scope>, new: Scope) {
    for old in scopes.iter_mut() {
        match (old, &new) {
            (Scope::Catalog, Scope::Catalog) => return,
            (
                Scope::Repository { repo, actions },
                Scope::Repository {
                    repo: other,
                    actions: more,
                },
            ) if repo == other => {
                *actions = actions.union(*more);
                return;
            }
            _ => {}
        }
    }
    scopes.push(new);
}

/// What `scopes` leave of every role on `repo`.
pub(crate) fn roles_on(scopes: &[Scope], repo: &RepoName) -> RoleSet {
    scopes.iter().fold(RoleSet::EMPTY, |roles, scope| match scope {
        Scope::Repository { repo: named, actions } if named == repo => roles.union(*actions),
        _ => roles,
    })
}

/// What both lists allow.
pub(crate) fn intersect(left: &[Scope], right: &[Scope]) -> Vec<Scope> {
    let common = |scope: &Scope| match scope {
        Scope::Catalog => left.contains(&Scope::Catalog).then_some(Scope::Catalog),
        Scope::Repository { repo, actions } => {
            let actions = actions.intersection(roles_on(left, repo));
            (!actions.is_empty()).then(|| Scope::Repository {
                repo: repo.clone(),
                actions,
            })
        }
    };
    right.iter().filter_map(common).collect()
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Catalog => f.write_str(CATALOG),
            Scope::Repository { repo, actions } if *actions == RoleSet::ACTIONS => {
                write!(f, "repository:{repo}:{ANY_ACTION}")
            }
            Scope::Repository { repo, actions } => write!(f, "repository:{repo}:{actions}"),
        }
    }
}

/// Why a text is no list of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Over [`MAX_SCOPE_BYTES`].
    #[error("scopes are over {MAX_SCOPE_BYTES} bytes together: ask for fewer in one token")]
    TooLong,
    /// Over [`MAX_SCOPES`].
    #[error("over {MAX_SCOPES} scopes: ask for fewer in one token")]
    TooMany,
    /// Not three parts.
    #[error("scope `{scope}` is malformed: use `repository:NAME:pull,push`")]
    Malformed {
        /// The start of it.
        scope: String,
    },
    /// A name outside of the grammar.
    #[error("scope names `{name}`, which is not the name of a repository")]
    Name {
        /// The start of it.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
        Scope::parse_list([text])
    }

    fn formatted(text: &str) -> String {
        Scope::format_list(&parse(text).unwrap())
    }

    #[test]
    fn docker_scopes_are_read_and_written() {
        for (sent, kept) in [
            ("", ""),
            ("repository:a/b:pull", "repository:a/b:pull"),
            ("repository:a/b:push", "repository:a/b:pull,push"),
            ("repository:a/b:pull,push", "repository:a/b:pull,push"),
            ("repository:a/b:push,pull,delete", "repository:a/b:*"),
            ("repository:a/b:*", "repository:a/b:*"),
            (
                "repository:a:pull repository:b:pull,push",
                "repository:a:pull repository:b:pull,push",
            ),
            ("  repository:a:pull  ", "repository:a:pull"),
            (
                "repository:a:pull repository:a:delete",
                "repository:a:pull,delete",
            ),
            ("registry:catalog:* registry:catalog:*", "registry:catalog:*"),
            ("repository:a:pull,metadata_read", "repository:a:pull"),
            ("repository:a:admin", ""),
            ("repository:a:", ""),
            ("repository(plugin):a:pull", ""),
            ("registry:other:*", ""),
        ] {
            assert_eq!(formatted(sent), kept, "{sent}");
        }
    }

    #[test]
    fn several_parameters_are_one_list() {
        let scopes = Scope::parse_list(["repository:a:pull", "repository:b:pull"]).unwrap();
        assert_eq!(Scope::format_list(&scopes), "repository:a:pull repository:b:pull");
    }

    #[test]
    fn malformed_scopes_are_named() {
        for bad in ["repository", "repository:a", "pull"] {
            assert!(matches!(parse(bad), Err(ScopeError::Malformed { .. })), "{bad}");
        }
        for bad in [
            "repository::pull",
            "repository:A:pull",
            "repository:../x:pull",
            "repository:h:5/a:pull",
        ] {
            assert!(matches!(parse(bad), Err(ScopeError::Name { .. })), "{bad}");
        }
    }

    #[test]
    fn the_caps_hold() {
        let many = |count: usize| {
            (0..count)
                .map(|n| format!("repository:r{n}:pull"))
                .collect::<Vec<_>>()
        };
        let parse_all = |texts: Vec<String>| Scope::parse_list(texts.iter().map(String::as_str));
        assert_eq!(parse_all(many(MAX_SCOPES)).unwrap().len(), MAX_SCOPES);
        assert_eq!(parse_all(many(MAX_SCOPES + 1)), Err(ScopeError::TooMany));
        assert_eq!(parse(&many(MAX_SCOPES + 1).join(" ")), Err(ScopeError::TooMany));
        // What is left out counts too.
        assert_eq!(parse(&"x:y:z ".repeat(MAX_SCOPES + 1)), Err(ScopeError::TooMany));
        assert!(parse(&" ".repeat(MAX_SCOPE_BYTES)).unwrap().is_empty());
        assert_eq!(parse(&" ".repeat(MAX_SCOPE_BYTES + 1)), Err(ScopeError::TooLong));
        assert_eq!(
            parse_all(vec![" ".repeat(MAX_SCOPE_BYTES), " ".into()]),
            Err(ScopeError::TooLong)
        );
    }

    #[test]
    fn an_intersection_has_what_both_have() {
        let both =
            |left, right| Scope::format_list(&intersect(&parse(left).unwrap(), &parse(right).unwrap()));
        assert_eq!(
            both("repository:a:*", "repository:a:pull repository:b:pull"),
            "repository:a:pull"
        );
        assert_eq!(
            both("repository:a:push", "repository:a:delete"),
            "repository:a:pull"
        );
        assert_eq!(both("repository:a:pull", "registry:catalog:*"), "");
        assert_eq!(
            both("registry:catalog:*", "registry:catalog:*"),
            "registry:catalog:*"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(repository|registry)?:?.{0,60}(:pull|:\\*)?") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(names in prop::collection::vec("[a-z]{1,3}(/[a-z]{1,3})?", 0..6),
                                      actions in "(pull|push|delete|\\*)") {
            let text = names.iter().map(|name| format!("repository:{name}:{actions}")).collect::<Vec<_>>();
            let scopes = parse(&text.join(" ")).unwrap();
            prop_assert_eq!(parse(&Scope::format_list(&scopes)), Ok(scopes));
        }
    }
}
