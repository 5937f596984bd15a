//! The server's own counters, read from `/metrics`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::{
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Server},
};

/// How long a number may take to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(20);

/// What the server counted up to a moment.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    text: String,
}

impl Metrics {
    /// Asks the server. The request itself is counted only as a connection.
    pub(crate) async fn read(server: &Server) -> Result<Self> {
        let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
        let answer = client.get("/metrics").send().await?.expect(&[200])?;
        Ok(Self {
            text: String::from_utf8(answer.body.to_vec()).context("the metrics are not UTF-8")?,
        })
    }

    /// Waits until a counter or gauge is as wanted; see [`Self::sum`].
    pub(crate) async fn until(server: &Server, name: &str, wanted: impl Fn(u64) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::read(server).await?.sum(name, &[])?;
            if wanted(now) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "the metric {name} stays at {now}");
            sleep(PAUSE).await;
        }
    }

    /// The sum over all series of a name (without the prefix `roadbed_`) whose labels hold each of these, `key="value"`.
    /// A series that was never counted is 0; a name that is not described at all is an error.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> Result<u64> {
        let described = format!("# TYPE roadbed_{} ", name.trim_end_matches("_total"));
        anyhow::ensure!(
            self.text.contains(&described),
            "no metric {name} in:\n{}",
            self.text
        );
        let name = format!("roadbed_{name}");
        let mut sum = 0.0;
        for line in self.text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let own = series.split('{').next() == Some(name.as_str());
            if own && labels.iter().all(|label| series.contains(label)) {
                sum += value
                    .parse::<f64>()
                    .with_context(|| format!("not a number: {line}"))?;
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counters of tests are small"
        )]
        Ok(sum as u64)
    }
}
