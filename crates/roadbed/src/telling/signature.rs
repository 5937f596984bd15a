//! Signatures of webhooks, as Standard Webhooks has them: HMAC-SHA-256 over id, moment and body.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

/// In front of a secret.
pub(super) const PREFIX: &str = "whsec_";

/// Bytes of a secret that is made.
pub(super) const MADE_BYTES: usize = 32;

/// The key that a secret stands for: 24 to 64 bytes in base64, behind [`PREFIX`].
pub(super) fn key_of(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = BASE64_STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let bytes = Zeroizing::new(bytes);
    (24..=64).contains(&bytes.len()).then_some(bytes)
}

/// The secret of these bytes.
pub(super) fn secret_of(bytes: &[u8; MADE_BYTES]) -> String {
    format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes))
}

/// The value of `webhook-signature`: one signature per secret, the present one first.
pub(super) fn sign(secrets: &[&str], id: &str, seconds: i64, body: &str) -> Option<String> {
    let signed = format!("{id}.{seconds}.{body}");
    let signatures = secrets.iter().map(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key_of(secret)?);
        let tag = hmac::sign(&key, signed.as_bytes());
        Some(format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref())))
    });
    let signatures: Option<Vec<String>> = signatures.collect();
    signatures.map(|signatures| signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = sign(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(
            signed.as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        let two = sign(&[secret, &secret_of(&[7; 32])], "a", 1, "{}").unwrap();
        assert_eq!(two.split(' ').count(), 2);
    }

    #[test]
    fn a_secret_is_long_enough() {
        assert_eq!(key_of(&secret_of(&[1; 32])).unwrap().len(), 32);
        for bad in [
            "",
            "secret",
            "whsec_",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(key_of(bad).is_none(), "{bad}");
        }
    }
}
