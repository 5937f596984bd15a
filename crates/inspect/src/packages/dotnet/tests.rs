//! Both lists.

use super::DotNet;
use crate::packages::testing::{is_malformed, names};

#[test]
fn deps() {
    let text = r#"{"runtimeTarget":{"name":"x"},"targets":{},"libraries":{"App/1.0.0":{"type":"project"},
        "Newtonsoft.Json/12.0.1":{"type":"package","serviceable":true},
        "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/6.0.1":{"type":"runtimepack"},"X/1":{"type":"reference"}}}"#;
    assert_eq!(
        names(&DotNet, "app/App.deps.json", text),
        [
            "Microsoft.NETCore.App.Runtime.linux-x64@6.0.1",
            "Newtonsoft.Json@12.0.1"
        ]
    );
}

#[test]
fn lock() {
    let text = r#"{"version":1,"dependencies":{"net6.0":{"A":{"type":"Direct","requested":"[1, )","resolved":"1.0.0"},"own":{"type":"Project"}}}}"#;
    assert_eq!(names(&DotNet, "src/packages.lock.json", text), ["A@1.0.0"]);
    assert!(is_malformed(&DotNet, "src/packages.lock.json", "{"));
}
