//! The bodies of the fuzz targets on some thousand generated inputs each, on a stable toolchain. The seed is fixed: what
//! fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "../../inspect/tests/generated/changes.rs"]
mod changes;

use changes::{changed, config, texts};
use proptest::prelude::*;

/// What servers say.
const SESSION: &str = "\
220 mail.shop.example ESMTP\r
250-mail.shop.example greets you\r
250-AUTH LOGIN PLAIN\r
250 STARTTLS\r
235 2.7.0 welcome\r
550 5.1.1 nobody of that name\r
354 go on\r
250 2.0.0 taken\r
";

/// What registries say to whom they do not know.
const CHALLENGES: [&str; 3] = [
    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
    r#"Basic realm="a, b", Negotiate abc==, bearer  realm = https://a.example/t , scope="""#,
    r#"Bearer realm="https://a\"b\\", error="insufficient_scope""#,
];

const TOKENS: [&str; 3] = [
    r#"{"token":"eyJhbGciOi.J9.x-_","expires_in":300,"issued_at":"2026-11-28T21:00:00Z"}"#,
    r#"{"access_token":"abc","token":"","expires_in":99999999999}"#,
    r#"{"token":null,"access_token":"x y"}"#,
];

const PAGES: [&str; 3] = [
    r#"{"name":"a/b","tags":["1.0","latest",null]}"#,
    r#"{"tags":null}"#,
    r#"{"schemaVersion":2,"manifests":[{"mediaType":"x/y","digest":"sha256:00","size": 1}, {"size":2,"annotations":{"a":"]}"}}]}"#,
];

const HEADERS: [&str; 6] = [
    "Fri, 31 Dec 2199 23:59:59 GMT",
    "86401",
    "bytes 5-9/10",
    "bytes */10",
    r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
    r#"</a>; rel="prev", </b?c>; title=x; REL=next"#,
];

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn nearly_challenges(data in changed(texts(&CHALLENGES))) {
        bodies::challenge(&data);
    }

    #[test]
    fn nearly_tokens(data in changed(texts(&TOKENS))) {
        bodies::token(&data);
    }

    #[test]
    fn nearly_pages(data in changed(texts(&PAGES))) {
        bodies::page(&data);
    }

    #[test]
    fn nearly_headers(data in changed(texts(&HEADERS))) {
        bodies::header(&data);
    }

    #[test]
    fn nearly_what_a_mail_server_says(data in changed(texts(&[SESSION]))) {
        bodies::mail(&data);
    }

    #[test]
    fn long_answers(count in 0..300_usize, length in 0..3_000_usize) {
        let line = format!("250-{}\r\n", "x".repeat(length));
        bodies::mail(line.repeat(count).as_bytes());
    }
}
