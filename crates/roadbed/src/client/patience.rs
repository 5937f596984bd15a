//! Requests that are made again when the registry says that it is worth it.

use std::time::{Duration, Instant};

use http::header;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use web::wire::Problem;

use super::{Client, read_bounded, read_json};

/// How long it is tried in all.
const PATIENCE: Duration = Duration::from_mins(5);

/// Bounds of one wait, whatever the registry says.
const WAIT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// What every problem of Roadbed's begins with.
const PROBLEM: &str = "urn:roadbed:problem:";

/// The answer of a registry that may be another program.
pub(crate) enum Answered<T> {
    /// What was asked for.
    With(T),
    /// This is no Roadbed, or one that does not look into images.
    NotHere,
    /// It is a Roadbed, which does not answer everybody.
    Stranger,
}

impl Client {
    /// GET of something that may not be ready yet, from a registry that may be another program.
    pub(crate) async fn get_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Answered<T>> {
        let response = self.patiently(|| self.request(Method::GET, path, query)).await?;
        if response.status().is_success() {
            return read_json(response).await.map(Answered::With);
        }
        let status = response.status();
        let body = read_bounded(response).await.unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let Some(problem) = problem.filter(|problem| problem.kind.starts_with(PROBLEM)) else {
            return Ok(Answered::NotHere);
        };
        match status {
            StatusCode::CONFLICT => return Ok(Answered::NotHere),
            StatusCode::UNAUTHORIZED if self.credentials.is_none() => return Ok(Answered::Stranger),
            _ => {}
        }
        Err(self.explained(status, &problem))
    }

    /// POST to a registry that may have no place for it at the moment.
    pub(crate) async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = bytes::Bytes::from(serde_json::to_vec(body)?);
        let response = self
            .patiently(|| {
                self.request(Method::POST, path, query)
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body.clone())
            })
            .await?;
        if response.status().is_success() {
            return read_json(response).await;
        }
        Err(self.refused(response).await)
    }

    async fn patiently(&self, request: impl Fn() -> RequestBuilder) -> anyhow::Result<Response> {
        let deadline = Instant::now() + PATIENCE;
        let bar = crate::progress::of_waiting("the registry is still at it");
        loop {
            let response = request()
                .send()
                .await
                .map_err(|error| super::unreachable(&self.base, error))?;
            let comes_again =
                [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&response.status());
            let wait = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let Some(wait) = wait.filter(|_| comes_again && Instant::now() < deadline) else {
                bar.finish_and_clear();
                return Ok(response);
            };
            bar.tick();
            tokio::time::sleep(wait.clamp(WAIT[0], WAIT[1])).await;
        }
    }
}
