//! Query strings, read under a bound.

use std::borrow::Cow;

/// Most parameters that one query may hold; the specification needs at most a few `tag=`.
pub(crate) const MAX_PARAMETERS: usize = 128;

/// Longest query in bytes: 64 tags of 128 bytes and a digest fit.
pub(crate) const MAX_QUERY_BYTES: usize = 16 * 1024;

/// A query string's parameters in their order.
#[derive(Debug, Default)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Why a query was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than [`MAX_QUERY_BYTES`].
    #[error("query is longer than {MAX_QUERY_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_PARAMETERS`].
    #[error("query has more than {MAX_PARAMETERS} parameters")]
    TooMany,
    /// Not percent-encoded UTF-8.
    #[error("query is not valid percent-encoded UTF-8")]
    Encoding,
}

impl<'a> Query<'a> {
    /// Reads `a=b&c=d`. `+` is kept as it is: tags and digests never hold spaces, media types do hold `+`, and clients
    /// disagree on encoding it.
    pub fn parse(query: Option<&'a str>) -> Result<Self, QueryError> {
        let Some(query) = query.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        if query.len() > MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(QueryError::TooMany);
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// The first value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_ref())
    }

    /// Every value of a parameter in its order.
    pub fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_ref())
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, QueryError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let decoded = crate::percent::decode(text).ok_or(QueryError::Encoding)?;
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| QueryError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_repeated_and_encoded_parameters() {
        let query = Query::parse(Some(
            "tag=a&tag=b%2Fc&digest=sha256%3Aab&empty&artifactType=x/y+json",
        ))
        .unwrap();
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("artifactType"), Some("x/y+json"));
        assert_eq!(query.get("none"), None);
    }

    #[test]
    fn refuses_what_exceeds_its_bounds() {
        let many = "a=1&".repeat(MAX_PARAMETERS + 1);
        assert_eq!(Query::parse(Some(&many)).unwrap_err(), QueryError::TooMany);
        let long = "a".repeat(MAX_QUERY_BYTES + 1);
        assert_eq!(Query::parse(Some(&long)).unwrap_err(), QueryError::TooLong);
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff", "a=%+1"] {
            assert_eq!(
                Query::parse(Some(bad)).unwrap_err(),
                QueryError::Encoding,
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let value = "a b/c?d&e=ü+";
        let text = format!("k={}", crate::percent::encode(value));
        assert_eq!(Query::parse(Some(&text)).unwrap().get("k"), Some(value));
    }
}
