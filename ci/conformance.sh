#!/usr/bin/env bash
# Runs the official OCI conformance program against the real binary, with authentication on, for the specification 1.1
# and its main branch, and checks the counts: every result there, none failed, none skipped.
#
# The program comes through the Go module proxy at a pinned commit. Where it cannot be fetched or built, this prints one
# line that starts with "NOT RUN: conformance program:" and ends with 75 (EX_TEMPFAIL): a skip, which CI does not pass.
# 0 means that both versions ran and are clean; anything else is a failure.
#
# Environment: ROADBED_BIN, a built binary (default: a debug build made here).
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MODULE="github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"
readonly NOT_RUN=75
# Results per version at that commit, from a registry that passes: how many there are depends on the answers (each way to
# push a blob is tried until one works). Other numbers mean that another program ran or that part of it did not.
readonly VERSIONS=("1.1 862" "dev 986")
readonly START_SECONDS=60
readonly FETCH_SECONDS=300

cache="$PWD/target/conformance"
mkdir -p "$cache"
scratch="$(mktemp -d)"
server=""

end_server() {
    if [[ -n "$server" ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=""
    fi
}
trap 'end_server; rm -rf "$scratch"' EXIT

not_run() {
    echo "NOT RUN: conformance program: $1"
    exit "$NOT_RUN"
}

fetch_program() {
    program="$cache/bin/conformance"
    # A program of another commit must not be taken for this one.
    if [[ -x "$program" && "$(cat "$cache/bin/module" 2>/dev/null)" == "$MODULE" ]]; then
        return
    fi
    command -v go >/dev/null || not_run "there is no go on this machine"
    rm -rf "$cache/bin"
    local attempt
    for attempt in 1 2 3; do
        GOBIN="$cache/bin" timeout "$FETCH_SECONDS" go install "$MODULE" >"$cache/fetch.log" 2>&1 && break
        ((attempt < 3)) || not_run "go install failed: $(tr -s '[:space:]' ' ' <"$cache/fetch.log" | head -c 600)"
        sleep 5
    done
    echo "$MODULE" >"$cache/bin/module"
}

find_binary() {
    if [[ -z "${ROADBED_BIN:-}" ]]; then
        cargo build --quiet --package roadbed --bin roadbed
        ROADBED_BIN="${CARGO_TARGET_DIR:-$PWD/target}/debug/roadbed"
    fi
}

# Feeds are on, but lie where nobody answers: nothing here depends on what is outside.
readonly FEEDS=(ROADBED_FEEDS__OSV=http://127.0.0.1:1/ ROADBED_FEEDS__KEV=http://127.0.0.1:1/kev
    ROADBED_FEEDS__EPSS=http://127.0.0.1:1/epss ROADBED_FEEDS__ALLOWED_PRIVATE=127.0.0.1/32)

# A fresh server on a free port; it writes its address into a file that only it knows.
start_server() {
    local home="$scratch/$1" deadline=$((SECONDS + START_SECONDS))
    mkdir -p "$home"
    password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    env -i PATH="$PATH" HOME="$home" ROADBED_ADMIN_PASSWORD="$password" ROADBED_READY_FILE="$home/ready" \
        "${FEEDS[@]}" "$ROADBED_BIN" serve --data "$home/data" --listen 127.0.0.1:0 >"$cache/server-$1.log" 2>&1 &
    server=$!
    until [[ -s "$home/ready" ]]; do
        kill -0 "$server" 2>/dev/null || { tail -n 40 "$cache/server-$1.log"; echo "the server ended before it was ready"; exit 1; }
        ((SECONDS < deadline)) || { tail -n 40 "$cache/server-$1.log"; echo "the server was not ready in $START_SECONDS s"; exit 1; }
        sleep 0.1
    done
    address="$(sed -e 's|.*://||' -e 's|[/[:space:]]*$||' "$home/ready")"
}

# One attribute of the summary in junit.xml; the program leaves out those that are 0.
count() {
    local value
    value="$(grep -o '<testsuites[^>]*>' "$1/junit.xml" | grep -o " $2=\"[0-9]*\"" | grep -o '[0-9]*' || true)"
    echo "${value:-0}"
}

run_version() {
    local version="$1" wanted="$2" results="$cache/results-$1" broken=0
    rm -rf "$results"
    start_server "$version"
    # It ends with 1 on any FAIL, but with 0 on any Skip: the counts decide.
    OCI_REGISTRY="$address" OCI_TLS=disabled OCI_REPO1=conformance/repo1 OCI_REPO2=conformance/repo2 \
        OCI_USERNAME=admin OCI_PASSWORD="$password" OCI_VERSION="$version" OCI_RESULTS_DIR="$results" \
        "$program" >"$cache/output-$version.log" 2>&1 || broken=$?
    end_server
    if [[ ! -s "$results/junit.xml" ]]; then
        tail -n 40 "$cache/output-$version.log"
        echo "conformance $version: the program ended with $broken and left no results"
        return 1
    fi
    local total failed errors skipped disabled
    total="$(count "$results" tests)" failed="$(count "$results" failures)" errors="$(count "$results" errors)"
    skipped="$(count "$results" skipped)" disabled="$(count "$results" disabled)"
    echo "conformance $version: $total results: $failed FAIL, $errors Error, $skipped Skip, $disabled Disabled"
    if [[ "$broken" != 0 || "$total" != "$wanted" || "$failed$errors$skipped" != 000 ]]; then
        grep -E ': (FAIL|Skip|Error)$| - ' "$cache/output-$version.log" | head -n 60 || true
        echo "conformance $version: wanted $wanted results, 0 FAIL, 0 Error, 0 Skip and an exit of 0, which was $broken; see $results"
        return 1
    fi
}

fetch_program
find_binary
status=0
for entry in "${VERSIONS[@]}"; do
    read -r version wanted <<<"$entry"
    run_version "$version" "$wanted" || status=1
done
exit "$status"
