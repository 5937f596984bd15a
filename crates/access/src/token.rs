//! Tokens: signed statements of who signed in, with what, and what for.
//!
//! One algorithm (HS256, RFC 7519), one issuer, one audience per use: a registry token opens nothing in the API and
//! the other way round. A token says who somebody is, never what they may do: that is asked of the book each time,
//! and the scopes only narrow it. So a grant that is taken away, or a secret that is revoked, ends what the token
//! can do, whatever its end says.
//!
//! The library's own clock is not used: `now` is an argument, and the times are checked here.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::principal::{PrincipalId, PrincipalName, SecretId};
use crate::scope::{MAX_SCOPES, Scope};

/// Longest token, in bytes; checked before anything is parsed.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest life of a token, in seconds (one day).
pub const MAX_LIFETIME_SECONDS: i64 = 24 * 60 * 60;
/// How far the clocks of two replicas may differ, in seconds. Only for `iat` and `nbf`: the end is the end.
pub const CLOCK_SKEW_SECONDS: i64 = 30;

const ISSUER: &str = "roadbed";
const ALGORITHM: Algorithm = Algorithm::HS256;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Audience {
    /// `/v2/…`: the token is narrowed to its scopes, and without scopes it only proves who its owner is.
    Registry,
    /// `/api/v1/…`: the token carries all that its owner may; scopes have no meaning.
    Api,
}

impl Audience {
    /// The `aud` claim.
    pub const fn as_str(self) -> &'static str {
        match self {
            Audience::Registry => "roadbed-registry",
            Audience::Api => "roadbed-api",
        }
    }
}

/// Who signed in, and with which secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenSubject {
    /// `sub`.
    pub name: PrincipalName,
    /// Tells two principals apart that had the same name one after the other.
    pub principal: PrincipalId,
    /// When this secret is revoked, the token is void.
    pub secret: SecretId,
}

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// `jti`: 16 random bytes, so that no two tokens are equal.
    pub id: [u8; 16],
    /// `aud`.
    pub audience: Audience,
    /// `None`: anonymous.
    pub subject: Option<TokenSubject>,
    /// What it is narrowed to; at most [`MAX_SCOPES`].
    pub scopes: Vec<Scope>,
    /// `iat` and `nbf`, in seconds since the Unix epoch.
    pub issued_at: i64,
    /// `exp`, in seconds since the Unix epoch: the first second at which it is void.
    pub expires_at: i64,
}

/// The claims as they travel.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<PrincipalId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<SecretId>,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// Makes and checks tokens with one key.
pub struct Signer {
    signing: EncodingKey,
    verifying: DecodingKey,
    registry: Validation,
    api: Validation,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(redacted)")
    }
}

impl Signer {
    /// A signer with a key of 32 random bytes.
    pub fn new(mut key: [u8; 32]) -> Signer {
        let signer = Signer {
            signing: EncodingKey::from_secret(&key),
            verifying: DecodingKey::from_secret(&key),
            registry: validation(Audience::Registry),
            api: validation(Audience::Api),
        };
        key.zeroize();
        signer
    }

    /// Signs `claims`.
    pub fn issue(&self, claims: &Claims) -> Result<String, TokenError> {
        check_lifetime(claims.issued_at, claims.expires_at)?;
        if claims.scopes.len() > MAX_SCOPES {
            return Err(TokenError::TooManyScopes);
        }
        let subject = claims.subject.as_ref();
        let wire = WireClaims {
            iss: ISSUER.to_owned(),
            aud: claims.audience.as_str().to_owned(),
            sub: subject.map(|subject| subject.name.clone()),
            pid: subject.map(|subject| subject.principal),
            sid: subject.map(|subject| subject.secret),
            jti: format!("{:032x}", u128::from_be_bytes(claims.id)),
            iat: claims.issued_at,
            nbf: claims.issued_at,
            exp: claims.expires_at,
            scope: Scope::format_list(&claims.scopes),
        };
        let token = jsonwebtoken::encode(&Header::new(ALGORITHM), &wire, &self.signing)
            .map_err(|_| TokenError::Malformed)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        Ok(token)
    }

