//! Registries that send us elsewhere, or cannot answer now.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{blobs, copied};
use crate::cli::person::Person;
use crate::cli::scan::fixture::{CONFIG, MANIFEST, digest};
use crate::feed_server::{Asked, Reply, Server};

/// A registry on the Internet, which is asked through a proxy of the test's own.
const OUTSIDE: &str = "docker://8.8.8.8/team/app:v1";

/// Copies from it.
fn from_outside(person: &Person, proxy: &Server, more: &[&str]) -> crate::cli::person::Ran {
    let proxy = format!("http://{}", proxy.address());
    let arguments = [
        "copy",
        OUTSIDE,
        "oci:out",
        "--plain-http",
        "8.8.8.8",
        "--src-proxy",
        proxy.as_str(),
    ];
    person.run_all(&[&arguments[..], more].concat())
}

/// Sends whoever asks it elsewhere.
async fn sends(elsewhere: fn(&Asked) -> Option<Reply>) -> Server {
    Server::start(move |asked| {
        if asked.path.starts_with("http://8.8.8.8/") {
            elsewhere(asked).unwrap_or_else(|| Reply::status(404))
        } else {
            Reply::status(404)
        }
    })
    .await
}

/// What was asked for that is not the registry itself.
fn elsewhere(proxy: &Server) -> Vec<String> {
    let mut paths = proxy.take_asked();
    paths.retain(|path| !path.starts_with("http://8.8.8.8/"));
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_outside_does_not_have_us_ask_inside() {
    let person = Person::new()
        .with("ROADBED_SRC_USER", "ann")
        .with("ROADBED_SRC_PASSWORD", "secret");
    let redirect: fn(&Asked) -> Option<Reply> = |_| Some(Reply::redirect("http://127.0.0.9/admin"));
    let realm: fn(&Asked) -> Option<Reply> = |_| {
        let challenge = r#"Bearer realm="http://169.254.169.254/token",service="x""#;
        Some(Reply::status(401).header("WWW-Authenticate", challenge))
    };
    for (answer, target) in [(redirect, "127.0.0.9"), (realm, "169.254.169.254")] {
        let proxy = sends(answer).await;
        from_outside(&person, &proxy, &[])
            .fails(target)
            .fails("--allow-private");
        assert!(elsewhere(&proxy).is_empty(), "{target}");
        from_outside(&person, &proxy, &["--allow-private"]).leaves_out("--allow-private");
        let asked = elsewhere(&proxy);
        assert!(!asked.is_empty() && asked[0].contains(target), "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_inside_does_not_have_us_ask_where_clouds_have_their_keys() {
    let person = Person::new();
    let registry = Server::start(|_| {
        let challenge = r#"Bearer realm="http://169.254.169.254/token",service="x""#;
        Reply::status(401).header("WWW-Authenticate", challenge)
    })
    .await;
    let from = format!("docker://{}/team/app:v1", registry.address());
    person
        .run_all(&["copy", &from, "oci:out"])
        .fails("--allow-private");
}

/// A registry with one image, which answers 503 for so many requests first.
async fn closed(first: usize, retry_after: &'static str) -> (Server, Arc<AtomicUsize>) {
    let config = b"{}".to_vec();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": { "mediaType": CONFIG, "digest": digest(&config), "size": config.len() },
    });
    let (manifest, asked_times) = (manifest.to_string().into_bytes(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&asked_times);
    let server = Server::start(move |asked| {
        if counted.fetch_add(1, Ordering::Relaxed) < first {
            let why = r#"{"errors":[{"code":"UNAVAILABLE","message":"closed for the night"}]}"#;
            return Reply::status(503).header("Retry-After", retry_after).body(why);
        }
        match asked.path.as_str() {
            "/v2/team/app/manifests/v1" => Reply::ok(manifest.clone()).header("Content-Type", MANIFEST),
            path if path == format!("/v2/team/app/blobs/{}", digest(&config)) => Reply::ok(config.clone()),
            _ => Reply::status(404),
        }
    })
    .await;
    (server, asked_times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_answer_now_says_why_and_is_asked_a_few_times() {
    let person = Person::new();
    let from = |server: &Server| format!("docker://{}/team/app:v1", server.address());
    // For ever: four times.
    let (server, asked) = closed(usize::MAX, "0").await;
    person
        .run_all(&["copy", &from(&server), "oci:out"])
        .fails("503 Service Unavailable: closed for the night");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    // For too long: once.
    let (server, asked) = closed(usize::MAX, "600").await;
    person
        .run_all(&["copy", &from(&server), "oci:out"])
        .fails("closed for the night")
        .fails("try again in 600 seconds");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // For a moment: it is copied.
    let (server, _) = closed(3, "0").await;
    let sent = copied(&person, &[&from(&server), "oci:out"]);
    assert_eq!(sent["blobs_sent"], 1, "{sent:#}");
    assert_eq!(blobs(&person.home().join("out")).len(), 2);
}
