//! Who is asking.

use std::sync::Arc;

use crate::principal::{ANONYMOUS, Principal, PrincipalId, SecretId};
use crate::scope::{self, Scope};

/// Somebody whose credentials were checked, or nobody in particular.
///
/// Only an [`AccessBook`](crate::AccessBook) makes one that is signed in. It stays what it was when it was made:
/// what it may do is asked of the newest book each time, and [`AccessBook::is_current`](crate::AccessBook::is_current)
/// says whether the sign-in still holds. Cloning it costs three reference counts at most.
#[derive(Clone, Debug)]
pub struct Caller {
    signed_in: Option<SignedIn>,
    /// `None`: not narrowed.
    scopes: Option<Arc<[Scope]>>,
    /// Last instant of the token, in microseconds since the Unix epoch.
    not_after: Option<i64>,
}

#[derive(Clone, Debug)]
struct SignedIn {
    principal: Arc<Principal>,
    secret: SecretId,
}

impl Caller {
    /// The caller without credentials.
    pub fn anonymous() -> Caller {
        Caller {
            signed_in: None,
            scopes: None,
            not_after: None,
        }
    }

    pub(crate) fn signed_in(principal: Arc<Principal>, secret: SecretId) -> Caller {
        Caller {
            signed_in: Some(SignedIn { principal, secret }),
            scopes: None,
            not_after: None,
        }
    }

    /// The same caller, allowed no more than `scopes`; what it was narrowed to before still holds.
    #[must_use]
    pub fn narrowed(self, scopes: &[Scope]) -> Caller {
        let scopes = match &self.scopes {
            None => Arc::from(scopes),
            Some(old) => scope::intersect(old, scopes).into(),
        };
        Caller {
            scopes: Some(scopes),
            ..self
        }
    }

    /// The same caller until `not_after` at the longest (the last valid microsecond since the Unix epoch).
    #[must_use]
    pub fn until(self, not_after: i64) -> Caller {
        let not_after = self.not_after.map_or(not_after, |old| old.min(not_after));
        Caller {
            not_after: Some(not_after),
            ..self
        }
    }

    /// Whether it has no credentials.
    pub fn is_anonymous(&self) -> bool {
        self.signed_in.is_none()
    }

    /// The principal as it was at sign-in; `None`: anonymous.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.signed_in.as_ref().map(|signed_in| &signed_in.principal)
    }

    /// The principal's id; `None`: anonymous.
    pub fn principal_id(&self) -> Option<PrincipalId> {
        self.principal().map(|principal| principal.id)
    }

    /// The principal's name, or `anonymous`.
    pub fn principal_name(&self) -> &str {
        self.principal()
            .map_or(ANONYMOUS, |principal| principal.name.as_str())
    }

    /// The password or robot secret that it signed in with; `None`: anonymous.
    pub fn secret(&self) -> Option<SecretId> {
        self.signed_in.as_ref().map(|signed_in| signed_in.secret)
    }

    /// What its token is narrowed to; `None`: not narrowed.
    pub fn scopes(&self) -> Option<&[Scope]> {
        self.scopes.as_deref()
    }

    /// Last instant of its token, in microseconds since the Unix epoch; `None`: it did not bring one.
    pub fn not_after(&self) -> Option<i64> {
        self.not_after
    }

    /// A signed-in caller for tests, without a book.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_tests(principal: Principal, secret: SecretId) -> Caller {
        Caller::signed_in(Arc::new(principal), secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_never_widens() {
        let scopes = |text: &str| Scope::parse_list([text]).unwrap();
        let caller = Caller::anonymous().narrowed(&scopes("repository:a:pull repository:b:*"));
        let again = caller
            .clone()
            .narrowed(&scopes("repository:a:* repository:c:pull"));
        assert_eq!(again.scopes(), Some(&scopes("repository:a:pull")[..]));
        assert_eq!(caller.narrowed(&[]).scopes(), Some(&[][..]));
    }

    #[test]
    fn the_earlier_end_holds() {
        assert_eq!(Caller::anonymous().not_after(), None);
        assert_eq!(Caller::anonymous().until(5).until(9).not_after(), Some(5));
        assert_eq!(Caller::anonymous().until(9).until(5).not_after(), Some(5));
    }
}
