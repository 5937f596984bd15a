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

    /// GET from a registry that may have no place for the question at the moment; `None` where the answer is `nothing`.
    pub(crate) async fn get_unless<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        nothing: StatusCode,
    ) -> anyhow::Result<Option<T>> {
        let response = self.patiently(|| self.request(Method::GET, path, query)).await?;
        if response.status() == nothing {
            return Ok(None);
        }
        read_json(self.taken(response).await?).await.map(Some)
    }

    /// GET of what a registry may still be reading, or may have no place for at the moment.
    pub(crate) async fn get_ready<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let response = self.patiently(|| self.request(Method::GET, path, query)).await?;
        read_json(self.taken(response).await?).await
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::cli::{ClientArgs, Format};

    /// Answers each request with the next of these, on a connection of its own.
    fn answering(answers: Vec<String>) -> (Client, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let args = ClientArgs {
            url: None,
            ca_cert: None,
            insecure: false,
            output: Format::Table,
        };
        (Client::anonymous(&args, &url).unwrap(), serving)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn what_has_no_place_at_the_moment_is_asked_for_again() {
        let (client, serving) = answering(vec![
            answer("429 Too Many Requests", "Retry-After: 1\r\n", "{}"),
            answer("200 OK", "Content-Type: application/json\r\n", "[1, 2]"),
            answer("409 Conflict", "", "{}"),
        ]);
        let began = Instant::now();
        let ask = async || {
            let asked = client.get_unless::<Vec<u32>>("/application/saved", &[], StatusCode::CONFLICT);
            asked.await.unwrap()
        };
        assert_eq!(ask().await, Some(vec![1, 2]));
        assert!(began.elapsed() >= WAIT[0], "not before it was told to");
        assert_eq!(ask().await, None);
        serving.join().unwrap();
    }
}
