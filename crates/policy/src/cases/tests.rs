use super::*;

const CASES: &str = r"
cases:
  - name: log4j is refused until it is waived
    now: 2026-11-27T12:00:00Z
    subject: &cart
      repo: {name: shop/cart}
      image: {user: app}
      findings:
        - {kind: vulnerability, id: CVE-2021-44228, package: log4j-core, severity: critical, kev: true, fix: upgrade to 2.17.1}
    expect: {outcome: refuse, rules: [exploited], text: upgrade to 2.17.1}
  - name: waived
    now: 2026-11-27T12:00:00Z
    on: admit
    subject: *cart
    waivers:
      - {id: w, findings: [CVE-2021-44228], repositories: [shop/*], reason: r, requester: ann, approver: bob, from: 2026-11-01, until: 2026-12-01}
    expect: {outcome: allow, rules: [], waived: [CVE-2021-44228]}
  - name: this one is wrong
    now: 2026-11-27T12:00:00Z
    subject: {image: {unknowns: [{kind: no-os}]}}
    expect: {outcome: allow, rules: [secret], waived: [X], text: nothing}
";

#[test]
fn cases_pass_or_say_what_differs() {
    let report = CaseFile::parse("cases.yaml", CASES)
        .unwrap()
        .run(&Policy::default_policy());
    assert_eq!(report.results[0].differences, Vec::<String>::new());
    assert_eq!(report.results[1].differences, Vec::<String>::new());
    assert_eq!(
        report.results[2].differences,
        [
            "outcome: expected allow, found warn",
            "rules: expected [secret], found [unknown]",
            "waived: expected [X], found []",
            "text: expected `nothing` in `policy warns: [unknown] not everything could be looked into: no-os`",
        ]
    );
    assert!(!report.is_passed());
}

#[test]
fn mistakes_are_told_with_their_line() {
    let error = |text: &str| CaseFile::parse("c.yaml", text).unwrap_err().to_string();
    let text = CASES.replace("user: app", "usr: app");
    assert!(
        error(&text).starts_with("c.yaml:7: unknown field `usr`"),
        "{}",
        error(&text)
    );
    let text = CASES.replace("approver: bob", "approver: ann");
    assert!(
        error(&text).contains("a waiver needs another person"),
        "{}",
        error(&text)
    );
    assert!(error(&CASES.replace("outcome: refuse", "outcome: refused")).starts_with("c.yaml:10: "));
    let large = " ".repeat(MAX_CASES_BYTES + 1);
    assert!(matches!(
        CaseFile::parse("c.yaml", &large),
        Err(CaseError::TooLarge { .. })
    ));
}
