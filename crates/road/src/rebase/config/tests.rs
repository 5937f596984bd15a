use serde_json::json;

use super::*;

fn merge(old: &Value, new: &Value, app: &Value) -> (Value, Vec<String>) {
    let members = |value: &Value| value.as_object().unwrap().clone();
    let (old, new, app) = (members(old), members(new), members(app));
    let three = Three {
        old: &old,
        new: &new,
        app: &app,
    };
    let (merged, conflicts) = three.merge();
    let fields = conflicts.into_iter().map(|conflict| conflict.field).collect();
    (Value::Object(merged), fields)
}

#[test]
fn whoever_changed_something_is_followed() {
    let old = json!({"User": "", "WorkingDir": "/", "StopSignal": "SIGTERM", "Labels": {"a": "1", "b": "1", "gone": "1"}});
    let new = json!({"User": "1000", "WorkingDir": "/", "Labels": {"a": "2", "b": "1", "c": "1"}});
    let app = json!({"User": "", "WorkingDir": "/app", "StopSignal": "SIGTERM", "Labels": {"a": "1", "b": "2", "gone": "1"}});
    let (merged, conflicts) = merge(&old, &new, &app);
    assert_eq!(
        merged,
        json!({"User": "1000", "WorkingDir": "/app", "Labels": {"a": "2", "b": "2", "c": "1"}})
    );
    assert!(conflicts.is_empty());
}

#[test]
fn where_both_changed_it_the_application_stands_and_it_is_shown() {
    let old = json!({"User": "root", "Labels": {"version": "1"}, "Env": ["LANG=C", "TZ=UTC"]});
    let new = json!({"User": "nobody", "Labels": {"version": "2"}, "Env": ["LANG=C.UTF-8", "TZ=UTC"]});
    let app = json!({"User": "app", "Labels": {"version": "app-7"}, "Env": ["LANG=de_DE.UTF-8", "TZ=UTC"]});
    let (merged, conflicts) = merge(&old, &new, &app);
    assert_eq!(merged, app);
    assert_eq!(conflicts, ["Env LANG", "Labels version", "User"]);
}

#[test]
fn variables_are_merged_by_name_and_paths_around_the_base() {
    let old = json!({"Env": ["PATH=/usr/bin:/bin", "JAVA_VERSION=17.0.1", "DROPPED=1"]});
    let new = json!({"Env": ["PATH=/opt/java17/bin:/usr/bin:/bin", "JAVA_VERSION=17.0.2", "NEW="]});
    let app = json!({"Env": ["PATH=/app/bin:/usr/bin:/bin", "JAVA_VERSION=17.0.1", "DROPPED=1", "APP=x=y"]});
    let (merged, conflicts) = merge(&old, &new, &app);
    assert_eq!(
        merged,
        json!({"Env": ["PATH=/app/bin:/opt/java17/bin:/usr/bin:/bin", "JAVA_VERSION=17.0.2", "APP=x=y", "NEW="]})
    );
    assert!(conflicts.is_empty());
    let own = json!({"Env": ["PATH=/bin", "JAVA_VERSION=17.0.1"]});
    let expected = json!({"Env": ["PATH=/bin", "JAVA_VERSION=17.0.2", "NEW="]});
    assert_eq!(merge(&old, &new, &own), (expected, vec!["Env PATH".to_owned()]));
}

#[test]
fn an_own_entry_point_keeps_its_own_command() {
    let old = json!({"Entrypoint": ["/old"], "Cmd": ["serve"]});
    let new = json!({"Entrypoint": ["/new"], "Cmd": ["serve", "--fast"]});
    let (merged, conflicts) = merge(&old, &new, &json!({"Entrypoint": ["/app"]}));
    assert_eq!((merged, conflicts.len()), (json!({"Entrypoint": ["/app"]}), 0));
    let (merged, _) = merge(&old, &new, &json!({"Entrypoint": ["/old"], "Cmd": ["mine"]}));
    assert_eq!(merged, json!({"Entrypoint": ["/new"], "Cmd": ["mine"]}));
    let (merged, _) = merge(&old, &new, &old);
    assert_eq!(merged, new);
}

#[test]
fn what_waits_for_the_next_build_is_the_applications_alone() {
    let base = json!({"OnBuild": ["COPY . /src"]});
    let (merged, conflicts) = merge(
        &base,
        &json!({"OnBuild": ["RUN make"]}),
        &json!({"OnBuild": null}),
    );
    assert_eq!((merged, conflicts.len()), (json!({"OnBuild": null}), 0));
}

#[test]
fn labels_that_name_the_base_are_left_to_whoever_sets_them_anew() {
    let old = json!({"Labels": {BASE_DIGEST: "sha256:old"}});
    let (merged, conflicts) = merge(&old, &json!({"Labels": {BASE_NAME: "x"}}), &old);
    assert_eq!((merged, conflicts.len()), (json!({}), 0));
}
