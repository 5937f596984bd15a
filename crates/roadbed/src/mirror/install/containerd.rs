//! Whether containerd looks where the files are written.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// What to tell of its configuration; nothing where it looks there.
pub(super) fn warnings(config: &Path, directory: &Path) -> Vec<String> {
    let advice = format!(
        "set config_path = {:?} in its registry section and restart it, or it does not look there",
        directory.display().to_string()
    );
    let text = match fs::read_to_string(config) {
        Ok(text) => text,
        Err(error) => return vec![format!("{} cannot be read ({error}): {advice}", config.display())],
    };
    let Ok(table) = toml::from_str::<Table>(&text) else {
        return vec![format!("{} is not TOML: {advice}", config.display())];
    };
    let mut found = Vec::new();
    gather(&Value::Table(table), false, &mut found);
    if found
        .iter()
        .any(|list| list.split(':').any(|path| Path::new(path) == directory))
    {
        return Vec::new();
    }
    let says = match found.first() {
        Some(other) => format!("says config_path = {other:?}"),
        None => "has no config_path".to_owned(),
    };
    vec![format!("{} {says}: {advice}", config.display())]
}

/// Every `config_path` of a table that is called `registry`, whatever the plugin is called in this version.
fn gather(value: &Value, is_registry: bool, found: &mut Vec<String>) {
    let Value::Table(table) = value else { return };
    for (key, value) in table {
        match value {
            Value::String(path) if is_registry && key == "config_path" => found.push(path.clone()),
            value => gather(value, key == "registry", found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(text: &str) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.toml");
        fs::write(&config, text).unwrap();
        !warnings(&config, Path::new("/etc/containerd/certs.d")).is_empty()
    }

    #[test]
    fn both_versions_of_its_configuration_are_known() {
        for good in [
            "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n",
            "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n\
             config_path = '/etc/containerd/certs.d:/etc/docker/certs.d'\n",
        ] {
            assert!(!warned(good), "{good}");
        }
        for bad in [
            "",
            "version = 2\n",
            "config_path = \"/etc/containerd/certs.d\"\n",
            "[plugins.x.registry]\nconfig_path = \"\"\n",
            "[plugins.x.registry]\nconfig_path = \"/etc/containerd/certs.d2\"\n",
            "no toml",
        ] {
            assert!(warned(bad), "{bad}");
        }
        let missing = Path::new("/nowhere/config.toml");
        assert_eq!(warnings(missing, Path::new("/etc/containerd/certs.d")).len(), 1);
    }
}
