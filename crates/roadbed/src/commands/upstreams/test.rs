//! `upstream test`: what is wrong with an upstream, and what to do about it.

use anyhow::{Result, bail};
use clap::Args;
use web::wire::{NewUpstreamTest, UpstreamTest, UpstreamTestStep};

use crate::client::{Client, segment};
use crate::output;

/// Options of `upstream test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The upstream
    name: String,
    /// An image as the upstream calls it, such as library/alpine:3.22; `latest` where there is no tag
    #[arg(value_name = "REPOSITORY[:TAG]")]
    image: Option<String>,
}

pub(super) async fn run(client: &Client, args: TestArgs) -> Result<()> {
    let path = format!("/upstreams/{}/test", segment(&args.name));
    let wanted = NewUpstreamTest { image: args.image };
    let test: UpstreamTest = client.post(&path, &wanted).await?;
    output::show(client.format(), &test, describe)?;
    if !test.passed {
        bail!("upstream {} did not pass", test.upstream);
    }
    Ok(())
}

fn describe(test: &UpstreamTest) -> String {
    let rows = test.steps.iter().map(|step| {
        [
            step.step.clone(),
            if step.passed { "ok" } else { "FAILED" }.to_owned(),
            format!("{} ms", step.took_ms),
            step.outcome.clone(),
        ]
    });
    let mut said = output::table(["STEP", "RESULT", "TIME", "FOUND"], rows);
    for remedy in test.steps.iter().filter_map(remedy) {
        said.push_str(&remedy);
    }
    said
}

fn remedy(step: &UpstreamTestStep) -> Option<String> {
    let remedy = step.remedy.as_deref()?;
    Some(format!("\n{}: {}\n", step.step, output::printable(remedy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_a_line_and_the_remedy_stands_below() {
        let test: UpstreamTest = serde_json::from_value(serde_json::json!({
            "upstream": "hub", "url": "https://hub.example/", "passed": false,
            "steps": [
                { "step": "resolve", "passed": true, "took_ms": 3, "outcome": "hub.example is 192.0.2.1" },
                { "step": "connect", "passed": false, "took_ms": 12, "outcome": "refused", "remedy": "open\u{1b}[31m it" },
            ],
        }))
        .unwrap();
        let said = describe(&test);
        for part in [
            "resolve  ok",
            "3 ms",
            "connect  FAILED",
            "refused\n\nconnect: open",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}
