//! The list of manifests.

use super::*;
use crate::testing::{Kit, image, index, referrer, sha256};

async fn list(kit: &Kit, permit: &Permit<Pull>, untagged: bool) -> Vec<ListedManifest> {
    let (mut listed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = kit.store.manifests(permit, untagged, after.as_deref(), 2).await;
        let page = page.unwrap().unwrap();
        assert!(page.items.len() <= 2);
        listed.extend(page.items);
        if !page.more {
            return listed;
        }
        after = listed.last().map(|last| last.digest.to_string());
    }
}

#[tokio::test]
async fn manifests_are_listed_with_what_holds_them() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.pull(&ci, "r");
    assert!(
        kit.store
            .manifests(&permit, false, None, 10)
            .await
            .unwrap()
            .is_none()
    );
    let many: Vec<String> = (0..TAGS_LISTED + 2)
        .map(|number| format!("t{number:02}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let child = kit.push_image(&ci, "r", "a", &[]).await;
    let tagged = kit.push_image(&ci, "r", "b", &many).await;
    let top = index(&[&image(b"config a", &[b"layer a"])]);
    kit.put(&ci, "r", &top, &["v1"]).await.unwrap();
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    let signature = referrer(&tagged, "a/signature", "1");
    kit.put(&ci, "r", &signature, &[]).await.unwrap();
    kit.push_image(&ci, "other", "c", &["1"]).await;

    let all = list(&kit, &permit, false).await;
    let digests: Vec<Digest> = all.iter().map(|entry| entry.digest).collect();
    let (top, signature) = (sha256(top.as_bytes()), sha256(signature.as_bytes()));
    let mut wanted = vec![child, tagged, top, signature];
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(digests, wanted);
    let entry = |digest: Digest| all.iter().find(|entry| entry.digest == digest).unwrap();
    assert_eq!((entry(child).index, entry(child).subject), (Some(top), None));
    assert_eq!(entry(top).tags, ["v1".parse::<Tag>().unwrap()]);
    assert_eq!(entry(signature).subject, Some(tagged));
    assert_eq!(entry(signature).artifact_type.as_deref(), Some("a/signature"));
    let tags = &entry(tagged).tags;
    assert_eq!((tags.len(), entry(tagged).more_tags), (TAGS_LISTED, true));
    assert_eq!(tags[0].as_str(), "t00");

    let untagged = list(&kit, &permit, true).await;
    let mut digests: Vec<Digest> = untagged.iter().map(|entry| entry.digest).collect();
    digests.retain(|digest| *digest != child && *digest != signature);
    assert!(digests.is_empty() && untagged.len() == 2, "{untagged:?}");
}
