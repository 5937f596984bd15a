//! Which files are left of what was stored.

use super::*;
use crate::RebaseError;
use crate::testing::Kit;

/// How many of two files are left when the rows that were to name them answer this.
async fn left(is_named: bool, error: Option<RebaseError>) -> usize {
    let kit = Kit::new().await;
    let blobs = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let done = kit
        .store
        .with_own_blobs(
            blobs,
            |error: &RebaseError| !error.is_of_store(),
            move |_, files| {
                Box::pin(async move {
                    let ours = files.iter().take(usize::from(is_named)).map(|file| file.location);
                    error.map_or(Ok(()), Err).map(|()| ((), ours.collect()))
                })
            },
        )
        .await;
    drop(done);
    let (mut listing, mut count) = (kit.store.inner.files.list_blobs(), 0);
    while let Some(found) = listing.next().await {
        count += found.unwrap().len();
    }
    count
}

#[tokio::test]
async fn a_file_is_removed_only_where_it_is_known_that_no_row_names_it() {
    assert_eq!(left(true, None).await, 1);
    assert_eq!(left(false, None).await, 0);
    assert_eq!(left(false, Some(RebaseError::Unknown)).await, 0);
    // It may have been written all the same.
    assert_eq!(left(false, Some(StoreError::TaskLost.into())).await, 2);
}
