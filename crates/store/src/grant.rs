//! Grants: who may do what where.

use access::Grant;

use crate::{Actor, AdminError, Store, StoreError};

impl Store {
    /// Adds a grant; the roles of an existing grant with the same subject and pattern are replaced.
    pub async fn set_grant(&self, actor: &Actor, grant: &Grant) -> Result<(), AdminError> {
        let _ = (actor, grant);
        todo!()
    }

    /// Removes the grant with the same subject and pattern.
    pub async fn remove_grant(
        &self,
        actor: &Actor,
        subject: &access::Subject,
        pattern: &oci::RepoPattern,
    ) -> Result<(), AdminError> {
        let _ = (actor, subject, pattern);
        todo!()
    }

    /// All grants (at most [`crate::StoreLimits::grants`]), ordered by subject and pattern.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        todo!()
    }
}
