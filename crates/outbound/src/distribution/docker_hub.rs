//! What is known of registries whose names are not where they are.

use oci::RepoName;

/// Where the images of `docker.io` lie.
pub const DOCKER_HUB: &str = "https://registry-1.docker.io";

/// What images call it.
pub const DOCKER_IO: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What Docker Hub calls a repository: `alpine` is `library/alpine` there. `None`: that is too long for a name.
pub fn on_docker_hub(name: &RepoName) -> Option<RepoName> {
    if name.as_str().contains('/') {
        return Some(name.clone());
    }
    format!("library/{name}").parse().ok()
}

/// Token services that a well-known registry keeps on another host: what to list for it unless somebody has said otherwise.
pub fn usual_realms(host: &str) -> &'static [&'static str] {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => &["auth.docker.io"],
        "registry.gitlab.com" => &["gitlab.com"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_name_is_in_the_library() {
        let on = |name: &str| on_docker_hub(&name.parse().unwrap()).map(|name| name.to_string());
        assert_eq!(on("alpine").as_deref(), Some("library/alpine"));
        assert_eq!(on("team/app").as_deref(), Some("team/app"));
        assert_eq!(on(&"a".repeat(250)), None);
        for name in DOCKER_IO {
            assert_eq!(usual_realms(name), ["auth.docker.io"]);
        }
        assert!(usual_realms("registry.example").is_empty());
    }
}
