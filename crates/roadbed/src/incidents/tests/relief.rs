//! What the registry itself knows to help: VEX and waivers of the policy.

use store::{StoredWaiver, WaiverPut, WaiverStep};
use time::macros::datetime;

use super::{
    super::timestamp,
    kit::{Kit, operator, prod},
    moves::{image, kit},
};

const CVE: &str = "CVE-2021-44228";

const ID: &str = "log4shell";

/// With an incident about one tag, and a policy that speaks of it.
async fn opened() -> Kit {
    let kit = kit().await;
    let policy = "version: 1\nrules:\n  - {id: any, when: finding.kind == 'vulnerability', decide: warn}\n";
    kit.store
        .set_policy(policy, "sha256:x", &operator())
        .await
        .unwrap();
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.open(ID, CVE, None).await;
    assert_eq!(kit.state(ID, "shop/a").await, "open");
    kit
}

/// Somebody whom an administrator trusts says that it does not matter here.
#[tokio::test(flavor = "multi_thread")]
async fn vex_of_a_trusted_author_makes_it_harmless_as_long_as_it_stands() {
    let kit = opened().await;
    let vex = serde_json::json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vendor.example/1", "author": "Vendor",
        "timestamp": "2021-12-10T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": { "name": CVE }, "products": ["pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"],
            "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path",
        }],
    });
    kit.import(&[("vendor.json".to_owned(), vex)]).await;
    let spec =
        serde_json::json!({ "name": "vendor", "repositories": ["**"], "author": "Vendor", "vex": true });
    let spec: signatures::SignerSpec = serde_json::from_value(spec).unwrap();
    kit.store.set_signer(&operator(), &spec).await.unwrap();
    kit.until(ID, "shop/a", "mitigated").await;
    let incident = kit.incident(ID).await;
    let line = incident.line(&prod("shop/a")).unwrap();
    assert!(
        line.seen[0].reason.starts_with("VEX by "),
        "{}",
        line.seen[0].reason
    );
    kit.store.remove_signer(&operator(), "vendor").await.unwrap();
    kit.until(ID, "shop/a", "open").await;
}

/// Somebody bears it by the policy, and the incident knows until when.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiver_of_the_policy_counts_until_it_ends() {
    let kit = opened().await;
    let waiver = serde_json::json!({
        "id": "batch", "findings": [CVE], "repositories": ["shop/**"], "reason": "reads our own files only",
        "requester": "eve", "approver": "bob", "from": "2021-12-10T00:00:00Z", "until": "2021-12-20T12:00:00Z",
    });
    let waiver: policy::Waiver = serde_json::from_value(waiver).unwrap();
    let until = waiver.until;
    let waiver = StoredWaiver {
        id: "batch".to_owned(),
        body: policy::KeptWaiver::Approved(waiver).to_json().unwrap(),
        until: timestamp(until),
    };
    let actor = operator();
    let put = kit.store.set_waiver(waiver, None, WaiverStep::Approve, &actor);
    assert_eq!(put.await.unwrap(), WaiverPut::Done);
    kit.until(ID, "shop/a", "waived").await;
    let incident = kit.incident(ID).await;
    let line = incident.line(&prod("shop/a")).unwrap();
    assert_eq!(line.seen[0].until, Some(until));
    assert!(
        line.seen[0].reason.contains("reads our own files only"),
        "{}",
        line.seen[0].reason
    );
    kit.go_to(datetime!(2021-12-20 12:00 UTC));
    assert_eq!(kit.state(ID, "shop/a").await, "open");
}