    /// Checks a token for one use at `now_secs` (seconds since the Unix epoch) and returns what it says.
    ///
    /// Whether its owner still exists and may do anything is the book's to say: [`crate::AccessBook::caller_of`].
    pub fn verify(&self, token: &str, audience: Audience, now_secs: i64) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let validation = match audience {
            Audience::Registry => &self.registry,
            Audience::Api => &self.api,
        };
        let wire = jsonwebtoken::decode::<WireClaims>(token, &self.verifying, validation)
            .map_err(|error| of_library(error.kind()))?
            .claims;
        check_times(&wire, now_secs)?;
        read(wire, audience)
    }
}

/// Demands the one algorithm, issuer and audience. The times are checked by [`check_times`], because the library
/// would ask the system's clock.
fn validation(audience: Audience) -> Validation {
    let mut validation = Validation::new(ALGORITHM);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience.as_str()]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn check_lifetime(issued_at: i64, expires_at: i64) -> Result<(), TokenError> {
    match expires_at.checked_sub(issued_at) {
        Some(1..=MAX_LIFETIME_SECONDS) => Ok(()),
        _ => Err(TokenError::Lifetime),
    }
}

fn check_times(wire: &WireClaims, now_secs: i64) -> Result<(), TokenError> {
    check_lifetime(wire.iat, wire.exp)?;
    if now_secs >= wire.exp {
        return Err(TokenError::Expired);
    }
    if wire.iat.max(wire.nbf) > now_secs.saturating_add(CLOCK_SKEW_SECONDS) {
        return Err(TokenError::NotYetValid);
    }
    Ok(())
}

fn read(wire: WireClaims, audience: Audience) -> Result<Claims, TokenError> {
    let subject = match (wire.sub, wire.pid, wire.sid) {
        (None, None, None) => None,
        (Some(name), Some(principal), Some(secret)) => Some(TokenSubject {
            name,
            principal,
            secret,
        }),
        _ => return Err(TokenError::Malformed),
    };
    let id = (wire.jti.len() == 32)
        .then(|| u128::from_str_radix(&wire.jti, 16).ok())
        .flatten();
    Ok(Claims {
        id: id.ok_or(TokenError::Malformed)?.to_be_bytes(),
        audience,
        subject,
        scopes: Scope::parse_issued(&wire.scope).map_err(|_| TokenError::Malformed)?,
        issued_at: wire.iat,
        expires_at: wire.exp,
    })
}

fn of_library(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        _ => TokenError::Malformed,
    }
}

/// Why a token is refused. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Over [`MAX_TOKEN_BYTES`].
    #[error("token is over {MAX_TOKEN_BYTES} bytes: ask for one with fewer scopes")]
    TooLong,
    /// Over [`MAX_SCOPES`].
    #[error("token has over {MAX_SCOPES} scopes: ask for fewer")]
    TooManyScopes,
    /// Not of the form that we issue.
    #[error("token is malformed: sign in again")]
    Malformed,
    /// Another algorithm than HS256.
    #[error("token is signed with another algorithm: sign in again")]
    Algorithm,
    /// Not signed with our key, or changed.
    #[error("token's signature is wrong: sign in again")]
    Signature,
    /// Another issuer.
    #[error("token is from another issuer: sign in here")]
    Issuer,
    /// For another use.
    #[error("token is for another use: sign in for this one")]
    Audience,
    /// Past its end.
    #[error("token is expired: sign in again")]
    Expired,
    /// Issued in the future.
    #[error("token is not yet valid: check the clocks of the servers")]
    NotYetValid,
    /// Ends before it begins or later than [`MAX_LIFETIME_SECONDS`] after.
    #[error("token's life is not between 1 and {MAX_LIFETIME_SECONDS} seconds")]
    Lifetime,
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
