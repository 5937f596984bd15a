# From a list of applications.argoproj.io to pushed evidence. Managed is what is synced by itself and undoes what differs, everywhere.
(now | todate) as $now
| [.items[] | select(.metadata.annotations["roadbed.dev/application"] != null)]
| group_by(.metadata.annotations["roadbed.dev/application"])
| { evidence: map(
    .[0].metadata.annotations["roadbed.dev/application"] as $app
    | { subject: "app:\($app)", observed_at: $now } as $of
    | ($of + { fact: "manifests-in-git", value: all(.[]; .status.sync.revision != null), id: "argo-cd/\($app)/git/\($now)" }),
      ($of + { fact: "gitops-managed", value: all(.[]; .spec.syncPolicy.automated.selfHeal == true), id: "argo-cd/\($app)/managed/\($now)" })
  ) }
