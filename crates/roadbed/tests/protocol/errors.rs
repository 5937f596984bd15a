//! The specification's error codes: which endpoint answers what, in which form.

use anyhow::Result;

use crate::harness::{
    client::Client, content::Algorithm, manifest::small_image, server::Server, tally::Tally,
};

const REPOSITORY: &str = "errors/known";

/// A request that fails: method, path, status, code. `{sha256}` is an unknown digest, `{repo}` a known repository.
const FAILURES: &[(&str, &str, u16, &str)] = &[
    ("GET", "/v2/{repo}/manifests/none", 404, "MANIFEST_UNKNOWN"),
    ("GET", "/v2/{repo}/manifests/{sha256}", 404, "MANIFEST_UNKNOWN"),
    ("GET", "/v2/{repo}/manifests/{sha512}", 404, "MANIFEST_UNKNOWN"),
    ("DELETE", "/v2/{repo}/manifests/none", 404, "MANIFEST_UNKNOWN"),
    ("DELETE", "/v2/{repo}/manifests/{sha256}", 404, "MANIFEST_UNKNOWN"),
    ("GET", "/v2/{repo}/blobs/{sha256}", 404, "BLOB_UNKNOWN"),
    ("GET", "/v2/{repo}/blobs/{sha512}", 404, "BLOB_UNKNOWN"),
    ("DELETE", "/v2/{repo}/blobs/{sha256}", 404, "BLOB_UNKNOWN"),
    ("GET", "/v2/errors/none/tags/list", 404, "NAME_UNKNOWN"),
    (
        "GET",
        "/v2/{repo}/manifests/sha256:baddigeststring",
        400,
        "MANIFEST_INVALID|DIGEST_INVALID",
    ),
    (
        "DELETE",
        "/v2/{repo}/manifests/sha256:baddigeststring",
        400,
        "MANIFEST_INVALID|DIGEST_INVALID",
    ),
    (
        "GET",
        "/v2/{repo}/manifests/-dash",
        400,
        "MANIFEST_INVALID|TAG_INVALID",
    ),
    (
        "GET",
        "/v2/{repo}/manifests/.dot",
        400,
        "MANIFEST_INVALID|TAG_INVALID",
    ),
    (
        "GET",
        "/v2/{repo}/manifests/a$b",
        400,
        "MANIFEST_INVALID|TAG_INVALID",
    ),
    ("GET", "/v2/{repo}/blobs/latest", 400, "DIGEST_INVALID"),
    ("GET", "/v2/{repo}/blobs/sha256:", 400, "DIGEST_INVALID"),
    ("GET", "/v2/{repo}/blobs/sha256:abc", 400, "DIGEST_INVALID"),
    (
        "GET",
        "/v2/{repo}/blobs/sha256:zzc3a7ff3e1a1f9f3c9c5a1f5cbb1a2fd4c8d5b7c2cbf5a4b1d2f0a9e8c7b6a5",
        400,
        "DIGEST_INVALID",
    ),
    (
        "GET",
        "/v2/{repo}/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
        400,
        "DIGEST_INVALID",
    ),
    (
        "GET",
        "/v2/{repo}/blobs/sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        400,
        "DIGEST_INVALID",
    ),
    (
        "GET",
        "/v2/{repo}/blobs/sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        400,
        "DIGEST_INVALID",
    ),
    ("DELETE", "/v2/{repo}/blobs/sha256:abc", 400, "DIGEST_INVALID"),
    ("GET", "/v2/{repo}/referrers/sha256:abc", 400, "DIGEST_INVALID"),
    (
        "POST",
        "/v2/{repo}/blobs/uploads/?digest=sha256:abc",
        400,
        "DIGEST_INVALID",
    ),
    (
        "POST",
        "/v2/{repo}/blobs/uploads/?digest-algorithm=crc32",
        400,
        "DIGEST_INVALID",
    ),
    ("GET", "/v2/UPPER/case/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/-a/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/a-/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/a..b/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/a___b/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/a._b/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/a//b/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/ümlaut/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/a%20b/tags/list", 400, "NAME_INVALID"),
    ("POST", "/v2/UPPER/blobs/uploads/", 400, "NAME_INVALID"),
    ("PUT", "/v2/UPPER/manifests/latest", 400, "NAME_INVALID"),
    ("GET", "/v2/{long}/tags/list", 400, "NAME_INVALID"),
    ("GET", "/v2/{repo}/nothing/here", 404, "UNSUPPORTED|NAME_UNKNOWN"),
    ("GET", "/v2/nothing", 404, "UNSUPPORTED|NAME_UNKNOWN"),
    ("POST", "/v2/{repo}/manifests/latest", 405, "UNSUPPORTED"),
    ("PATCH", "/v2/{repo}/manifests/latest", 405, "UNSUPPORTED"),
    ("PUT", "/v2/{repo}/blobs/{sha256}", 405, "UNSUPPORTED"),
    ("POST", "/v2/{repo}/blobs/{sha256}", 405, "UNSUPPORTED"),
    ("DELETE", "/v2/{repo}/tags/list", 405, "UNSUPPORTED"),
    ("PUT", "/v2/{repo}/tags/list", 405, "UNSUPPORTED"),
    ("DELETE", "/v2/{repo}/referrers/{sha256}", 405, "UNSUPPORTED"),
    ("GET", "/v2/{repo}/blobs/uploads/", 405, "UNSUPPORTED"),
    ("DELETE", "/v2/{repo}/blobs/uploads/", 405, "UNSUPPORTED"),
    ("DELETE", "/v2/", 405, "UNSUPPORTED"),
    ("POST", "/v2/_catalog", 405, "UNSUPPORTED"),
];

fn path(template: &str) -> String {
    template
        .replace("{repo}", REPOSITORY)
        .replace("{sha256}", &Algorithm::Sha256.digest(b"unknown"))
        .replace("{sha512}", &Algorithm::Sha512.digest(b"unknown"))
        .replace("{long}", &"a".repeat(256))
}

async fn fails(client: &Client, method: &str, template: &str, status: u16, codes: &str) -> Result<()> {
    let codes: Vec<&str> = codes.split('|').collect();
    let answer = client
        .request(method, path(template))
        .send()
        .await?
        .expect_one_error(&[status], &codes)?;
    if status == 405 {
        answer.require("allow")?;
    }
    Ok(())
}

/// HEAD has the status of GET and no body, or clients would wait for one.
async fn head_fails_like_get(client: &Client, template: &str, status: u16) -> Result<()> {
    let answer = client.head(path(template)).send().await?.expect(&[status])?;
    anyhow::ensure!(answer.body.is_empty(), "a HEAD has a body");
    Ok(())
}

#[tokio::test]
async fn error_codes() {
    let server = Server::start().await;
    let client = server.admin();
    let mut tally = Tally::new("errors");
    let (blobs, document) = small_image("errors");
    tally.record(
        "push",
        client.push_image(REPOSITORY, "latest", &blobs, &document).await,
    );
    for (method, template, status, codes) in FAILURES {
        tally.record(
            format!("{method} {template}"),
            fails(&client, method, template, *status, codes).await,
        );
        if *method == "GET" && *status != 405 {
            tally.record(
                format!("HEAD {template}"),
                head_fails_like_get(&client, template, *status).await,
            );
        }
    }
    tally.record(
        "the known image",
        client.check_manifest(REPOSITORY, "latest", &document).await,
    );
    tally.finish(&server);
}
