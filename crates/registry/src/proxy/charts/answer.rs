//! The index as it is answered: the charts that the caller may pull, with URLs that lead here.
//!
//! It is written as JSON, which is YAML as well. Each chart is written when the client has taken the one before it: an index of
//! megabytes costs each client one chart's.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use oci::RepoName;

use super::index::{ChartIndex, ChartVersion};

/// Charts that are written at a time, so that thousands of small ones are not thousands of pieces.
const PIECE_BYTES: usize = 64 << 10;

impl ChartIndex {
    /// The index with the charts of `names`, in pieces.
    pub(crate) fn answer(
        self: Arc<Self>,
        names: Vec<RepoName>,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let head = Bytes::from_static(b"{\"apiVersion\":\"v1\",\"entries\":{");
        let index = self;
        let middle = stream::unfold((names.into_iter(), true), move |(mut names, mut is_first)| {
            let mut text = String::new();
            while text.len() < PIECE_BYTES
                && let Some(name) = names.next()
            {
                if !std::mem::take(&mut is_first) {
                    text.push(',');
                }
                write_chart(&mut text, &name, index.versions(&name));
            }
            std::future::ready((!text.is_empty()).then(|| (Bytes::from(text), (names, is_first))))
        });
        let pieces = stream::iter([head])
            .chain(middle)
            .chain(stream::iter([Bytes::from_static(b"}}\n")]));
        pieces.map(Ok)
    }
}

fn write_chart(text: &mut String, name: &RepoName, versions: &[ChartVersion]) {
    // Names are of a grammar without quotes.
    let _ = write!(text, "\"{name}\":[");
    for (place, version) in versions.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write_version(text, name, version);
    }
    text.push(']');
}

fn write_version(text: &mut String, name: &RepoName, version: &ChartVersion) {
    text.push_str(version.metadata.strip_suffix('}').unwrap_or(&version.metadata));
    // Relative to the index, so that it is right behind every proxy and under every name of this registry.
    let url = format!("charts/{name}/{name}-{}.tgz", version.version);
    let _ = write!(text, ",\"urls\":[{}]", quoted(&url));
    if let Some(digest) = version.digest {
        let _ = write!(text, ",\"digest\":\"{}\"", digest.hex());
    }
    if let Some(created) = &version.created {
        let _ = write!(text, ",\"created\":{}", quoted(created));
    }
    text.push('}');
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
