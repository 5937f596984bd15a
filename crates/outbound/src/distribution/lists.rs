//! Lists of an upstream: the tags of a repository, and what refers to a manifest.

use bytes::Bytes;
use http::{HeaderMap, header};
use oci::{Digest, Reference, RepoName, Tag};
use reqwest::{Method, Response, Url};

use super::ask::Asked;
use super::pages::{NOTHING, referrers_in, tags_in, together};
use super::pause::Kind;
use super::tokens::Scope;
use super::{Upstream, UpstreamError};
use crate::headers::next_link;

/// Tags asked for at once; some registries refuse more.
const PAGE_TAGS: usize = 1_000;

/// Bytes of one page of tags.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Pages of one list that are read. The next one is what the last one says.
const PAGES: usize = 1_000;

/// Bytes of what a page says about the next one.
const QUERY_BYTES: usize = 4_096;

impl Upstream {
    /// The tags of a repository, in the upstream's order: all of them, or the first `most`. What is no tag is passed over.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn tags(&self, repo: &RepoName, most: usize) -> Result<Vec<Tag>, UpstreamError> {
        let path = format!("/v2/{repo}/tags/list");
        self.in_time(async {
            let mut found = Vec::new();
            let mut query = Some(format!("n={}", PAGE_TAGS.min(most)));
            for _ in 0..PAGES {
                let asked = list(repo, &path, query.take(), "application/json");
                let response = self.ask(&asked).await?;
                let next = next_query(&response);
                let body = self.read(response, PAGE_BYTES).await?;
                let tags = tags_in(&body).ok_or_else(|| self.no_list())?;
                let is_empty = tags.is_empty();
                found.extend(tags.into_iter().filter_map(|tag| tag.parse::<Tag>().ok()));
                if found.len() >= most {
                    found.truncate(most);
                    return Ok(found);
                }
                if is_empty || next.is_none() {
                    return Ok(found);
                }
                if next == asked.query {
                    return Err(self.broken("its list of tags goes in circles"));
                }
                query = next;
            }
            Err(self.broken(format!("its list of tags has more than {PAGES} pages")))
        })
        .await
    }

    /// The index of what refers to a manifest, in at most `most` bytes; of a registry without such lists, the one that clients
    /// keep under a tag. Where there is none, an empty one.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn referrers(
        &self,
        repo: &RepoName,
        digest: &Digest,
        most: usize,
    ) -> Result<Bytes, UpstreamError> {
        match self.in_time(self.listed_referrers(repo, digest, most)).await {
            Err(UpstreamError::NotFound) => {}
            answered => return answered,
        }
        let tag = Reference::Tag(digest.fallback_tag());
        match self.manifest(repo, &tag, most).await {
            Ok(manifest) => Ok(manifest.bytes),
            Err(UpstreamError::NotFound) => Ok(Bytes::from_static(NOTHING.as_bytes())),
            Err(error) => Err(error),
        }
    }

    async fn listed_referrers(
        &self,
        repo: &RepoName,
        digest: &Digest,
        most: usize,
    ) -> Result<Bytes, UpstreamError> {
        let path = format!("/v2/{repo}/referrers/{digest}");
        let (mut pages, mut left, mut query) = (Vec::new(), most, None);
        for _ in 0..PAGES {
            let asked = list(repo, &path, query.take(), oci::media_type::OCI_IMAGE_INDEX);
            let response = self.ask(&asked).await?;
            query = next_query(&response);
            let body = match self.read(response, left).await {
                Err(UpstreamError::TooLarge { .. }) => {
                    return Err(UpstreamError::TooLarge { most: most as u64 });
                }
                body => body?,
            };
            let page = referrers_in(&body).ok_or_else(|| self.no_list())?;
            if query.is_none() && pages.is_empty() {
                return Ok(body);
            }
            left -= body.len();
            let is_last = page.is_empty() || query.is_none();
            pages.extend(page);
            if is_last {
                return Ok(together(&pages).into());
            }
        }
        Err(self.broken(format!("its list of referrers has more than {PAGES} pages")))
    }

    fn no_list(&self) -> UpstreamError {
        self.broken("it sends what is no list where one should be")
    }
}

fn list(repo: &RepoName, path: &str, query: Option<String>, accept: &'static str) -> Asked {
    Asked {
        query,
        accept,
        ..Asked::new(Kind::List, Method::GET, path.to_owned(), Scope::pull(repo))
    }
}

/// How the next page is asked for. Only the query of what the upstream says counts: the list stays the same one.
fn next_query(response: &Response) -> Option<String> {
    next_in(response.headers(), response.url())
}

fn next_in(headers: &HeaderMap, url: &Url) -> Option<String> {
    let target = headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(next_link)?;
    let query = url.join(target).ok()?.query()?.to_owned();
    (query.len() <= QUERY_BYTES).then_some(query)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn next(link: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, HeaderValue::from_str(link).unwrap());
        next_in(
            &headers,
            &Url::parse("https://registry.example/v2/a/tags/list").unwrap(),
        )
    }

    #[test]
    fn the_next_page_is_another_part_of_the_same_list() {
        for (link, query) in [
            (r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, Some("n=2&last=b")),
            (r"<?last=b>;REL=next", Some("last=b")),
            (
                r#"<https://elsewhere.example/x?last=b>; rel="next""#,
                Some("last=b"),
            ),
            (r#"</a>; rel="prev", </b?c>; title=x; rel="next""#, Some("c")),
            (r#"</v2/a/tags/list>; rel="next""#, None),
            (r#"</v2/a?x>; rel="prev""#, None),
            (r#"</v2/a?x; rel="next""#, None),
            ("<>", None),
            ("", None),
        ] {
            assert_eq!(next(link).as_deref(), query, "{link}");
        }
        assert_eq!(
            next(&format!("<?{}>; rel=next", "x".repeat(QUERY_BYTES + 1))),
            None
        );
    }

    #[test]
    fn pages_become_one_index() {
        let page = referrers_in(br#"{"manifests":[{"size": 1}, {"size":2}]}"#);
        let whole = together(&page.unwrap());
        assert!(whole.ends_with(r#""manifests":[{"size": 1},{"size":2}]}"#));
        assert_eq!(together(&[]), NOTHING);
        assert_eq!(referrers_in(whole.as_bytes()).unwrap().len(), 2);
    }
}
