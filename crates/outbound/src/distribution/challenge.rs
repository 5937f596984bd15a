//! What a registry answers to whom it does not know (RFC 9110, section 11.6.1; Docker's "Token authentication specification").
//! Pure, and fed by strangers.

/// Bytes of one header that are read; a longer one is none.
const HEADER_BYTES: usize = 4_096;

/// Challenges of one header that are read.
const CHALLENGES: usize = 8;

/// Parameters of one challenge; one with more is none.
const PARAMETERS: usize = 16;

/// What it wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token.
    Bearer(Bearer),
}

/// A token from somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Where.
    pub(super) realm: String,
    /// For whom.
    pub(super) service: Option<String>,
    /// For what.
    pub(super) scope: Option<String>,
}

/// The challenges of one header that are understood. What is malformed ends the reading; a challenge that says one thing twice is
/// left out.
pub(super) fn challenges(header: &str) -> Vec<Challenge> {
    if header.len() > HEADER_BYTES {
        return Vec::new();
    }
    let mut reader = Reader { rest: header };
    let mut found = Vec::new();
    while found.len() < CHALLENGES
        && let Some(said) = reader.challenge()
    {
        found.push(said);
    }
    found.iter().filter_map(Said::meaning).collect()
}

/// A challenge as it was said.
#[derive(Debug, Default)]
struct Said {
    scheme: String,
    parameters: Vec<(String, String)>,
    is_malformed: bool,
}

impl Said {
    fn meaning(&self) -> Option<Challenge> {
        if self.is_malformed {
            return None;
        }
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !self.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Challenge::Bearer(Bearer {
            realm: self.parameter("realm")?,
            service: self.parameter("service"),
            scope: self.parameter("scope"),
        }))
    }

    fn parameter(&self, wanted: &str) -> Option<String> {
        let found = self.parameters.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    }

    fn add(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        if self.parameters.len() >= PARAMETERS || self.parameters.iter().any(|(known, _)| *known == name) {
            self.is_malformed = true;
        } else {
            self.parameters.push((name, value));
        }
    }
}

struct Reader<'h> {
    rest: &'h str,
}

impl<'h> Reader<'h> {
    /// The next challenge: a scheme, then either one word (`token68`) or parameters up to the next scheme.
    fn challenge(&mut self) -> Option<Said> {
        self.skip_commas();
        let scheme = self.token()?;
        let mut said = Said {
            scheme: scheme.to_owned(),
            ..Said::default()
        };
        self.skip_blanks();
        if self.skip_word() {
            return Some(said);
        }
        loop {
            self.skip_commas();
            let before = self.rest;
            let Some(name) = self.token() else { break };
            self.skip_blanks();
            let Some(after) = self.rest.strip_prefix('=') else {
                // Another scheme.
                self.rest = before;
                break;
            };
            self.rest = after;
            self.skip_blanks();
            let Some(value) = self.value() else {
                said.is_malformed = true;
                self.rest = "";
                break;
            };
            said.add(name, value);
        }
        Some(said)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn skip_commas(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// Letters, digits and a few signs (RFC 9110, section 5.6.2).
    fn token(&mut self) -> Option<&'h str> {
        let is_of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self
            .rest
            .find(|c: char| !is_of_token(c))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Skips a `token68`, which nothing but a comma or the end may follow.
    fn skip_word(&mut self) -> bool {
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let rest = self.rest.trim_start_matches(is_of_word).trim_start_matches('=');
        let after = rest.trim_start_matches([' ', '\t']);
        let is_word = rest.len() < self.rest.len() && (after.is_empty() || after.starts_with(','));
        if is_word {
            self.rest = after;
        }
        is_word
    }

    /// A token or a quoted text.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // Some registries do not quote URLs.
            let end = self.rest.find([',', ' ', '\t', '"']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return (!value.is_empty()).then(|| value.to_owned());
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                plain => value.push(plain),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_of_known_registries_are_understood() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        assert_eq!(
            challenges(hub),
            [bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:library/alpine:pull")
            )]
        );
        assert_eq!(
            challenges(r#"BASIC realm="Sonatype Nexus", charset="UTF-8""#),
            [Challenge::Basic]
        );
        assert_eq!(
            challenges(
                r#"Basic realm="a, b", Negotiate abc==, bearer  realm = https://a.example/t , scope="""#
            ),
            [Challenge::Basic, bearer("https://a.example/t", None, Some(""))]
        );
        assert_eq!(challenges("Basic"), [Challenge::Basic]);
        assert_eq!(challenges("Basic, Basic"), [Challenge::Basic, Challenge::Basic]);
        assert_eq!(
            challenges(r#"Bearer realm="https://a\"b\\""#),
            [bearer("https://a\"b\\", None, None)]
        );
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for wrong in [
            "",
            ",,,",
            "Bearer",
            "Bearer service=x",
            "Negotiate",
            "Bearer realm",
            "Bearer realm=",
            r#"Bearer realm=""#,
            r#"Bearer realm="https://a.example"#,
            r#"Bearer realm="https://a.example\"#,
            r#"Bearer realm="https://a.example",realm="https://b.example""#,
            r#"Bearer realm="https://a.example",REALM="https://b.example""#,
            "=",
            "\"Basic\"",
            "Bearer \u{e9}=x",
        ] {
            assert!(challenges(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn no_more_is_read_than_makes_sense() {
        let long = format!(r#"Bearer realm="{}""#, "x".repeat(HEADER_BYTES));
        assert!(challenges(&long).is_empty());
        let many = "Basic, ".repeat(100);
        assert_eq!(challenges(&many).len(), CHALLENGES);
        let full: Vec<String> = (0..=PARAMETERS).map(|number| format!(", p{number}=x")).collect();
        let full = full.concat();
        assert!(challenges(&format!("Bearer realm=x{full}")).is_empty());
    }

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(header in ".{0,200}") {
            for challenge in challenges(&header) {
                if let Challenge::Bearer(found) = challenge {
                    prop_assert!(found.realm.len() <= header.len());
                }
            }
        }

        #[test]
        fn nearly_challenges_are_read_to_their_end(header in r#"((Bearer|Basic|x)[ ,=]{0,2}|(realm|scope)=?|["\\]|[,= ]|a){0,30}"#) {
            prop_assert!(challenges(&header).len() <= CHALLENGES);
        }

        #[test]
        fn what_is_said_is_what_is_understood(realm in "\\PC{1,50}", service in "\\PC{0,50}", scope in "\\PC{0,50}") {
            let header = format!(
                "Basic realm=x, Bearer realm={},service={} , scope={}",
                quoted(&realm), quoted(&service), quoted(&scope),
            );
            let wanted = bearer(&realm, Some(&service), Some(&scope));
            prop_assert_eq!(challenges(&header), vec![Challenge::Basic, wanted]);
        }
    }
}
