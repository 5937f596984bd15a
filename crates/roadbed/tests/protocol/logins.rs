//! Docker's token flow and Basic, as clients in the field use them.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::harness::{
    client::Client,
    login::{Challenge, Login},
    manifest::small_image,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

const REPOSITORY: &str = "logins/app";

async fn challenge(client: &Client, method: &str, path: &str) -> Result<Challenge> {
    let answer = client
        .with_login(Login::Anonymous)
        .request(method, path)
        .send()
        .await?;
    let answer = answer.expect(&[401])?;
    if method != "HEAD" {
        ensure!(answer.error_code()? == "UNAUTHORIZED", "{}", answer.summary());
    }
    Challenge::parse(answer.require("www-authenticate")?)
}

/// The scopes that a challenge asks for, as (type:name, sorted actions).
fn scopes(challenge: &Challenge) -> Vec<(String, Vec<String>)> {
    let scopes = challenge
        .scope
        .split(' ')
        .filter_map(|scope| scope.rsplit_once(':'));
    let sorted = |actions: &str| {
        let mut actions: Vec<String> = actions.split(',').map(str::to_owned).collect();
        actions.sort_unstable();
        actions
    };
    scopes
        .map(|(name, actions)| (name.to_owned(), sorted(actions)))
        .collect()
}

async fn asks_for(client: &Client, method: &str, path: &str, action: &str) -> Result<()> {
    let challenge = challenge(client, method, path).await?;
    let found = scopes(&challenge);
    let wanted = format!("repository:{REPOSITORY}");
    let named = found
        .iter()
        .any(|(name, actions)| *name == wanted && actions.iter().any(|own| own == action));
    ensure!(
        named,
        "{method} {path}: scope {:?} lacks {action}",
        challenge.scope
    );
    Ok(())
}

async fn ping(client: &Client, login: Login, status: u16) -> Result<()> {
    let answer = client
        .with_login(login)
        .get("/v2/")
        .send()
        .await?
        .expect(&[status])?;
    if status == 401 {
        ensure!(answer.error_code()? == "UNAUTHORIZED", "{}", answer.summary());
        Challenge::parse(answer.require("www-authenticate")?)?;
    }
    Ok(())
}

/// A token for a scope, as text.
async fn token(client: &Client, scope: &str) -> Result<String> {
    let mut challenge = challenge(client, "GET", "/v2/").await?;
    scope.clone_into(&mut challenge.scope);
    let body = client.fetch_token(&challenge).await?.expect(&[200])?.json()?;
    body["token"].as_str().map(str::to_owned).context("no token")
}

/// Docker token specification: `token`, `access_token`, `expires_in`, `issued_at`; nobody may keep the answer.
async fn token_answer(client: &Client) -> Result<()> {
    let answer = client
        .fetch_token(&challenge(client, "GET", "/v2/").await?)
        .await?
        .expect(&[200])?;
    let body = answer.json()?;
    ensure!(
        body["token"].is_string() && body["token"] == body["access_token"],
        "{body}"
    );
    ensure!(
        body["expires_in"]
            .as_u64()
            .is_some_and(|seconds| (60..=3600).contains(&seconds)),
        "{body}"
    );
    ensure!(
        body["issued_at"].as_str().is_some_and(|time| time.ends_with('Z')),
        "{body}"
    );
    ensure!(
        answer
            .header("cache-control")
            .is_some_and(|value| value.contains("no-store")),
        "{}",
        answer.summary()
    );
    Ok(())
}

async fn with_token(
    client: &Client,
    token: &str,
    method: &str,
    path: &str,
) -> Result<crate::harness::answer::Answer> {
    client
        .with_login(Login::Bearer(token.to_owned()))
        .request(method, path)
        .send()
        .await
}

/// A good token that is too narrow is told what to ask for: 401, not 403, or clients give up.
async fn narrow_token(client: &Client) -> Result<()> {
    let pull = token(client, &format!("repository:{REPOSITORY}:pull")).await?;
    let path = format!("/v2/{REPOSITORY}/manifests/latest");
    with_token(client, &pull, "GET", &path).await?.expect(&[200])?;
    for (method, path) in [
        ("DELETE", path.clone()),
        ("PUT", path.clone()),
        ("POST", format!("/v2/{REPOSITORY}/blobs/uploads/")),
        ("GET", "/v2/logins/other/tags/list".to_owned()),
    ] {
        let answer = with_token(client, &pull, method, &path)
            .await?
            .expect_error(401, "UNAUTHORIZED")?;
        let challenge = Challenge::parse(answer.require("www-authenticate")?)?;
        ensure!(!challenge.scope.is_empty(), "{method} {path} names no scope");
        ensure!(
            challenge.error.as_deref() != Some("invalid_token"),
            "the token is valid"
        );
    }
    with_token(client, &pull, "GET", &path).await?.expect(&[200])?;
    Ok(())
}

/// Several scopes come as several parameters, or in one with spaces (`+` or `%20`); unknown ones are left out.
async fn scopes_of_a_token(client: &Client) -> Result<()> {
    let both = format!("repository:{REPOSITORY}:pull,push repository:logins/other:pull");
    let base = "/v2/token?service=x&scope=";
    let encoded = both.replace(' ', "%20");
    let plus = both.replace(' ', "+");
    let repeated = both.replace(' ', "&scope=");
    let strange = format!("{encoded}&scope=plugin:a/b:pull&scope=&scope=registry:catalog:*");
    let basic = client.with_login(Login::basic(ADMIN, ADMIN_PASSWORD));
    for query in [encoded, plus, repeated, strange] {
        let body = basic
            .get(format!("{base}{query}"))
            .send()
            .await?
            .expect(&[200])?
            .json()?;
        let token = body["token"].as_str().context("no token")?;
        for (method, path) in [
            ("GET", format!("/v2/{REPOSITORY}/tags/list")),
            ("POST", format!("/v2/{REPOSITORY}/blobs/uploads/")),
            ("GET", "/v2/logins/other/tags/list".to_owned()),
        ] {
            with_token(client, token, method, &path)
                .await?
                .expect(&[200, 202])
                .with_context(|| query.clone())?;
        }
    }
    Ok(())
}

