use super::*;
use time::macros::datetime;

pub(crate) fn base(name: &str) -> BaseImage {
    BaseImage {
        name: name.parse().unwrap(),
        owner: "platform".parse().unwrap(),
        contact: None,
        repository: format!("base/{name}").parse().unwrap(),
        channels: BTreeMap::new(),
        lifecycle: Lifecycle::Supported,
        supported_until: datetime!(2027-10-01 0:00 UTC),
        replaced_by: None,
        rebase: None,
        patch_within: Promise::new([
            (Severity::Critical, Duration::hours(24)),
            (Severity::High, Duration::days(7)),
        ]),
        retire_notice: None,
        signer: None,
    }
}

fn replaced(name: &str, by: &str) -> BaseImage {
    BaseImage {
        replaced_by: Some(by.parse().unwrap()),
        ..base(name)
    }
}

#[test]
fn bases_are_found_by_name_and_repository() {
    let bases = Bases::build(vec![
        base("java17"),
        base("debian12"),
        replaced("java11", "java17"),
    ])
    .unwrap();
    assert_eq!(bases.iter().count(), 3);
    let found = bases.released_to(&"base/java17".parse().unwrap()).unwrap();
    assert_eq!(found.name.as_str(), "java17");
    assert!(bases.get(&"JAVA11".parse().unwrap()).is_some());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut shared = base("b");
    shared.repository = "base/a".parse().unwrap();
    let mut channels = base("a");
    let digest = Digest::of(oci::Algorithm::Sha256, b"");
    channels.channels = (0..=MAX_CHANNELS).map(|n| (n.to_string(), digest)).collect();
    let cases = [
        (vec![base("a"), base("a")], "declared twice"),
        (vec![base("a"), shared], "both released to `base/a`"),
        (vec![replaced("a", "b")], "not declared"),
        (
            vec![replaced("a", "b"), replaced("b", "c"), replaced("c", "a")],
            "replaced by itself",
        ),
        (vec![replaced("a", "a")], "replaced by itself"),
        (
            vec![replaced("x", "a"), replaced("a", "b"), replaced("b", "a")],
            "replaced by itself",
        ),
        (vec![channels], "33 channels"),
        (
            (0..=MAX_BASES).map(|n| base(&format!("b{n}"))).collect(),
            "10001 bases",
        ),
    ];
    for (entries, wanted) in cases {
        let error = Bases::build(entries).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn promises_are_by_severity() {
    let promise = base("a").patch_within;
    assert_eq!(promise.within(Severity::Critical), Duration::hours(24));
    assert_eq!(promise.within(Severity::Unknown), Duration::days(7));
    assert_eq!(promise.within(Severity::Low), DEFAULT_PROMISE);
    assert_eq!(Promise::default().within(Severity::Critical), DEFAULT_PROMISE);
    let slow = Promise::new([
        (Severity::High, Duration::days(90)),
        (Severity::Low, Duration::days(-1)),
    ]);
    assert_eq!(slow.within(Severity::Low), Duration::days(90));
}

#[test]
fn support_ends() {
    let mut base = base("a");
    let end = base.supported_until;
    assert!(base.is_supported(end - Duration::SECOND));
    assert!(!base.is_supported(end));
    for (lifecycle, wanted) in Lifecycle::WORDS
        .map(|(_, lifecycle)| lifecycle)
        .into_iter()
        .zip([false, true, true, false])
    {
        base.lifecycle = lifecycle;
        assert_eq!(base.is_supported(end - Duration::DAY), wanted, "{lifecycle:?}");
    }
}
