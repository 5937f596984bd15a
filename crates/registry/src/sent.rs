//! A response's body that knows how much of it was sent, for the access log and the counters.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};

use crate::{
    access_log::{AccessLog, AccessRecord},
    metrics::RegistryMetrics,
    overload::Charged,
};

/// Counts what passes and writes the access log's line when the body ends, however it ends.
pub(crate) struct SentBody {
    body: Body,
    sent: u64,
    /// Of that, what whoever asked was charged for.
    told: u64,
    charged: Option<Charged>,
    started: Instant,
    record: Option<AccessRecord>,
    log: AccessLog,
    metrics: Arc<RegistryMetrics>,
}

/// Bytes of an answer that are charged at a time: who takes long for a large one is seen before its end.
const CHARGED_BYTES: u64 = 4 << 20;

impl SentBody {
    pub(crate) fn wrap(
        response: Response<Body>,
        record: Option<AccessRecord>,
        charged: Option<Charged>,
        log: &AccessLog,
        metrics: &Arc<RegistryMetrics>,
        started: Instant,
    ) -> Response<Body> {
        if record.is_none() && response.body().size_hint().exact() == Some(0) {
            return response;
        }
        response.map(|body| {
            let (log, metrics) = (log.clone(), Arc::clone(metrics));
            Body::new(Self {
                body,
                sent: 0,
                told: 0,
                charged,
                started,
                record,
                log,
                metrics,
            })
        })
    }
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.sent += data.len() as u64;
            if self.sent - self.told >= CHARGED_BYTES {
                self.charge();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl SentBody {
    fn charge(&mut self) {
        if let Some(charged) = &self.charged {
            charged.sent(self.sent - self.told);
        }
        self.told = self.sent;
    }
}

impl Drop for SentBody {
    fn drop(&mut self) {
        self.charge();
        self.metrics.sent_bytes.inc_by(self.sent);
        let Some(mut record) = self.record.take() else {
            return;
        };
        record.sent_bytes = self.sent;
        record.duration = self.started.elapsed();
        if !self.log.note(record) {
            self.metrics.access_log_dropped.inc();
        }
    }
}