/// Any change to a token makes it worthless, above all the ones that attackers know.
async fn forged_tokens(client: &Client) -> Result<()> {
    let good = token(client, &format!("repository:{REPOSITORY}:pull")).await?;
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        anyhow::bail!("not three parts")
    };
    let mut read: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    read["exp"] = Value::from(4_000_000_000_u64);
    let longer = URL_SAFE_NO_PAD.encode(read.to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let forged = [
        format!("{header}.{longer}.{signature}"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{good}x"),
        "x".to_owned(),
        "..".to_owned(),
    ];
    for token in forged {
        let answer = with_token(client, &token, "GET", &format!("/v2/{REPOSITORY}/tags/list")).await?;
        let answer = answer.expect_error(401, "UNAUTHORIZED")?;
        let told = answer.json()?["errors"][0]["message"].to_string();
        ensure!(told.matches("again").count() <= 1, "told twice: {told}");
    }
    Ok(())
}

async fn bad_authorization(client: &Client) -> Result<()> {
    let stranger = client.with_login(Login::Anonymous);
    for header in [
        "",
        "Basic",
        "Basic !!!",
        "Basic YQ==",
        "Bearer",
        "Bearer ",
        "Digest a=b",
        "Negotiate x",
        "Basic OmE=",
        "x",
    ] {
        let request = stranger.get("/v2/").header("authorization", header);
        request
            .send()
            .await?
            .expect_one_error(&[401, 400], &["UNAUTHORIZED"])
            .with_context(|| format!("{header:?}"))?;
    }
    let huge = format!("Bearer {}", "a".repeat(20_000));
    stranger
        .get("/v2/")
        .header("authorization", huge)
        .send()
        .await?
        .expect(&[401, 400, 431])?;
    Ok(())
}

/// What a stranger is told to ask for, per route: `{blob}` is a blob's digest.
const CHALLENGES: [(&str, &str, &str); 10] = [
    ("GET", "manifests/latest", "pull"),
    ("HEAD", "manifests/latest", "pull"),
    ("PUT", "manifests/latest", "push"),
    ("DELETE", "manifests/latest", "delete"),
    ("GET", "blobs/{blob}", "pull"),
    ("HEAD", "blobs/{blob}", "pull"),
    ("DELETE", "blobs/{blob}", "delete"),
    ("POST", "blobs/uploads/", "push"),
    (
        "PATCH",
        "blobs/uploads/00000000-0000-4000-8000-000000000000",
        "push",
    ),
    (
        "PUT",
        "blobs/uploads/00000000-0000-4000-8000-000000000000",
        "push",
    ),
];

/// A token must not be worth another one, or a narrow one would be worth a wide one for ever.
async fn no_token_for_a_token(client: &Client) -> Result<()> {
    let narrow = token(client, &format!("repository:{REPOSITORY}:pull")).await?;
    let holder = client.with_login(Login::Bearer(narrow));
    let path = format!("/v2/token?service=x&scope=repository:{REPOSITORY}:pull,push");
    holder.get(path).send().await?.expect_error(401, "UNAUTHORIZED")?;
    Ok(())
}

async fn no_token_for_a_wrong_password(client: &Client) -> Result<()> {
    let stranger = client.with_login(Login::basic("nobody-else", "wrong"));
    stranger
        .get("/v2/token?service=x")
        .send()
        .await?
        .expect_error(401, "UNAUTHORIZED")?;
    Ok(())
}

#[tokio::test]
async fn tokens_and_passwords() {
    let server = Server::start().await;
    let client = server.admin();
    let mut tally = Tally::new("logins");
    let (blobs, document) = small_image("logins");
    for repository in [REPOSITORY, "logins/other"] {
        let outcome = client.push_image(repository, "latest", &blobs, &document).await;
        tally.record(format!("push to {repository}"), outcome);
    }
    for (method, rest, action) in CHALLENGES {
        let path = format!("/v2/{REPOSITORY}/{rest}").replace("{blob}", &blobs[0].digest);
        let outcome = asks_for(&client, method, &path, action).await;
        tally.record(format!("challenge of {method} {path}"), outcome);
    }
    let (basic, token) = (
        Login::basic(ADMIN, ADMIN_PASSWORD),
        Login::token(ADMIN, ADMIN_PASSWORD),
    );
    tally.record("nobody", ping(&client, Login::Anonymous, 401).await);
    tally.record("Basic", ping(&client, basic, 200).await);
    tally.record("token", ping(&client, token, 200).await);
    tally.record("a token's answer", token_answer(&client).await);
    tally.record("a narrow token", narrow_token(&client).await);
    tally.record("a token for a token", no_token_for_a_token(&client).await);
    tally.record("several scopes", scopes_of_a_token(&client).await);
    tally.record("forged tokens", forged_tokens(&client).await);
    tally.record("bad Authorization headers", bad_authorization(&client).await);
    // Last: a wrong password makes the next login wait.
    let (unknown, wrong) = (
        Login::basic("nobody", ADMIN_PASSWORD),
        Login::basic(ADMIN, "wrong"),
    );
    tally.record("unknown user", ping(&client, unknown, 401).await);
    tally.record("wrong password", ping(&client, wrong, 401).await);
    tally.record(
        "no token for a wrong password",
        no_token_for_a_wrong_password(&client).await,
    );
    tally.finish(&server);
}
