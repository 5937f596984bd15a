#!/bin/sh
# Evidence from Argo CD: which applications an agent deploys from version control. Run it once an hour where kubectl reads
# applications.argoproj.io.
#
# An Argo CD application names its application in the annotation roadbed.dev/application (shop/checkout); several may name the same, one
# for each environment, and then all of them have to be managed.
#
# ROADBED_URL, ROADBED_USER and ROADBED_PASSWORD of a robot that may push to the repositories of these applications.
set -eu
facts=$(mktemp)
trap 'rm -f "$facts"' EXIT
kubectl get applications.argoproj.io --all-namespaces -o json |
    jq -f "$(dirname "$0")/evidence-argo-cd.jq" > "$facts"
if jq -e '.evidence | length > 0' "$facts" > /dev/null; then
    roadbed evidence push "$facts"
fi
