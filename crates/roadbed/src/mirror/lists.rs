//! Lists of tags and referrers: the centre's, as long as it answers.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use oci::{Digest, RepoName, Tag};
use registry::Query;
use serde_json::json;

use super::admit::Wanted;
use super::answer::json as json_answer;
use super::centre::{Centre, CentreError};

/// Bytes of a list of referrers.
pub(super) const MAX_REFERRER_BYTES: usize = 4 << 20;

/// Tags of a repository that are listed; of more, these are the first.
const MAX_TAGS: usize = 10_000;

/// The tags of a repository at the centre; an error says why only those are known that are held.
pub(super) async fn tags(
    centre: &Centre,
    wanted: &Wanted,
    query: &Query<'_>,
) -> Result<Response<Body>, String> {
    let asker = centre.asker_for(&wanted.space, &wanted.local);
    let tags = centre.ask(asker.upstream.tags(&wanted.there, MAX_TAGS)).await;
    let tags = tags.map_err(|error| text(&error))?;
    let (page, more) = page_of(&tags, query);
    let body = json!({ "name": &wanted.there, "tags": page });
    let mut response = json_answer(StatusCode::OK, body.to_string());
    if let (Some(last), true) = (page.last(), more) {
        let link = next_page(&wanted.there, page.len(), last, query.get("ns"));
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// What refers to a manifest at the centre.
pub(super) async fn referrers(
    centre: &Centre,
    wanted: &Wanted,
    digest: &Digest,
) -> Result<Response<Body>, String> {
    let asker = centre.asker_for(&wanted.space, &wanted.local);
    let listed = asker
        .upstream
        .referrers(&wanted.there, digest, MAX_REFERRER_BYTES);
    let listed = centre.ask(listed).await.map_err(|error| text(&error))?;
    let mut response = json_answer(StatusCode::OK, listed);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(oci::media_type::OCI_IMAGE_INDEX),
    );
    Ok(response)
}

fn text(error: &CentreError) -> String {
    format!("stale: of what is held; {error}")
}

/// What `n` and `last` ask for (distribution specification, end-8), and whether there is more.
fn page_of<'t>(tags: &'t [Tag], query: &Query<'_>) -> (Vec<&'t str>, bool) {
    let most = query.get("n").and_then(|n| n.parse().ok()).unwrap_or(MAX_TAGS);
    let mut tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    tags.sort_unstable();
    let behind = match query.get("last") {
        None => 0,
        Some(last) => tags.partition_point(|tag| *tag <= last),
    };
    let rest = tags.split_off(behind);
    let more = rest.len() > most && most > 0;
    (rest.into_iter().take(most).collect(), more)
}

/// Tags, names and hosts have no character that a query would have to hide.
fn next_page(there: &RepoName, n: usize, last: &str, namespace: Option<&str>) -> String {
    let namespace = namespace
        .map(|namespace| format!("&ns={namespace}"))
        .unwrap_or_default();
    format!("</v2/{there}/tags/list?n={n}&last={last}{namespace}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_as_they_are_asked_for() {
        let tags: Vec<Tag> = ["c", "a", "b"].iter().map(|tag| tag.parse().unwrap()).collect();
        let page = |query: &str| {
            let query = Query::parse(Some(query)).unwrap();
            let (page, more) = page_of(&tags, &query);
            (page.join(""), more)
        };
        assert_eq!(page(""), ("abc".to_owned(), false));
        assert_eq!(page("n=2"), ("ab".to_owned(), true));
        assert_eq!(page("n=2&last=b"), ("c".to_owned(), false));
        assert_eq!(page("n=0"), (String::new(), false));
        assert_eq!(page("last=x"), (String::new(), false));
    }
}
