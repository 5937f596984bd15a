#!/usr/bin/env bash
# Puts cosign into target/cosign/bin, for the tests that sign with it: the pinned version, through the Go module proxy. What is
# there already is kept.
#
# Where it cannot be fetched or built, this says why in one line and ends with 75 (EX_TEMPFAIL); the tests then say that
# they were skipped, which CI does not pass.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MODULE="github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3"
readonly NOT_RUN=75
readonly BUILD_SECONDS=1200

cache="$PWD/target/cosign"
mkdir -p "$cache"
# A program of another version must not be taken for this one.
if [[ -x "$cache/bin/cosign" && "$(cat "$cache/bin/module" 2>/dev/null)" == "$MODULE" ]]; then
    exit 0
fi
not_built() {
    echo "cosign is not there: $1"
    exit "$NOT_RUN"
}
command -v go >/dev/null || not_built "there is no go on this machine"
rm -rf "$cache/bin"
for attempt in 1 2 3; do
    GOBIN="$cache/bin" timeout "$BUILD_SECONDS" go install "$MODULE" >"$cache/build.log" 2>&1 && break
    ((attempt < 3)) || not_built "go install failed: $(tail -c 600 "$cache/build.log" | tr -s '[:space:]' ' ')"
    sleep 5
done
echo "$MODULE" >"$cache/bin/module"
