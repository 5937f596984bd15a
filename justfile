# The parts of `./test`, one by one. `just --list` shows them.

set positional-arguments

# Everything that CI runs
test *arguments:
    ./test {{arguments}}

# Formats all files
fmt:
    cargo fmt --all

# Format and lints, as CI checks them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# The pages of the code, with every broken link an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# Unit, property and command line tests of every crate, and the rules of the house
unit:
    cargo test --workspace --locked --lib --bins --test api --test cli --test generated --test house_rules --test reference

# December 2021 against the real engine, with what each source said at each moment; prints each step and what is pending
replay-log4j:
    cargo test --workspace --locked --bins replay_log4j -- --nocapture
    cargo test --workspace --locked --test scan mass_day -- --nocapture

# The distribution specification, asked of the real binary
protocol:
    cargo test --workspace --locked --test protocol

# Images that mmdebstrap, pip, npm, Go, Cargo and rpm made, against what those list; packages of the registries
images:
    ci/tools.sh || true
    cargo test --workspace --locked --test registries --test real_images

# skopeo, buildah, podman, containerd, crictl, crane and Docker against the real binary
clients:
    ci/tools.sh || true
    cargo test --workspace --locked --test clients

# SIGKILL during pushes, full disks
crash:
    cargo test --workspace --locked --test crash

# Kills, locks, moves and fills at random while it is pushed and pulled, for so many seconds
chaos seconds="300":
    ROADBED_CHAOS_SECONDS={{seconds}} cargo test --workspace --locked --test crash chaos -- --nocapture

# Slow clients, caps, drain, certificates
traffic:
    cargo test --workspace --locked --test traffic

# Webhooks, chats, ticket systems and mail servers that really take what they are sent, and those that fail
telling:
    cargo test --workspace --locked --test telling

# Pulling through an upstream that fails as it is told, and through Debian's docker-registry
proxy:
    cargo test --workspace --locked --test proxy

# The OCI conformance program (needs Go and a module proxy)
conformance:
    ci/conformance.sh

# Measures against Debian's docker-registry and writes docs/benchmarks.md
bench-registry:
    cargo bench -p roadbed --bench registry -- --write

# Has a thousand images (or so many as are named) follow a base that moves; beside crane, if its program is named second
bench-road *arguments:
    cargo bench -p roadbed --bench road -- {{arguments}}

# Asks fleets of 22,000 and 100,000 images, or of so many as are named, who is affected
bench-fleet *images:
    cargo bench -p road --bench fleet -- {{images}}

# Measures how soon an organisation is judged, whole and after one event
bench-maturity:
    cargo bench -p maturity --bench organisation

# Measures re-evaluation after an import, at so many images, in a directory that has room for the store; parts: plant (first), advisory,
# whole_corpus, two_years
measure-reevaluation directory images *parts:
    for part in {{parts}}; do \
        ROADBED_MEASURE_DIR={{directory}} ROADBED_MEASURE_IMAGES={{images}} cargo test --release -p roadbed --bin roadbed \
            --features measure -- --ignored --nocapture --exact reevaluate::measure::$part; \
    done

# Asks a server with a fleet of 22,000 images, or of so many as are named, over HTTP with a password
bench-fleet-api *images:
    cargo bench -p roadbed --bench fleet -- {{images}}

# Measures pulling through, idle connections, an attack and clusters that start at once, and writes docs/benchmarks.md
bench-traffic:
    cargo bench -p roadbed --bench registry -- --write proxy-warm proxy-cold connections abuse clusters

# Measures what looks into images and writes docs/benchmarks.md; a directory of YARA rules, one of advisories
bench-scan rules advisories:
    cargo bench -p roadbed --bench registry -- --write --yara-rules {{rules}} --advisories {{advisories}} \
        scan-pass scan-decision scan-beside matching

# Measures what other scanners do too and writes docs/benchmarks.md; the binaries of Trivy and Syft
bench-peers trivy syft:
    cargo bench -p roadbed --bench registry -- --write --trivy {{trivy}} --syft {{syft}} scan-peers

# Runs one fuzz target (needs nightly and cargo-fuzz)
fuzz target seconds:
    mkdir -p fuzz/corpus/{{target}} fuzz/seeds/{{target}}
    cd fuzz && cargo +nightly fuzz run {{target}} corpus/{{target}} seeds/{{target}} -- -max_total_time={{seconds}}
