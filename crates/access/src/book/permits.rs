//! Permits: proof that the book was asked. Their fields and constructors are private to the book.

use std::marker::PhantomData;

use oci::{RepoName, RepoPattern};

use crate::caller::Caller;
use crate::permit::{Act, Administer, Delete, Pull, Push};
use crate::principal::PrincipalId;

/// Proof that a caller may do `A` on one repository. Whoever touches the repository's content demands one.
///
/// Only [`AccessBook::authorize`](crate::AccessBook::authorize) makes it:
///
/// ```
/// use access::{AccessBook, Caller, Grant, Permit, permit::Pull};
///
/// let open = Grant {
///     subject: "anonymous".parse()?,
///     pattern: "public/**".parse()?,
///     roles: "pull".parse()?,
/// };
/// let book = AccessBook::build(vec![], vec![], vec![open], 1);
/// let permit: Permit<Pull> = book.authorize(&Caller::anonymous(), &"public/app".parse()?)?;
/// assert_eq!(permit.repo().as_str(), "public/app");
/// assert!(book.authorize::<Pull>(&Caller::anonymous(), &"private/app".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Writing one down does not compile, because the fields are private:
///
/// ```compile_fail,E0451
/// use access::{Caller, Permit, permit::Push};
/// use std::marker::PhantomData;
///
/// let permit: Permit<Push> =
///     Permit { repo: "a".parse().unwrap(), caller: Caller::anonymous(), act: PhantomData };
/// ```
///
/// Nor does calling the constructor that the book uses:
///
/// ```compile_fail,E0624
/// use access::{Caller, Permit, permit::Push};
///
/// let permit: Permit<Push> = Permit::new("a".parse().unwrap(), Caller::anonymous());
/// ```
///
/// Nor passing a permit for reading where one for writing is demanded:
///
/// ```compile_fail,E0308
/// use access::{Permit, permit::{Pull, Push}};
///
/// fn write(_: &Permit<Push>) {}
/// fn read(permit: &Permit<Pull>) {
///     write(permit);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Permit<A: Act> {
    repo: RepoName,
    caller: Caller,
    act: PhantomData<A>,
}

impl<A: Act> Permit<A> {
    pub(super) fn new(repo: RepoName, caller: Caller) -> Permit<A> {
        Permit {
            repo,
            caller,
            act: PhantomData,
        }
    }

    /// Where.
    pub fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Who.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The principal's id; `None`: anonymous.
    pub fn principal_id(&self) -> Option<PrincipalId> {
        self.caller.principal_id()
    }

    /// The principal's name, or `anonymous`.
    pub fn principal_name(&self) -> &str {
        self.caller.principal_name()
    }

    /// A permit for tests, without a book.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_tests(repo: RepoName, caller: Caller) -> Permit<A> {
        Permit::new(repo, caller)
    }

    fn weakened<B: Act>(&self) -> Permit<B> {
        Permit::new(self.repo.clone(), self.caller.clone())
    }
}

impl Permit<Push> {
    /// Whoever may push may pull.
    pub fn as_pull(&self) -> Permit<Pull> {
        self.weakened()
    }
}

impl Permit<Delete> {
    /// Whoever may delete may pull.
    pub fn as_pull(&self) -> Permit<Pull> {
        self.weakened()
    }
}

impl Permit<Administer> {
    /// Whoever administers may pull.
    pub fn as_pull(&self) -> Permit<Pull> {
        self.weakened()
    }

    /// Whoever administers may push.
    pub fn as_push(&self) -> Permit<Push> {
        self.weakened()
    }

    /// Whoever administers may delete.
    pub fn as_delete(&self) -> Permit<Delete> {
        self.weakened()
    }
}

macro_rules! caller_accessors {
    () => {
        /// Who.
        pub fn caller(&self) -> &Caller {
            &self.caller
        }

        /// The principal's id; `None` only in tests.
        pub fn principal_id(&self) -> Option<PrincipalId> {
            self.caller.principal_id()
        }

        /// The principal's name.
        pub fn principal_name(&self) -> &str {
            self.caller.principal_name()
        }
    };
}

/// Proof that a caller may manage grants and rules of one pattern. Only
/// [`AccessBook::may_administer_pattern`](crate::AccessBook::may_administer_pattern) makes it.
///
/// ```compile_fail,E0624
/// let permit = access::PatternPermit::new("**".parse().unwrap(), access::Caller::anonymous());
/// ```
#[derive(Clone, Debug)]
pub struct PatternPermit {
    pattern: RepoPattern,
    caller: Caller,
}

impl PatternPermit {
    pub(super) fn new(pattern: RepoPattern, caller: Caller) -> PatternPermit {
        PatternPermit { pattern, caller }
    }

    /// The pattern whose grants and rules may be changed; not those of patterns that overlap it.
    pub fn pattern(&self) -> &RepoPattern {
        &self.pattern
    }

    caller_accessors!();

    /// A permit for tests, without a book.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_tests(pattern: RepoPattern, caller: Caller) -> PatternPermit {
        PatternPermit::new(pattern, caller)
    }
}

/// Proof that a caller is an administrator. Only
/// [`AccessBook::authorize_system`](crate::AccessBook::authorize_system) makes it.
///
/// ```compile_fail,E0624
/// let permit = access::SystemPermit::new(access::Caller::anonymous());
/// ```
#[derive(Clone, Debug)]
pub struct SystemPermit {
    caller: Caller,
}

impl SystemPermit {
    pub(super) fn new(caller: Caller) -> SystemPermit {
        SystemPermit { caller }
    }

    caller_accessors!();

    /// An administrator may manage grants and rules of every pattern.
    pub fn for_pattern(&self, pattern: RepoPattern) -> PatternPermit {
        PatternPermit::new(pattern, self.caller.clone())
    }

    /// A permit for tests, without a book.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_tests(caller: Caller) -> SystemPermit {
        SystemPermit::new(caller)
    }
}
