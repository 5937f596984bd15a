#!/bin/sh
# Evidence from Prometheus: which applications are really watched. Run it once a day.
#
# An alert rule names its application in the label roadbed_app (shop/checkout). It counts when Prometheus evaluated it without an
# error within the last hour; an application whose rules all fail is told as one that is not watched.
#
# PROMETHEUS_URL; ROADBED_URL, ROADBED_USER and ROADBED_PASSWORD of a robot that may push to the repositories of these applications.
set -eu
facts=$(mktemp)
trap 'rm -f "$facts"' EXIT
curl --fail-with-body -sS "$PROMETHEUS_URL/api/v1/rules?type=alert" |
    jq -f "$(dirname "$0")/evidence-prometheus.jq" > "$facts"
# Where no rule names an application there is nothing to tell.
if jq -e '.evidence | length > 0' "$facts" > /dev/null; then
    roadbed evidence push "$facts"
fi
