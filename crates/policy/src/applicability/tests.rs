use oci::ManifestLimits;

use super::*;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const COSIGN: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const HELM: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const CACHE: &str = "application/vnd.buildkit.cacheconfig.v0";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn manifest(config: &str, layers: &[&str]) -> Manifest {
    let descriptor = |media_type: &str| {
        let digest = oci::Digest::of(oci::Algorithm::Sha256, media_type.as_bytes());
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7}}"#)
    };
    let layers: Vec<String> = layers.iter().map(|layer| descriptor(layer)).collect();
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
        descriptor(config),
        layers.join(",")
    );
    Manifest::parse(json.as_bytes(), None, &ManifestLimits::default()).unwrap()
}

/// Type of the configuration, types of the layers, what was seen of both, and what it is.
type Case = (
    &'static str,
    &'static [&'static str],
    ConfigShape,
    Peek,
    Applicability,
);

fn images() -> Vec<Case> {
    use ConfigShape as Config;
    let image = Applicability::Image;
    vec![
        (OCI_IMAGE_CONFIG, &[TAR], Config::Image, Peek::Archive, image),
        (
            DOCKER_CONFIG,
            &["application/vnd.docker.image.rootfs.diff.tar.gzip"],
            Config::Image,
            Peek::Archive,
            image,
        ),
        (
            OCI_IMAGE_CONFIG,
            &["application/vnd.oci.image.layer.v1.tar+zstd"],
            Config::Unread,
            Peek::Unread,
            image,
        ),
        (
            OCI_IMAGE_CONFIG,
            &[oci::media_type::OCI_FOREIGN_LAYER],
            Config::Image,
            Peek::Unread,
            image,
        ),
        (OCI_IMAGE_CONFIG, &[], Config::Image, Peek::Unread, image),
        // Disguised as something else.
        (HELM, &[TAR], Config::Image, Peek::Archive, image),
        (HELM, &[TAR], Config::Other, Peek::Archive, image),
        (HELM, &[CHART, TAR], Config::Other, Peek::Archive, image),
        (HELM, &[CHART], Config::Image, Peek::Archive, image),
        (HELM, &[], Config::Other, Peek::Archive, image),
        (OCI_IMAGE_CONFIG, &[CHART], Config::Image, Peek::Archive, image),
        (CACHE, &[TAR], Config::Image, Peek::Archive, image),
        (CACHE, &[TAR], Config::Unread, Peek::Archive, image),
        (EMPTY, &[TAR], Config::Other, Peek::Archive, image),
        (
            "application/vnd.example+json",
            &["application/vnd.example.bin"],
            Config::Other,
            Peek::Other,
            image,
        ),
        (
            "application/vnd.wasm.config.v0+json",
            &["application/wasm"],
            Config::Other,
            Peek::Other,
            image,
        ),
        (OCI_IMAGE_CONFIG, &[COSIGN], Config::Image, Peek::Archive, image),
        (OCI_IMAGE_CONFIG, &[COSIGN], Config::Image, Peek::Unread, image),
        (OCI_IMAGE_CONFIG, &[COSIGN, TAR], Config::Image, Peek::Text, image),
        (EMPTY, &["application/json"], Config::Other, Peek::Archive, image),
    ]
}

/// What it says and is.
fn artifacts() -> Vec<Case> {
    use ArtifactKind::{Attestation, BuildCache, Chart, Data, Sbom, Signature};
    use ConfigShape as Config;
    let not = Applicability::NotApplicable;
    vec![
        (HELM, &[CHART], Config::Other, Peek::Archive, not(Chart)),
        (CACHE, &[TAR, TAR], Config::Other, Peek::Archive, not(BuildCache)),
        (
            OCI_IMAGE_CONFIG,
            &[COSIGN, COSIGN],
            Config::Image,
            Peek::Text,
            not(Signature),
        ),
        (
            "application/vnd.cncf.notary.signature",
            &["application/jose+json"],
            Config::Other,
            Peek::Text,
            not(Signature),
        ),
        (
            OCI_IMAGE_CONFIG,
            &["application/vnd.dsse.envelope.v1+json"],
            Config::Image,
            Peek::Text,
            not(Attestation),
        ),
        (
            EMPTY,
            &["application/vnd.dev.sigstore.bundle.v0.3+json"],
            Config::Other,
            Peek::Unread,
            not(Attestation),
        ),
        (
            EMPTY,
            &["application/vnd.cyclonedx+json"],
            Config::Other,
            Peek::Text,
            not(Sbom),
        ),
        (
            EMPTY,
            &["application/spdx+json", COSIGN],
            Config::Other,
            Peek::Text,
            not(Data),
        ),
        (EMPTY, &[], Config::Other, Peek::Unread, not(Data)),
    ]
}

#[test]
fn what_a_node_can_unpack_is_an_image_whatever_it_is_called() {
    for (config, layers, shape, peek, expected) in images().into_iter().chain(artifacts()) {
        let manifest = manifest(config, layers);
        assert_eq!(
            classify(&manifest, shape, |_| peek),
            expected,
            "{config} {layers:?} {shape:?} {peek:?}"
        );
    }
}

#[test]
fn indexes_are_judged_by_their_children() {
    let digest = oci::Digest::of(oci::Algorithm::Sha256, b"");
    let index = |media_type: &str| {
        let child = format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7}}"#);
        let json = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{child}]}}"#
        );
        Manifest::parse(json.as_bytes(), None, &ManifestLimits::default()).unwrap()
    };
    let of_images = index("application/vnd.oci.image.manifest.v1+json");
    assert_eq!(
        classify(&of_images, ConfigShape::Unread, |_| Peek::Unread),
        Applicability::Index
    );
    assert!(!is_cache_index(&of_images));
    assert!(is_cache_index(&index(TAR)));
}

#[test]
fn a_tar_of_letters_is_no_text() {
    let mut header = [b'{'; 512];
    header[148..156].copy_from_slice(b"        ");
    assert_eq!(Peek::of(&header), Peek::Text);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o} ").as_bytes());
    assert_eq!(Peek::of(&header), Peek::Archive);
    header[0] = b'[';
    assert_eq!(Peek::of(&header), Peek::Text);
}

#[test]
fn first_bytes_tell_archives_from_text() {
    let mut tar = [0_u8; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, expected) in [
        (&b"\x1f\x8b\x08"[..], Peek::Archive),
        (b"\x28\xb5\x2f\xfd", Peek::Archive),
        (b"\x50\x2a\x4d\x18", Peek::Archive),
        (b"BZh9", Peek::Archive),
        (&tar, Peek::Archive),
        (b"{\"critical\": 1}", Peek::Text),
        ("{\"ä\": 1}\n".as_bytes(), Peek::Text),
        (b"\0asm", Peek::Other),
        (b"", Peek::Other),
    ] {
        assert_eq!(Peek::of(bytes), expected, "{bytes:?}");
    }
}
