//! Room for the bytes of a blob on its way: all of it at once where its length is said, else more and more while it comes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use store::BodyError;

use crate::proxy::error::ProxyError;
use crate::proxy::places::{Payer, Place, Places};
use crate::proxy::room::{Room, RoomHeld};
use crate::proxy::upstreams::Upstream;

/// Bytes that there is room for at a time where the length of a blob is not said.
const STEP: u64 = 64 << 20;

/// Room that one blob holds; given back when dropped.
pub(super) struct Hold {
    bytes: Arc<Places>,
    on_disk: Option<Arc<dyn Room>>,
    upstream: Arc<Upstream>,
    payer: Payer,
    /// Bytes that there is room for.
    room: u64,
    held: Vec<(Place, Option<RoomHeld>)>,
    refused: Arc<OnceLock<ProxyError>>,
}

impl Hold {
    /// Nothing so far.
    pub(super) fn new(
        bytes: &Arc<Places>,
        on_disk: Option<&Arc<dyn Room>>,
        upstream: &Arc<Upstream>,
        payer: Payer,
    ) -> Self {
        Self {
            bytes: Arc::clone(bytes),
            on_disk: on_disk.cloned(),
            upstream: Arc::clone(upstream),
            payer,
            room: 0,
            held: Vec::new(),
            refused: Arc::default(),
        }
    }

    /// Takes room for so many bytes more.
    pub(super) async fn more(&mut self, bytes: u64) -> Result<(), ProxyError> {
        let amount = usize::try_from(bytes).unwrap_or(usize::MAX);
        let place = self.bytes.take(&self.upstream, self.payer, amount)?;
        let on_disk = match &self.on_disk {
            Some(on_disk) => Some(on_disk.make(bytes).await?),
            None => None,
        };
        self.held.push((place, on_disk));
        self.room += bytes;
        Ok(())
    }

    /// Takes room for what comes next of a blob whose length is not said.
    pub(super) async fn step(&mut self) -> Result<(), ProxyError> {
        let most = self.bytes.part().try_into().unwrap_or(u64::MAX);
        self.more(STEP.min(most)).await
    }

    /// Why there was no more room, once that is so.
    pub(super) fn refused(&self) -> Arc<OnceLock<ProxyError>> {
        Arc::clone(&self.refused)
    }

    /// The body, for which room is taken as it comes. It ends in an error where there is none.
    pub(super) fn count<S>(self, body: S) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin,
    {
        let counted = Counted {
            hold: self,
            body,
            came: 0,
            is_over: false,
        };
        Box::pin(stream::unfold(counted, |mut counted| async move {
            let item = counted.next().await?;
            Some((item, counted))
        }))
    }
}

struct Counted<S> {
    hold: Hold,
    body: S,
    came: u64,
    is_over: bool,
}

impl<S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin> Counted<S> {
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.is_over {
            return None;
        }
        let item = self.body.next().await?;
        if let Ok(bytes) = &item {
            self.came += bytes.len() as u64;
            while self.came > self.hold.room {
                if let Err(error) = self.hold.step().await {
                    self.is_over = true;
                    let why = BodyError::Transport(error.to_string());
                    // The first reason is the one that counts.
                    let _ = self.hold.refused.set(error);
                    return Some(Err(why));
                }
            }
        }
        Some(item)
    }
}
