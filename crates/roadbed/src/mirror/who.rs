//! Who asks: a keyed hash of what they brought, and with what the centre is asked for them.

use std::net::IpAddr;

use access::{Authorization, AuthorizationError, Cidr};
use aws_lc_rs::hmac;
use http::{HeaderMap, header};
use outbound::distribution::UpstreamLogin;

/// What credentials are known by. Without the key of this mirror it says nothing.
pub(super) type Fingerprint = [u8; 32];

/// What a client brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// Nothing, and it is served as nobody in particular.
    Nothing,
    /// Nothing that counts, and the mirror's own robot asks for it.
    Robot,
    /// A name with a password or secret.
    Password,
    /// A token, which is made to end.
    Token,
}

/// Somebody who asks.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) fingerprint: Fingerprint,
    pub(super) brought: Brought,
    /// With what the centre is asked for them.
    pub(super) login: Option<UpstreamLogin>,
}

/// Tells clients apart.
pub(super) struct Keyring {
    key: hmac::Key,
    nobody: Who,
    robot: Option<Who>,
    robot_networks: Vec<Cidr>,
    robot_only: bool,
}

impl Keyring {
    /// `robot` is the mirror's own one, as user and secret.
    pub(super) fn new(
        key: &[u8; 32],
        robot: Option<&(String, String)>,
        robot_networks: Vec<Cidr>,
        robot_only: bool,
    ) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let nobody = Who {
            fingerprint: fingerprint(&key, &[b"nobody"]),
            brought: Brought::Nothing,
            login: None,
        };
        let robot = robot.map(|(user, secret)| Who {
            fingerprint: fingerprint(&key, &[b"basic", user.as_bytes(), secret.as_bytes()]),
            brought: Brought::Robot,
            login: Some(UpstreamLogin::new(user.clone(), secret.clone())),
        });
        Self {
            key,
            nobody,
            robot,
            robot_networks,
            robot_only,
        }
    }

    /// Nobody in particular: what they may pull is public.
    pub(super) fn nobody(&self) -> &Who {
        &self.nobody
    }

    /// The mirror itself, where it asks for nobody.
    pub(super) fn itself(&self) -> &Who {
        self.robot.as_ref().unwrap_or(&self.nobody)
    }

    /// Whether what is known of the mirror may be read from an address.
    pub(super) fn is_near(&self, address: IpAddr) -> bool {
        self.robot_networks
            .iter()
            .any(|network| network.contains(address))
    }

    /// Who sends these headers from an address.
    pub(super) fn who(&self, headers: &HeaderMap, address: IpAddr) -> Result<Who, AuthorizationError> {
        let robot = self.robot.as_ref().filter(|_| self.is_near(address));
        let Some(value) = headers
            .get(header::AUTHORIZATION)
            .filter(|_| !(self.robot_only && robot.is_some()))
        else {
            return Ok(robot.unwrap_or(&self.nobody).clone());
        };
        let text = value.to_str().map_err(|_| AuthorizationError::Scheme)?;
        let (parts, brought, login): (Vec<&[u8]>, _, _);
        let parsed = Authorization::parse(text)?;
        match &parsed {
            Authorization::Basic { user, secret } => {
                parts = vec![b"basic", user.as_bytes(), secret.expose().as_bytes()];
                brought = Brought::Password;
                login = UpstreamLogin::new(user.clone(), secret.expose());
            }
            Authorization::Bearer(token) => {
                parts = vec![b"bearer", token.expose().as_bytes()];
                brought = Brought::Token;
                login = UpstreamLogin::bearer(token.expose());
            }
        }
        Ok(Who {
            fingerprint: fingerprint(&self.key, &parts),
            brought,
            login: Some(login),
        })
    }
}

/// Each part goes with its length, so that none runs into the next one.
fn fingerprint(key: &hmac::Key, parts: &[&[u8]]) -> Fingerprint {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut fingerprint = [0; 32];
    let tag = context.sign();
    fingerprint.copy_from_slice(&tag.as_ref()[..32]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(robot_only: bool) -> Keyring {
        let robot = ("node".to_owned(), "secret".to_owned());
        Keyring::new(
            &[7; 32],
            Some(&robot),
            vec!["127.0.0.0/8".parse().unwrap()],
            robot_only,
        )
    }

    fn who(keyring: &Keyring, authorization: Option<&str>, address: &str) -> Who {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        keyring.who(&headers, address.parse().unwrap()).unwrap()
    }

    /// ann:secret, and the robot's own.
    const ANN: &str = "Basic YW5uOnNlY3JldA==";
    const NODE: &str = "Basic bm9kZTpzZWNyZXQ=";

    #[test]
    fn the_robot_is_for_those_who_are_near_and_bring_nothing() {
        let keyring = keyring(false);
        assert_eq!(who(&keyring, None, "127.0.0.1").brought, Brought::Robot);
        assert_eq!(who(&keyring, None, "10.0.0.1").brought, Brought::Nothing);
        assert_eq!(who(&keyring, Some(ANN), "127.0.0.1").brought, Brought::Password);
        assert_eq!(
            who(&keyring, Some("Bearer abc"), "127.0.0.1").brought,
            Brought::Token
        );
        let always = super::tests::keyring(true);
        assert_eq!(who(&always, Some(ANN), "127.0.0.1").brought, Brought::Robot);
        assert_eq!(who(&always, Some(ANN), "10.0.0.1").brought, Brought::Password);
    }

    #[test]
    fn no_two_are_taken_for_each_other() {
        let keyring = keyring(false);
        let mut seen = std::collections::HashSet::new();
        for authorization in [
            None,
            Some(ANN),
            Some("Basic YW5uczplY3JldA=="),
            Some("Basic YW5uOg=="),
            Some("Bearer YW5uOnNlY3JldA=="),
        ] {
            assert!(seen.insert(who(&keyring, authorization, "10.0.0.1").fingerprint));
        }
        let robot = who(&keyring, None, "127.0.0.1").fingerprint;
        assert_eq!(
            who(&keyring, Some(NODE), "10.0.0.1").fingerprint,
            robot,
            "the same secret"
        );
        assert!(!seen.contains(&robot));
        let other = Keyring::new(&[8; 32], None, Vec::new(), false);
        assert!(
            !seen.contains(&who(&other, Some(ANN), "10.0.0.1").fingerprint),
            "another key"
        );
    }

    #[test]
    fn what_cannot_be_read_is_nobody_s() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Digest x".parse().unwrap());
        assert!(keyring(false).who(&headers, "10.0.0.1".parse().unwrap()).is_err());
    }
}
