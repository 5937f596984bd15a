//! The first administrator, and the way back in for whoever forgot the password.

use std::path::Path;

use access::{PrincipalKind, PrincipalName, SecretString};

use crate::principal::change::{self, Change};
use crate::{Actor, AdminError, Store, StoreConfig, SystemClock};

/// Name of the first administrator.
pub const FIRST_ADMINISTRATOR: &str = "admin";

/// Characters of a generated password: 24 of 56 that are hard to confuse make more than 128 bits.
const PASSWORD_CHARS: usize = 24;
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl Store {
    /// On a data directory without any principal: makes the administrator [`FIRST_ADMINISTRATOR`]. With `password`
    /// it gets that one, and nothing is answered; without, a random one is made and answered, to be printed once.
    /// Where principals exist nothing is done and nothing answered.
    pub async fn ensure_administrator(
        &self,
        password: Option<&SecretString>,
    ) -> Result<Option<SecretString>, AdminError> {
        if !self.principals(None, None, 1).await?.items.is_empty() {
            return Ok(None);
        }
        let generated = password.is_none().then(generate);
        let verifier = match password.or(generated.as_ref()) {
            Some(password) => self.hash_password(password).await?,
            None => return Ok(None),
        };
        let name = first_administrator()?;
        let limit = self.limits().principals;
        let actor = Actor::system("first start");
        self.change_access(move |tx| {
            Box::pin(async move {
                let new = change::New {
                    name: &name,
                    kind: PrincipalKind::User,
                    administrator: true,
                    not_after: None,
                };
                let id = change::insert(tx, &actor, new, limit).await?;
                change::insert_secret(tx, id, &verifier, None).await?;
                Ok(())
            })
        })
        .await?;
        Ok(generated)
    }
}

/// Sets the password of a user of a stopped server to a random one and answers it. Takes the lock of the data
/// directory, so it fails with [`crate::StoreError::Locked`] while a server runs. The user is enabled and without an
/// end afterwards; [`FIRST_ADMINISTRATOR`] is also made an administrator, and made anew if it was deleted.
pub async fn reset_password(data_dir: &Path, name: &PrincipalName) -> Result<SecretString, AdminError> {
    let store = Store::open(StoreConfig::at(data_dir), std::sync::Arc::new(SystemClock)).await?;
    let done = store.reset(name).await;
    store.close().await?;
    done
}

impl Store {
    async fn reset(&self, name: &PrincipalName) -> Result<SecretString, AdminError> {
        let password = generate();
        let verifier = self.hash_password(&password).await?;
        let (name, limit) = (name.clone(), self.limits().principals);
        self.change_access(move |tx| {
            Box::pin(async move {
                let actor = Actor::operator("reset-password");
                let first = name.as_str() == FIRST_ADMINISTRATOR;
                if first && change::find(tx, &name).await?.is_none() {
                    let new = change::New {
                        name: &name,
                        kind: PrincipalKind::User,
                        administrator: true,
                        not_after: None,
                    };
                    change::insert(tx, &actor, new, limit).await?;
                }
                change::replace_password(tx, &actor, &name, &verifier).await?;
                if first {
                    change::update_unchecked(tx, &actor, &name, Change::Administrator(true)).await?;
                }
                change::update_unchecked(tx, &actor, &name, Change::Disabled(false)).await?;
                change::update_unchecked(tx, &actor, &name, Change::NotAfter(None)).await
            })
        })
        .await?;
        Ok(password)
    }
}

fn first_administrator() -> Result<PrincipalName, AdminError> {
    FIRST_ADMINISTRATOR
        .parse()
        .map_err(|error: access::NameError| AdminError::Invalid {
            reason: error.to_string(),
        })
}

/// A random password.
fn generate() -> SecretString {
    let mut text = String::with_capacity(PASSWORD_CHARS);
    while text.len() < PASSWORD_CHARS {
        let bytes: [u8; 32] = crate::entropy::bytes();
        // 224 is 4 × 56: what is beyond would make the first characters of the alphabet likelier.
        let even = bytes.into_iter().filter(|&byte| byte < 224);
        let chars = even.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        text.extend(chars.take(PASSWORD_CHARS - text.len()));
    }
    text.into()
}

#[cfg(test)]
mod tests;
