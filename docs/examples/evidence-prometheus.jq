# From the answer of /api/v1/rules?type=alert to pushed evidence: one fact per application.
def when:
  capture("^(?<local>[^.+Z]+T[0-9:]+)([.][0-9]+)?(?<zone>Z|[+-][0-9]{2}:[0-9]{2})$")
  | (.zone | if . == "Z" then 0 else (.[1:3] | tonumber) * 3600 + (.[4:6] | tonumber) * 60 end) as $offset
  | (.local + "Z" | fromdate) - (if .zone[0:1] == "-" then -$offset else $offset end);
(now | todate) as $now
| [.data.groups[].rules[] | select(.type == "alerting" and .labels.roadbed_app != null)]
| group_by(.labels.roadbed_app)
| { evidence: map({
    subject: "app:\(.[0].labels.roadbed_app)",
    fact: "metrics-shown",
    value: any(.[]; .health == "ok" and (.lastEvaluation | when) > now - 3600),
    observed_at: $now,
    id: "prometheus/\(.[0].labels.roadbed_app)/\($now[0:10])"
  }) }
