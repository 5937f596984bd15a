//! Both shapes of what composer writes.

use super::Composer;
use crate::packages::testing::{is_malformed, names, packages};

#[test]
fn shapes() {
    let list = r#"[{"name":"symfony/http-kernel","version":"v5.4.1","license":["MIT"]}]"#;
    let object = format!(r#"{{"packages":{list},"dev":true}}"#);
    let lock = format!(r#"{{"packages":{list},"packages-dev":[{{"name":"a/b","version":"dev-main"}}]}}"#);
    assert_eq!(
        names(&Composer, "app/vendor/composer/installed.json", list),
        ["symfony/http-kernel@5.4.1"]
    );
    assert_eq!(
        names(&Composer, "app/vendor/composer/installed.json", &object),
        ["symfony/http-kernel@5.4.1"]
    );
    assert_eq!(
        names(&Composer, "composer.lock", &lock),
        ["a/b@dev-main", "symfony/http-kernel@5.4.1"]
    );
    assert_eq!(packages(&Composer, "composer.lock", &lock)[1].licences, ["MIT"]);
    assert!(is_malformed(&Composer, "composer.lock", "["));
}
