use super::*;

const CHART: &str = "apiVersion: v2\nname: app\nversion: 1.2.3\nappVersion: \"4.5\"\n";

/// The facts of a chart with these files beside its `Chart.yaml`.
fn facts(files: &[(&str, &str)]) -> ChartFacts {
    facts_with(CHART, files).unwrap()
}

fn facts_with(metadata: &str, files: &[(&str, &str)]) -> Option<ChartFacts> {
    let mut chart = Chart::default();
    let metadata = ("Chart.yaml", metadata);
    for (path, text) in files.iter().chain([&metadata]) {
        let path = format!("app/{path}");
        if chart.wants(&path, text.len() as u64) {
            chart.take(&path, Some(text.as_bytes()));
        }
    }
    chart.finish()
}

fn images(facts: &ChartFacts) -> Vec<&str> {
    facts
        .images
        .iter()
        .map(|image| image.reference.as_str())
        .collect()
}

fn unknown(facts: &ChartFacts) -> Vec<(&str, &str)> {
    facts
        .unknown
        .iter()
        .map(|unknown| (unknown.path.as_str(), unknown.why.as_str()))
        .collect()
}

#[test]
fn references_are_written_whole() {
    let digest = format!("sha256:{}", "a".repeat(64));
    for (text, whole) in [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/loki:3", "docker.io/grafana/loki:3"),
        ("quay.io/jetstack/app:v1", "quay.io/jetstack/app:v1"),
        ("registry.example:5000/app", "registry.example:5000/app:latest"),
        ("localhost/app:1", "localhost/app:1"),
        (
            &format!("ghcr.io/a/b:1@{digest}"),
            &*format!("ghcr.io/a/b@{digest}"),
        ),
    ] {
        assert_eq!(reference::normal(text).as_deref(), Some(whole), "{text}");
    }
    for none in [
        "",
        "https://example.com/app",
        "Upper/Case",
        "a b",
        "app:tag with spaces",
        "app@sha256:short",
        "a//b",
    ] {
        assert_eq!(reference::normal(none), None, "{none}");
    }
}

