//! Roles and sets of them. One rule of implication holds everywhere, in grants as in token scopes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;

/// What somebody may do with a repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read manifests, blobs, tags and referrers.
    Pull,
    /// Read also what policy refuses: for signers, replication and people who look into it, never for what runs images.
    /// Implies [`Role::Pull`], and no other role implies it: it is granted by name.
    Inspect,
    /// Upload blobs, put manifests and tags. Implies [`Role::Pull`].
    Push,
    /// Delete manifests, tags and blobs. Implies [`Role::Pull`].
    Delete,
    /// Manage grants and rules of the pattern. Implies every other role but [`Role::Inspect`].
    Admin,
}

impl Role {
    /// All roles, the weakest first.
    pub const ALL: [Role; 5] = [Role::Pull, Role::Inspect, Role::Push, Role::Delete, Role::Admin];

    /// The spelling in files, in the API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Pull => "pull",
            Role::Inspect => "inspect",
            Role::Push => "push",
            Role::Delete => "delete",
            Role::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The role and all that it implies.
    const fn closure(self) -> u8 {
        match self {
            Role::Pull => Role::Pull.bit(),
            Role::Inspect => Role::Inspect.bit() | Role::Pull.bit(),
            Role::Push => Role::Push.bit() | Role::Pull.bit(),
            Role::Delete => Role::Delete.bit() | Role::Pull.bit(),
            Role::Admin => Role::Admin.bit() | Role::Delete.bit() | Role::Push.bit() | Role::Pull.bit(),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError::Unknown { role: excerpt(text) })
    }
}

/// A set of roles that is closed under implication: whoever may push may pull.
///
/// As text and in JSON it lists every role that it holds, so that two sets are equal exactly when their texts are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Role>", from = "Vec<Role>")]
pub struct RoleSet(u8);

impl RoleSet {
    /// No role.
    pub const EMPTY: RoleSet = RoleSet(0);
    /// Every role but [`Role::Inspect`].
    pub const ALL: RoleSet = RoleSet(Role::Admin.closure());
    /// What a token's scope can carry at most (`*`): everything except [`Role::Admin`].
    pub const ACTIONS: RoleSet = RoleSet(Role::Push.closure() | Role::Delete.closure());

    /// `role` and what it implies.
    pub const fn of(role: Role) -> RoleSet {
        RoleSet(role.closure())
    }

    /// This set, `role`, and what `role` implies.
    #[must_use]
    pub const fn with(self, role: Role) -> RoleSet {
        RoleSet(self.0 | role.closure())
    }

    /// What either set holds.
    #[must_use]
    pub const fn union(self, other: RoleSet) -> RoleSet {
        RoleSet(self.0 | other.0)
    }

    /// What both sets hold. Two closed sets intersect in a closed one.
    #[must_use]
    pub const fn intersection(self, other: RoleSet) -> RoleSet {
        RoleSet(self.0 & other.0)
    }

    /// Whether the set holds `role`.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles in the set, the weakest first.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl From<Role> for RoleSet {
    fn from(role: Role) -> Self {
        RoleSet::of(role)
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(RoleSet::EMPTY, RoleSet::with)
    }
}

impl From<Vec<Role>> for RoleSet {
    fn from(roles: Vec<Role>) -> Self {
        roles.into_iter().collect()
    }
}

impl From<RoleSet> for Vec<Role> {
    fn from(set: RoleSet) -> Self {
        set.iter().collect()
    }
}

/// Comma-separated, the weakest first: `pull,push`. The empty set is the empty text.
impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, role) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(role.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoleSet({self})")
    }
}

/// Comma-separated roles in any order, at least one.
impl FromStr for RoleSet {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        if text.is_empty() {
            return Err(RoleError::Empty);
        }
        text.split(',').map(str::parse::<Role>).collect()
    }
}

/// Why a text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// A word that is no role.
    #[error("unknown role `{role}`: use pull, inspect, push, delete or admin")]
    Unknown {
        /// The start of the word.
        role: String,
    },
    /// No role at all.
    #[error("no role given: name at least one of pull, inspect, push, delete, admin")]
    Empty,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implications_are_closed() {
        for (role, text) in [
            (Role::Pull, "pull"),
            (Role::Inspect, "pull,inspect"),
            (Role::Push, "pull,push"),
            (Role::Delete, "pull,delete"),
            (Role::Admin, "pull,push,delete,admin"),
        ] {
            assert_eq!(RoleSet::of(role).to_string(), text);
        }
        assert_eq!(RoleSet::ACTIONS.to_string(), "pull,push,delete");
        assert!(!RoleSet::ACTIONS.contains(Role::Admin));
    }

    #[test]
    fn texts_and_json_round_trip() {
        for bits in 0..16_u8 {
            let set: RoleSet = Role::ALL
                .into_iter()
                .filter(|role| bits & role.bit() != 0)
                .collect();
            if !set.is_empty() {
                assert_eq!(set.to_string().parse::<RoleSet>(), Ok(set));
            }
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<RoleSet>(&json).unwrap(), set);
        }
        assert_eq!(
            serde_json::to_string(&RoleSet::of(Role::Push)).unwrap(),
            r#"["pull","push"]"#
        );
        assert_eq!("push".parse::<RoleSet>(), Ok(RoleSet::of(Role::Push)));
    }

    #[test]
    fn what_is_no_role_is_named() {
        let unknown = "pull,write".parse::<RoleSet>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "unknown role `write`: use pull, inspect, push, delete or admin"
        );
        assert_eq!("".parse::<RoleSet>(), Err(RoleError::Empty));
        assert!("Pull".parse::<Role>().is_err());
        assert!("pull,".parse::<RoleSet>().is_err());
    }
}
