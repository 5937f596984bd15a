//! The first administrator, and the way back in for whoever forgot the password.

use std::path::Path;

use access::{PrincipalName, SecretString};

use crate::{AdminError, Store};

/// Name of the first administrator.
pub const FIRST_ADMINISTRATOR: &str = "admin";

impl Store {
    /// On a data directory without any principal: makes the administrator [`FIRST_ADMINISTRATOR`]. With `password`
    /// it gets that one, and nothing is answered; without, a random one is made and answered, to be printed once.
    /// Where principals exist nothing is done and nothing answered.
    pub async fn ensure_administrator(
        &self,
        password: Option<&SecretString>,
    ) -> Result<Option<SecretString>, AdminError> {
        let _ = password;
        todo!()
    }
}

/// Sets the password of a user of a stopped server to a random one and answers it. Takes the lock of the data
/// directory, so it fails with [`crate::StoreError::Locked`] while a server runs. The user is enabled and made an
/// administrator if nobody else could administer the registry; [`FIRST_ADMINISTRATOR`] is made anew if deleted.
pub async fn reset_password(data_dir: &Path, name: &PrincipalName) -> Result<SecretString, AdminError> {
    let _ = (data_dir, name);
    todo!()
}