#[test]
fn values_name_images_in_the_shapes_of_charts() {
    let values = "
image:
  registry: quay.io
  repository: acme/app
  tag: v1
sidecar:
  image:
    repository: acme/side
    pullPolicy: Always
init: {image: 'busybox:1.36'}
plain: {image: redis, imageTag: 7}
exporter: {repository: ghcr.io/acme/exporter, digest: 'sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}
extraImages: ['acme/extra:1', 'acme/more:2']
list:
- image: acme/listed:3
git: {repository: 'https://github.com/acme/app', tag: v1}
heroImage: hero.png
nothing: {image: ''}
";
    let facts = facts(&[("values.yaml", values)]);
    assert_eq!(
        images(&facts),
        [
            "docker.io/acme/extra:1",
            "docker.io/acme/listed:3",
            "docker.io/acme/more:2",
            "docker.io/acme/side:4.5",
            "docker.io/library/busybox:1.36",
            "docker.io/library/redis:7",
            &format!("ghcr.io/acme/exporter@sha256:{}", "a".repeat(64)),
            "quay.io/acme/app:v1",
        ]
    );
    let side = &facts.images[3];
    assert_eq!(
        (side.path.as_str(), side.place.as_str()),
        ("values.yaml", "sidecar.image")
    );
    assert!(side.is_tag_assumed, "by appVersion");
    assert_eq!(unknown(&facts), []);
    assert_eq!((facts.name.as_str(), facts.version.as_str()), ("app", "1.2.3"));
}

#[test]
fn one_registry_may_be_that_of_all_images() {
    let values = "global: {imageRegistry: mirror.example}\nimage: {registry: docker.io, repository: acme/app, tag: 1.0}\n";
    assert_eq!(
        images(&facts(&[("values.yaml", values)])),
        ["mirror.example/acme/app:1.0"]
    );
}

#[test]
fn what_needs_rendering_is_unknown_and_what_does_not_is_read() {
    let deployment = "kind: Deployment\nspec: {containers: [{image: '{{ .Values.image.repository }}'}]}\n";
    let plain = "# none\n---\nkind: Pod\nspec:\n  containers:\n  - name: a\n    image: acme/plain:1\n---\nkind: Service\n";
    let crd = "kind: CustomResourceDefinition\nspec: {properties: {image: {type: string}}}\n";
    let facts = facts(&[
        ("templates/deployment.yaml", deployment),
        (
            "templates/service.yaml",
            "kind: Service\nname: {{ .Release.Name }}\n",
        ),
        ("templates/plain.yml", plain),
        ("templates/NOTES.txt", "image: acme/notes:1\n"),
        ("crds/crd.yaml", crd),
        (
            "values.yaml",
            "image: '{{ .Values.other }}'\nbroken: {image: 'no image'}\n",
        ),
    ]);
    assert_eq!(images(&facts), ["docker.io/acme/plain:1"]);
    assert_eq!(facts.images[0].place, "0.spec.containers[0].image");
    assert_eq!(
        unknown(&facts),
        [
            ("templates/deployment.yaml", "it needs rendering"),
            ("values.yaml", "broken.image names no image that can be pulled"),
            ("values.yaml", "image needs rendering"),
        ]
    );
}

#[test]
fn what_a_chart_declares_counts() {
    let metadata = format!(
        "{CHART}annotations:\n  artifacthub.io/images: |\n    - name: a\n      image: acme/a:1\n    - image: quay.io/b/b:2\n"
    );
    let facts = facts_with(&metadata, &[]).unwrap();
    assert_eq!(images(&facts), ["docker.io/acme/a:1", "quay.io/b/b:2"]);
    let wrong = format!("{CHART}annotations:\n  artifacthub.io/images: '{{'\n");
    let facts = facts_with(&wrong, &[]).unwrap();
    assert_eq!(
        unknown(&facts),
        [("Chart.yaml", "annotations.artifacthub.io/images cannot be read")]
    );
}

#[test]
fn charts_within_the_chart_count_with_their_own_version() {
    let facts = facts(&[
        (
            "charts/db/Chart.yaml",
            "name: db\nversion: 9.0.0\nappVersion: 16.1\n",
        ),
        ("charts/db/values.yaml", "image: {repository: acme/db}\n"),
        ("charts/other.tgz", "packed"),
        ("charts/db/charts/deep/templates/pod.yaml", "image: acme/deep:1\n"),
    ]);
    assert_eq!(
        images(&facts),
        ["docker.io/acme/db:16.1", "docker.io/acme/deep:1"]
    );
    assert_eq!(facts.unknown[0].path, "charts/other.tgz");
    let without = facts_with(
        "name: app\nversion: 1.0.0\n",
        &[("values.yaml", "image: {repository: acme/app}\n")],
    );
    let without = without.unwrap();
    assert_eq!(
        unknown(&without),
        [("values.yaml", "image has no tag, and the chart no appVersion")]
    );
}

#[test]
fn what_is_no_chart_has_no_facts() {
    assert_eq!(facts_with("- no\n- map\n", &[]), None);
    let mut chart = Chart::default();
    for path in ["a/Chart.yaml", "b/Chart.yaml"] {
        assert!(chart.wants(path, 10));
        chart.take(path, Some(CHART.as_bytes()));
    }
    assert_eq!(chart.finish(), None, "two");
    let mut image = Chart::default();
    assert!(!image.wants("usr/share/doc/values.yaml", 10));
    assert!(!image.wants("Chart.yaml", 10));
    assert!(image.wants("etc/values.yaml", 10));
    image.take("etc/values.yaml", Some(b"image: acme/app:1\n"));
    assert_eq!(image.finish(), None);
}

#[test]
fn a_chart_that_costs_too_much_is_read_in_part() {
    let mut chart = Chart::default();
    chart.take("app/Chart.yaml", Some(CHART.as_bytes()));
    assert!(!chart.wants("app/values.yaml", FILE_BYTES + 1));
    let file = vec![b'#'; usize::try_from(FILE_BYTES).unwrap()];
    for number in 0..17 {
        let path = format!("app/templates/{number:02}.yaml");
        assert!(chart.wants(&path, FILE_BYTES));
        chart.take(&path, Some(&file));
    }
    let found = chart.finish().unwrap();
    let whys: Vec<&str> = found.unknown.iter().map(|unknown| unknown.why.as_str()).collect();
    assert!(
        whys.iter().any(|why| why.contains("chart.file_bytes")),
        "{whys:?}"
    );
    assert!(whys.iter().any(|why| why.contains("chart.bytes")), "{whys:?}");

    let many: Vec<String> = (0..IMAGES + 5)
        .map(|number| format!("k{number}: {{image: 'a/b:{number}'}}\n"))
        .collect();
    let found = facts(&[("values.yaml", &many.concat())]);
    assert_eq!((found.images.len(), found.more_images), (IMAGES, 5));
    let many: Vec<String> = (0..UNKNOWN + 5)
        .map(|number| format!("k{number}: {{image: '{{{{ {number} }}}}'}}\n"))
        .collect();
    let found = facts(&[("values.yaml", &many.concat())]);
    assert_eq!((found.unknown.len(), found.more_unknown), (UNKNOWN, 5));

    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (one, other) in ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h"])
    {
        let line = format!("{other}: &{other} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n");
        bomb.push_str(&line);
    }
    let found = facts(&[("values.yaml", &bomb)]);
    assert_eq!(unknown(&found), [("values.yaml", "it cannot be read")]);
    let long = format!("image: 'acme/{}:1'\n", "a".repeat(TEXT_BYTES));
    assert_eq!(images(&facts(&[("values.yaml", &long)])), Vec::<&str>::new());
}

proptest::proptest! {
    /// Rubbish, and words of values and templates in any order.
    #[test]
    fn whatever_a_chart_holds_its_facts_are_bounded(
        metadata in "(apiVersion: v2\nname: app\nversion: 1.2.3\n)?[a-z:{}&*!|>'\" \\-\\[\\]\n]{0,80}",
        words in proptest::collection::vec(
            "image: |registry: |repository: |tag: |digest: |name: |- |  |\n|\\{\\{ .x \\}\\}|\\{|\\}|\\[|\\]|&a |\\*a|<<: |a/b:1|@sha256:[0-9a-f]{0,8}|\\PC{0,6}|\u{0}",
            0..60,
        ),
    ) {
        let text = words.concat();
        let files = [("values.yaml", text.as_str()), ("templates/a.yaml", text.as_str())];
        if let Some(facts) = facts_with(&metadata, &files) {
            assert!(facts.images.len() <= IMAGES && facts.unknown.len() <= UNKNOWN);
            for image in &facts.images {
                assert!(image.reference.len() <= TEXT_BYTES);
                let normal = reference::normal(&image.reference);
                assert_eq!(normal.as_deref(), Some(image.reference.as_str()), "read twice it is the same");
            }
        }
    }
}
