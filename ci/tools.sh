#!/usr/bin/env bash
# Puts programs that tests run beside Debian's into target/tmp/tools/bin: crane, crictl, helm and a program over apko's
# library (ci/apk) through the Go module proxy, and cargo-auditable from crates.io, each at a pinned version. What is there already is kept.
#
# One that cannot be fetched or built is said in one line; the tests that need it then say that they were skipped, which CI does
# not pass. Ends with 75 (EX_TEMPFAIL) if any is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CRANE="github.com/google/go-containerregistry/cmd/crane@v0.21.9"
readonly CRICTL="sigs.k8s.io/cri-tools/cmd/crictl@v1.34.0"
readonly HELM="helm.sh/helm/v3/cmd/helm@v3.19.0"
readonly APKO="chainguard.dev/apko@v0.30.8"
readonly AUDITABLE="0.7.7"
readonly NOT_RUN=75
readonly BUILD_SECONDS=900

tools="${CARGO_TARGET_DIR:-$PWD/target}/tmp/tools"
mkdir -p "$tools/bin"
status=0

# build NAME VERSION COMMAND…: unless that version is there already.
build() {
    local name="$1" version="$2" attempt
    shift 2
    if [[ -x "$tools/bin/$name" && "$(cat "$tools/$name.version" 2>/dev/null)" == "$version" ]]; then
        return
    fi
    if ! command -v "$1" >/dev/null; then
        echo "$name is not there: there is no $1 on this machine"
        status=$NOT_RUN
        return
    fi
    # A program of another version must not be taken for this one.
    rm -f "$tools/bin/$name" "$tools/$name.version"
    for attempt in 1 2 3; do
        if timeout "$BUILD_SECONDS" "$@" >"$tools/$name.log" 2>&1; then
            echo "$version" >"$tools/$name.version"
            return
        fi
        sleep "$attempt"
    done
    echo "$name is not there: $(tail -c 600 "$tools/$name.log" | tr -s '[:space:]' ' ')"
    status=$NOT_RUN
}

export GOBIN="$tools/bin"
build crane "$CRANE" go install "$CRANE"
build crictl "$CRICTL" go install "$CRICTL"
build helm "$HELM" go install "$HELM"
readonly APK_SOURCE="$PWD/ci/apk"
# Its go.mod is made beside it, so that the checkout holds no list of what apko needs.
# shellcheck disable=SC2016 # expanded by the inner shell
build roadbed-apk "$APKO $(cat ci/apk/*.go | sha256sum)" bash -c 'set -e; rm -rf "$1"; mkdir -p "$1"; cp "$2"/*.go "$1"; cd "$1"
    go mod init roadbed-apk; go get "$3"; go build -mod=mod -o "$GOBIN/roadbed-apk" .' bash "$tools/apk" "$APK_SOURCE" "$APKO"
rm -rf "$tools/apk"
# Built without optimisation: it copies a list of some lines.
build cargo-auditable "$AUDITABLE" cargo install cargo-auditable --version "$AUDITABLE" --locked --debug --root "$tools" \
    --target-dir "$tools/target"
rm -rf "$tools/target"
exit "$status"
