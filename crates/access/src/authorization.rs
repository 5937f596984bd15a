//! The `Authorization` header (RFC 7235, RFC 7617, RFC 6750).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::secret_string::SecretString;

/// Longest header value that is read, in bytes.
pub const MAX_AUTHORIZATION_BYTES: usize = 8 * 1024;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client presents to prove who it is.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// Name and password, or name and robot secret.
    Basic {
        /// As sent; not yet known to be a name.
        user: String,
        /// As sent.
        secret: SecretString,
    },
    /// A token.
    Bearer(SecretString),
}

impl Authorization {
    /// Reads a header value. The scheme's case does not matter (RFC 7235, section 2.1).
    pub fn parse(value: &str) -> Result<Authorization, AuthorizationError> {
        if value.len() > MAX_AUTHORIZATION_BYTES {
            return Err(AuthorizationError::TooLong);
        }
        let (scheme, credentials) = value.split_once(' ').ok_or(AuthorizationError::Scheme)?;
        let credentials = credentials.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            parse_basic(credentials)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            parse_bearer(credentials)
        } else {
            Err(AuthorizationError::Scheme)
        }
    }
}

fn parse_basic(credentials: &str) -> Result<Authorization, AuthorizationError> {
    let bytes = Zeroizing::new(
        BASE64
            .decode(credentials)
            .map_err(|_| AuthorizationError::Basic)?,
    );
    let text = str::from_utf8(&bytes).map_err(|_| AuthorizationError::Basic)?;
    let (user, secret) = text.split_once(':').ok_or(AuthorizationError::Basic)?;
    if text.chars().any(char::is_control) {
        return Err(AuthorizationError::Basic);
    }
    Ok(Authorization::Basic {
        user: user.to_owned(),
        secret: secret.into(),
    })
}

fn parse_bearer(token: &str) -> Result<Authorization, AuthorizationError> {
    let is_token68 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_token68) {
        return Err(AuthorizationError::Bearer);
    }
    Ok(Authorization::Bearer(token.into()))
}

/// Why a header value cannot be read. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// Over [`MAX_AUTHORIZATION_BYTES`].
    #[error(
        "authorization header is over {MAX_AUTHORIZATION_BYTES} bytes: ask for a token with fewer scopes"
    )]
    TooLong,
    /// Neither `Basic` nor `Bearer`.
    #[error("authorization scheme is not supported: use Basic or Bearer")]
    Scheme,
    /// No base64 of UTF-8 `user:secret` without control characters.
    #[error("basic credentials are malformed: send base64 of `user:secret`")]
    Basic,
    /// No token68 (RFC 7235).
    #[error("bearer token is malformed: send it as it was issued")]
    Bearer,
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn basic(text: &str) -> Result<(String, String), AuthorizationError> {
        match Authorization::parse(&format!("Basic {}", STANDARD.encode(text)))? {
            Authorization::Basic { user, secret } => Ok((user, secret.expose().to_owned())),
            Authorization::Bearer(_) => panic!("read as a token"),
        }
    }

    #[test]
    fn basic_credentials_are_read() {
        assert_eq!(basic("ann:secret"), Ok(("ann".into(), "secret".into())));
        assert_eq!(basic("ann:with:colon"), Ok(("ann".into(), "with:colon".into())));
        assert_eq!(basic("ann:"), Ok(("ann".into(), String::new())));
        assert_eq!(basic(":x"), Ok((String::new(), "x".into())));
        assert_eq!(basic("änn:pässwörd"), Ok(("änn".into(), "pässwörd".into())));
        for value in [
            "basic YTpi",
            "BASIC YTpi",
            "Basic  YTpi",
            "Basic YTpiYw",
            "Basic YTpiYw==",
        ] {
            assert!(
                matches!(Authorization::parse(value), Ok(Authorization::Basic { user, .. }) if user == "a")
            );
        }
    }

    #[test]
    fn bearer_tokens_are_read() {
        for value in ["Bearer a.b.c", "bearer a.b.c"] {
            assert!(
                matches!(Authorization::parse(value), Ok(Authorization::Bearer(t)) if t.expose() == "a.b.c")
            );
        }
    }

    #[test]
    fn nonsense_is_refused_by_kind() {
        use AuthorizationError::{Basic, Bearer, Scheme, TooLong};
        for (value, error) in [
            ("", Scheme),
            ("Basic", Scheme),
            ("Negotiate abc", Scheme),
            ("Digest username=\"a\"", Scheme),
            ("Basic !!!", Basic),
            ("Basic YWJj", Basic),
            ("Basic /w==", Basic),
            ("Bearer ", Bearer),
            ("Bearer a b", Bearer),
            ("Bearer a\u{e9}", Bearer),
        ] {
            assert_eq!(Authorization::parse(value).unwrap_err(), error, "{value}");
        }
        assert_eq!(basic("ann:line\nbreak"), Err(Basic));
        let long = format!("Bearer {}", "a".repeat(MAX_AUTHORIZATION_BYTES));
        assert_eq!(Authorization::parse(&long).unwrap_err(), TooLong);
        assert!(Authorization::parse(&long[..MAX_AUTHORIZATION_BYTES]).is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Authorization::parse("Basic YW5uOmh1bnRlcjI=").unwrap());
        assert!(shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(value in "(Basic|Bearer|basic|X)? ?.{0,80}") {
            let _ = Authorization::parse(&value);
        }

        #[test]
        fn what_is_encoded_is_decoded(user in "[^:\\p{Cc}]{0,20}", secret in "[^\\p{Cc}]{0,20}") {
            prop_assert_eq!(basic(&format!("{user}:{secret}")), Ok((user, secret)));
        }
    }
}
