//! Lists of tags, and of what refers to a manifest.

use outbound::distribution::UpstreamError;

use super::world::{MANIFEST, MOST, digest, repo, upstream};
use crate::server::{Asked, Reply, Server};

fn tags(names: &[&str]) -> Reply {
    Reply::ok(format!(
        r#"{{"name":"team/app","tags":["{}"]}}"#,
        names.join("\",\"")
    ))
}

#[tokio::test]
async fn tags_come_page_after_page() {
    let server = Server::start(|asked| match asked.path.split_once('?').unwrap_or_default() {
        (_, "n=1000") => tags(&["a", "no tag!", "b"])
            .header("Link", "<http://elsewhere.invalid/x?n=2&last=b>; rel=\"next\""),
        (_, "n=2&last=b") => tags(&["c", "d"]).header("Link", "</v2/team/app/tags/list?last=d>; rel=next"),
        (_, "last=d") => tags(&["e"]),
        _ => Reply::status(404),
    })
    .await;
    let upstream = upstream(&server);
    let found = upstream.tags(&repo(), 1_000).await.unwrap();
    let names: Vec<&str> = found.iter().map(oci::Tag::as_str).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(server.count(), 3);
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.path.starts_with("/v2/team/app/tags/list?"))
    );
}

#[tokio::test]
async fn no_more_tags_are_read_than_are_wanted() {
    let server = Server::start(|asked| {
        let page = asked.path.len();
        tags(&["a", "b", "c"]).header("Link", &format!("<?last={}>; rel=next", "x".repeat(page)))
    })
    .await;
    let found = upstream(&server).tags(&repo(), 4).await.unwrap();
    assert_eq!(found.len(), 4);
    assert_eq!(server.count(), 2);

    let circle = Server::start(|_| tags(&["a"]).header("Link", "<?last=x>; rel=next")).await;
    let error = upstream(&circle).tags(&repo(), 1_000).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
    assert_eq!(circle.count(), 2);
}

#[tokio::test]
async fn what_is_no_list_of_tags_is_told() {
    for (reply, count) in [
        (Reply::ok(r#"{"tags":null}"#), Some(0)),
        (Reply::ok("{}"), Some(0)),
        (Reply::ok("<html>"), None),
        (Reply::ok(r#"{"tags":[1]}"#), None),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let found = upstream(&server).tags(&repo(), 10).await;
        assert_eq!(found.ok().map(|tags| tags.len()), count);
    }
    let server = Server::start(|_| Reply::ok("{").announcing(1 << 40)).await;
    let error = upstream(&server).tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn referrers_come_by_the_list_or_under_a_tag() {
    let index = r#"{"schemaVersion":2, "manifests": [{"size": 1}]}"#;
    let only_at = |part: &'static str| {
        Server::start(move |asked| {
            if asked.path.contains(part) {
                Reply::ok(index)
            } else {
                Reply::status(404)
            }
        })
    };
    let server = only_at("/referrers/").await;
    let found = upstream(&server)
        .referrers(&repo(), &digest(MANIFEST), MOST)
        .await;
    assert_eq!(found.unwrap(), index, "as it was sent");
    assert_eq!(server.count(), 1);

    let tagged = only_at("/manifests/sha256-").await;
    let found = upstream(&tagged)
        .referrers(&repo(), &digest(MANIFEST), MOST)
        .await;
    assert_eq!(found.unwrap(), index);

    let none = Server::start(|_| Reply::status(404)).await;
    let found = upstream(&none).referrers(&repo(), &digest(MANIFEST), MOST).await;
    assert!(found.unwrap().ends_with(br#""manifests":[]}"#));
}

#[tokio::test]
async fn pages_of_referrers_become_one_list_within_the_bound() {
    let page = |filler: usize| {
        let text = "x".repeat(filler);
        move |asked: &Asked| {
            if asked.path.ends_with("?page=2") {
                Reply::ok(format!(r#"{{"manifests":[{{"b":"{text}"}}]}}"#))
            } else {
                Reply::ok(r#"{"manifests":[{"a": 1}]}"#).header("Link", "<?page=2>; rel=\"next\"")
            }
        }
    };
    let server = Server::start(page(1)).await;
    let found = upstream(&server)
        .referrers(&repo(), &digest(MANIFEST), MOST)
        .await;
    assert!(found.unwrap().ends_with(br#""manifests":[{"a": 1},{"b":"x"}]}"#));
    let server = Server::start(page(MOST)).await;
    let error = upstream(&server)
        .referrers(&repo(), &digest(MANIFEST), MOST)
        .await;
    assert!(
        matches!(error, Err(UpstreamError::TooLarge { most }) if most == MOST as u64),
        "{error:?}"
    );
    for wrong in ["<html>", "{}", "[]"] {
        let server = Server::start(move |_| Reply::ok(wrong)).await;
        let error = upstream(&server)
            .referrers(&repo(), &digest(MANIFEST), MOST)
            .await;
        assert!(matches!(error, Err(UpstreamError::Broken { .. })), "{error:?}");
    }
}
