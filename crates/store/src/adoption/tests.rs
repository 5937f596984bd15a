//! Days of the road, and newest tags.

use super::*;
use crate::testing::Kit;

fn row(day: i64, owner: Option<&str>, cohort: Cohort, repositories: u64) -> AdoptionDay {
    let owner = owner.map(|owner| owner.parse().unwrap());
    AdoptionDay {
        day,
        owner,
        cohort,
        repositories,
    }
}

#[tokio::test]
async fn a_day_is_kept_as_it_ended() {
    let kit = Kit::new().await;
    let keep = async |day, rows| kit.store.keep_adoption(day, rows).await.unwrap();
    let rows = vec![
        row(20_000, None, Cohort::Unknown, 1),
        row(20_000, Some("a"), Cohort::Paved, 4),
    ];
    keep(20_000, vec![row(20_000, Some("a"), Cohort::Stale, 9)]).await;
    keep(20_000, rows.clone()).await;
    let since = async |day, owner: Option<&str>| {
        let owner: Option<Owner> = owner.map(|owner| owner.parse().unwrap());
        kit.store.adoption_since(day, owner.as_ref()).await.unwrap()
    };
    let day = |day, counts: &[(Cohort, u64)]| AdoptionSum {
        day,
        bands: Bands(counts.iter().copied().collect()),
    };
    let first = day(20_000, &[(Cohort::Unknown, 1), (Cohort::Paved, 4)]);
    assert_eq!(since(0, None).await, std::slice::from_ref(&first));
    keep(
        20_001,
        vec![
            row(20_001, Some("a"), Cohort::Paved, 5),
            row(20_001, Some("b"), Cohort::Paved, 2),
        ],
    )
    .await;
    let second = day(20_001, &[(Cohort::Paved, 7)]);
    assert_eq!(since(0, None).await, [first, second.clone()]);
    assert_eq!(since(20_001, None).await, [second]);
    let of_b = [day(20_000, &[]), day(20_001, &[(Cohort::Paved, 2)])];
    assert_eq!(since(0, Some("b")).await, of_b);
    keep(20_000 + MAX_ADOPTION_DAYS + 2, vec![]).await;
    assert_eq!(since(0, None).await, []);
    let many: Vec<_> = (0..MAX_ROWS + 5)
        .map(|n| row(9, Some(&format!("o{n}")), Cohort::Paved, 1))
        .collect();
    keep(9, many).await;
    assert_eq!(since(9, None).await[0].bands.all(), MAX_ROWS as u64);
}

#[tokio::test]
async fn the_newest_tag_is_no_signature() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "team/app", "a", &["v1"]).await;
    kit.advance(std::time::Duration::from_secs(1));
    let digest = kit.push_image(&ci, "team/app", "b", &["v2"]).await;
    kit.advance(std::time::Duration::from_secs(1));
    let signature = format!("sha256-{}.sig", digest.hex());
    kit.push_image(&ci, "team/app", "c", &[&signature]).await;
    let newest = kit.store.newest_tags().await.unwrap();
    let newest: Vec<_> = newest
        .iter()
        .map(|(repo, tag)| (repo.as_str(), tag.as_str()))
        .collect();
    assert_eq!(newest, [("team/app", "v2")]);
}
