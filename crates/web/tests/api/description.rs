//! The `OpenAPI` document.

use serde_json::Value;

use super::world::{Who, World};

#[tokio::test]
async fn the_document_is_openapi_and_describes_each_operation() {
    let world = World::new().await;
    let document = world
        .ask(Who::Anonymous, "GET", "/openapi.json", None)
        .await
        .expect(200)
        .json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["version"], "1.2.3");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            assert!(operation["operationId"].is_string(), "{name} has no id");
            assert!(operation["tags"][0].is_string(), "{name} has no tag");
            assert!(
                !operation["responses"].as_object().unwrap().is_empty(),
                "{name} has no answers"
            );
            for segment in path.split('/').filter(|segment| segment.starts_with('{')) {
                let parameter = segment.trim_matches(['{', '}']);
                let mut named = operation["parameters"].as_array().unwrap().iter();
                assert!(
                    named.any(|given| given["name"] == parameter),
                    "{name} does not describe {parameter}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let world = World::new().await;
    let document = world
        .ask(Who::Anonymous, "GET", "/openapi.json", None)
        .await
        .expect(200)
        .json();
    let mut references = Vec::new();
    gather(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn gather(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                references.push(reference.to_owned());
            }
            object.values().for_each(|value| gather(value, references));
        }
        Value::Array(array) => array.iter().for_each(|value| gather(value, references)),
        _ => {}
    }
}
