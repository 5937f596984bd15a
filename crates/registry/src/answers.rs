//! Room for answers that stand in memory until they are sent.
//!
//! A manifest of megabytes or a page of referrers stays in memory for as long as its reader takes to read it: more than an
//! hour at the minimum rate. The place among the requests ([`crate::admission`]) is given back when the answer begins all
//! the same. Kept until the end, it would be what a few thousand slow readers take from everybody, and it would not bound
//! much: four thousand answers of 4 MiB. So large answers have room of their own, counted in bytes. Where it is used up
//! the next large answer is 429; small ones and blobs, which are read from the disk piece by piece as their connection
//! takes them, go on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use access::{
    PrincipalId,
    shares::{Share, Shares},
};
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};

use crate::{
    admission::PARTS,
    error::{ApiError, RETRY_AFTER_SECONDS},
};

/// An answer up to this size is not counted: a socket's buffer takes it soon, and it is bounded by the connections.
const SMALL_ANSWER_BYTES: u64 = 64 * 1024;

/// The room of one registry, in bytes.
#[derive(Debug)]
pub(crate) struct AnswerRoom(Arc<Shares<Option<PrincipalId>>>);

impl AnswerRoom {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Shares::new(usize::try_from(bytes).unwrap_or(usize::MAX), PARTS))
    }

    /// Lets an answer hold its room until its bytes are sent or dropped. What is streamed does not know its size and
    /// stands nowhere in memory. A cached manifest counts whole for each of its readers: the cache may let go of it
    /// while they read.
    pub(crate) fn hold(
        &self,
        principal: Option<PrincipalId>,
        response: Response<Body>,
    ) -> Result<Response<Body>, ApiError> {
        let size = response.body().size_hint().exact();
        let Some(size) = size.filter(|size| *size > SMALL_ANSWER_BYTES) else {
            return Ok(response);
        };
        let bytes = usize::try_from(size).unwrap_or(usize::MAX);
        let room = self.0.take(principal, bytes).map_err(|_| {
            let message = "too many large answers are being read at the moment; retry after a moment";
            ApiError::too_many(message, RETRY_AFTER_SECONDS)
        })?;
        let room = Arc::new(room);
        Ok(response.map(|body| Body::new(HeldBody { body, room })))
    }
}

/// A body whose bytes hold room, also when the connection has taken them out of it and not sent them yet.
struct HeldBody {
    body: Body,
    room: Arc<Share<Option<PrincipalId>>>,
}

struct HeldBytes {
    bytes: Bytes,
    #[expect(dead_code, reason = "held for its Drop")]
    room: Arc<Share<Option<PrincipalId>>>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| {
            frame.map_data(|bytes| {
                let room = Arc::clone(&self.room);
                Bytes::from_owner(HeldBytes { bytes, room })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt as _;

    use super::*;

    const MIB: usize = 1024 * 1024;
    const ANN: Option<PrincipalId> = Some(PrincipalId(1));

    fn answer(bytes: usize) -> Response<Body> {
        Response::new(Body::from(vec![0; bytes]))
    }

    #[tokio::test]
    async fn room_is_held_until_the_bytes_are_gone_not_only_their_body() {
        let room = AnswerRoom::new(4 * MIB as u64);
        let mut body = room.hold(ANN, answer(2 * MIB)).unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(2 * MIB as u64));
        let refused = room.hold(ANN, answer(MIB)).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert!(room.hold(ANN, answer(MIB)).is_err(), "the connection has them");
        drop(bytes);
        assert!(room.hold(ANN, answer(MIB)).is_ok());
    }

    #[test]
    fn small_and_streamed_answers_need_no_room() {
        let room = AnswerRoom::new(0);
        assert!(room.hold(ANN, answer(64 * 1024)).is_ok());
        assert!(room.hold(ANN, answer(64 * 1024 + 1)).is_err());
        let pieces = futures_util::stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from(vec![0; MIB])));
        let streamed = Response::new(Body::from_stream(pieces));
        assert!(room.hold(ANN, streamed).is_ok());
    }
}
