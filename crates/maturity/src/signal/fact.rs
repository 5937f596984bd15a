//! The closed vocabulary of what can be known, each with its form and with who can know it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::words::{Slug, SubjectKind, did_you_mean, one_line};

/// In front of the name of a fact that a model declares itself.
pub const OWN_PREFIX: &str = "evidence:";

/// How a fact comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nature {
    /// It holds from one observation to the next.
    State,
    /// It is about one image. The newest image counts however long ago it came: being quiet is no fault.
    Image,
    /// It happened once. Outside its window it counts no longer.
    Happening,
}

/// What its value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// True or false.
    Flag,
    /// How many.
    Count,
    /// Of a hundred.
    Percent,
    /// A time, in minutes.
    Minutes,
    /// A time, in days.
    Days,
}

/// Who can know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The registry itself; nobody else may tell it.
    Registry,
    /// A connected cluster; without one it is unknown.
    Cluster,
    /// Whoever builds, tests, deploys or watches: it is pushed.
    Elsewhere,
}

macro_rules! facts {
    ($($variant:ident $nature:ident $unit:ident $scope:ident $origin:ident $name:literal, $about:literal;)*) => {
        /// Something that can be known of a subject.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Fact {
            $(#[doc = $about] $variant,)*
            /// A fact that a model declares, by its name behind [`OWN_PREFIX`].
            Own(Slug),
        }

        impl Fact {
            /// The vocabulary: all facts but the own ones of models.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn info(&self) -> Option<(&'static str, FactInfo)> {
                match self {
                    $(Self::$variant => Some(($name, FactInfo {
                        nature: Nature::$nature,
                        unit: Unit::$unit,
                        scope: SubjectKind::$scope,
                        origin: Origin::$origin,
                    })),)*
                    Self::Own(_) => None,
                }
            }

            /// What it says, in one sentence.
            pub fn about(&self) -> &'static str {
                match self {
                    $(Self::$variant => $about,)*
                    Self::Own(_) => "A fact of this model.",
                }
            }

            fn known(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

facts! {
    // What the registry knows of images.
    ImageSigned Image Flag App Registry "image-signed", "The image has a signature that the registry has verified.";
    ImageScanned Image Flag App Registry "image-scanned", "The registry has looked into the image.";
    ImageDecided Image Flag App Registry "image-decided", "Policy has decided on the image.";
    DecidedBeforeUse Image Flag App Registry "decided-before-use", "Policy had decided on the image before it was first pulled.";
    ImageSecretFree Image Flag App Registry "image-secret-free", "No secret was found in any layer of the image.";
    BaseKnown Image Flag App Registry "base-known", "It is known on which base the image stands.";
    BaseApproved Image Flag App Registry "base-approved", "The image stands on an approved and supported base.";
    SbomPresent Image Flag App Registry "sbom-present", "The image has a list of its parts, pushed with it or made by the registry.";
    SbomVerified Image Flag App Registry "sbom-verified", "The list of parts pushed with the image is signed by a trusted signer and agrees with what was found.";
    ForeignSbom Image Flag App Registry "foreign-sbom", "The image of a third party has a list of its parts.";
    ProvenancePresent Image Flag App Registry "provenance-present", "The image has a statement of how it was built (SLSA Build L1).";
    ProvenanceHosted Image Flag App Registry "provenance-hosted", "The statement is signed by the identity of a hosted builder (SLSA Build L2).";
    ProvenanceIsolated Image Flag App Registry "provenance-isolated", "The builder is on the list of those that isolate builds (SLSA Build L3).";
    TestAttested Image Flag App Registry "test-attested", "A verified statement says that the tests passed.";
    RevisionLabelled Image Flag App Registry "revision-labelled", "The image names its source and its revision.";
    PushedByRobot Image Flag App Registry "pushed-by-robot", "The image was pushed by a robot, not by a person.";
    TagByRule Image Flag App Registry "tag-by-rule", "The tag of the image follows the rule of its repository.";
    ToolchainApproved Image Flag App Registry "toolchain-approved", "The image was built by an approved toolchain.";
    ModelVersioned Image Flag App Registry "model-versioned", "The artifact of a trained model has a version.";
    ModelSigned Image Flag App Registry "model-signed", "The artifact of a trained model has a verified signature.";
    ModelProvenance Image Flag App Registry "model-provenance", "The artifact of a trained model says from which data it was made.";
    // What happens.
    RebaseAccepted Happening Flag App Registry "rebase-accepted", "A rebase was offered; true where it was taken within the time of its ring.";
    FixAutomated Happening Flag App Registry "fix-automated", "A critical finding was fixed; true where by a rebase or a robot.";
    FixProposed Happening Flag App Registry "fix-proposed", "A fixable serious finding; true where the registry proposed the fix.";
    FixWithinDeadline Happening Flag App Registry "fix-within-deadline", "A fix was due; true where it came in time.";
    FixWithinRing Happening Flag App Registry "fix-within-ring", "A critical fix of the base; true where the patched image was there within the time of its ring.";
    IncidentClosed Happening Minutes App Registry "incident-closed", "An incident was closed for the application, after so many minutes.";
    PromotedUnchanged Happening Flag App Registry "promoted-unchanged", "An image was promoted; true where its digest stayed the same.";
    NewAppOnPath Happening Flag Org Registry "new-app-on-path", "An application appeared; true where it follows a golden path or is exempt.";
    SharedBaseDecided Happening Flag Org Registry "shared-base-decided", "Several teams share a base that nobody approved; true where that was decided within 90 days.";
    MassUpdate Happening Count Org Registry "mass-update", "One action updated so many applications.";
    SelfServiceAction Happening Flag Org Registry "self-service-action", "Something was asked of the platform; true where no operator had to act.";
    CatalogueChanged Happening Flag Org Registry "catalogue-changed", "The catalogue of the road was changed.";
    CatalogueRetired Happening Flag Org Registry "catalogue-retired", "An entry of the catalogue was retired.";
    OutsideContribution Happening Flag Org Registry "outside-contribution", "A team other than the platform's changed the catalogue.";
    ReportMade Happening Flag Org Registry "report-made", "A report was made by schedule.";
    RetentionRun Happening Flag Org Registry "retention-run", "The rule of retention was carried out.";
    DeadlineTracked Happening Flag Org Registry "deadline-tracked", "A deadline for a fix ended; true where it is known how.";
    IncidentDrill Happening Flag Org Registry "incident-drill", "A drill of an incident; true where it was closed for every cohort.";
    HandsFreeFix Happening Flag Platform Registry "hands-free-fix", "An advisory came; true where the fix went from proposal to rollout without a person.";
    QuerySelfTest Happening Flag Platform Registry "query-self-test", "The registry asked itself about a seeded component; true where the answer was complete.";
    // What holds now.
    OwnerKnown State Flag App Registry "owner-known", "The application has one owner.";
    ContactKnown State Flag App Registry "contact-known", "The owner can be reached.";
    TierDeclared State Flag App Registry "tier-declared", "The application says how important it is.";
    GoldenPathNamed State Flag App Registry "golden-path-named", "The application names a golden path that exists.";
    GoldenPathDrift State Count App Registry "golden-path-drift", "Major versions that the application is behind its golden path.";
    RebaseRingSet State Flag App Registry "rebase-ring-set", "The application says in which ring it takes rebases.";
    BaseExempt State Flag App Registry "base-exempt", "A live exemption lets the application stand on its own base.";
    ImageStaleness State Days App Registry "image-staleness", "For how long a newer image of the base's line has been there.";
    TagsImmutable State Flag App Registry "tags-immutable", "Tags of releases cannot be moved.";
    AdvisoryAge State Minutes App Registry "advisory-age", "How long ago the application's images were last matched with advisories.";
    FindingsToldToOwner State Flag App Registry "findings-told-to-owner", "Findings go to the owner of the application.";
    DecisionsKept State Days App Registry "decisions-kept", "For how long decisions on its images are kept.";
    PolicyByTier State Flag App Registry "policy-by-tier", "A rule in force selects on the application's tier.";
    ExemptionsLive State Count App Registry "exemptions-live", "Exemptions that the application has now.";
    ExemptionsComplete State Percent App Registry "exemptions-complete", "Exemptions of the application that have owner, reason and end; 100 without any.";
    ExemptionsExpired State Count App Registry "exemptions-expired", "Exemptions that ended while what they excuse went on.";
    KpiBaseline State Flag App Registry "kpi-baseline", "A baseline of the application's figures is frozen.";
    KpiWeeks State Count App Registry "kpi-weeks", "Weeks for which velocity and failures are known.";
    VelocityFold State Percent App Registry "velocity-fold", "Versions shipped now against the baseline; 100 is as many.";
    PushToUse State Minutes App Registry "push-to-use", "Median time from push to first pull by a node (stands in for production).";
    ShipsModel State Flag App Registry "ships-model", "A repository of the application holds a trained model.";
    OwnerIsGroup State Flag Team Registry "owner-is-group", "The owner is a group, not a person.";
    ExemptionsChange State Count Team Registry "exemptions-change", "Live exemptions now, less those of 90 days ago.";
    RematchAge State Minutes Platform Registry "rematch-age", "How long ago stored images were last matched with changed advisories.";
    PolicyInForce State Flag Platform Registry "policy-in-force", "A policy of the organisation decides.";
    DecisionsEnforced State Percent Platform Registry "decisions-enforced", "Repositories in which policy refuses and does not only warn.";
    PolicyVersioned State Flag Platform Registry "policy-versioned", "The policy in force came from a versioned artifact.";
    RefusalsReasoned State Percent Platform Registry "refusals-reasoned", "Rules that refuse and say why.";
    CatalogueDated State Percent Platform Registry "catalogue-dated", "Entries of the catalogue with a life cycle and an end.";
    SharedAccounts State Count Platform Registry "shared-accounts", "Accounts of the registry that several people use.";
    NoAnonymous State Flag Org Registry "no-anonymous", "Nothing can be reached without a name.";
    SingleSignOn State Flag Org Registry "single-sign-on", "People sign in through the identity provider only.";
    GoldenPathTeams State Count Org Registry "golden-path-teams", "Teams that share the golden path with the most teams.";
    OrgVelocityFold State Percent Org Registry "org-velocity-fold", "Versions shipped now against the baseline, of applications alive in both.";
    BaseLinesChange State Count Org Registry "base-lines-change", "Lines of bases in use now, less those of 90 days ago.";
    ToolchainsChange State Count Org Registry "toolchains-change", "Toolchains in use now, less those of 90 days ago.";
    OffRoadExempt State Percent Org Registry "off-road-exempt", "Applications off the road that have a live exemption; 100 without any.";
    RetiredInUse State Count Org Registry "retired-in-use", "Applications on retired entries without an exemption.";
    RefusalCauses State Percent Org Registry "refusal-causes", "Refused pushes for which the cause is recorded.";
    PolicyDeadlines State Flag Org Registry "policy-deadlines", "The policy states by when each severity is to be fixed.";
    IncidentRecurrence State Percent Org Registry "incident-recurrence", "Closed exposures that came back within 180 days.";
    RoadAdoption State Percent Org Registry "road-adoption", "Applications on the road.";
    // What others tell.
    GoalsDeclared State Flag App Elsewhere "goals-declared", "The catalogue names the goals that the application serves.";
    NeedsDocumented State Flag App Elsewhere "needs-documented", "Needs such as load and availability are in a file.";
    DocsChanged Happening Flag App Elsewhere "docs-changed", "Documents beside the code were changed.";
    PipelineDefined State Flag App Elsewhere "pipeline-defined", "The build is defined by a file in version control.";
    TestsRequired State Flag App Elsewhere "tests-required", "A change cannot be merged without passing tests.";
    AcceptanceTested Happening Flag App Elsewhere "acceptance-tested", "The acceptance test of a release ran; true where it passed.";
    ManifestsInGit State Flag App Elsewhere "manifests-in-git", "The manifests of the application are in version control.";
    GitopsManaged State Flag App Elsewhere "gitops-managed", "An agent deploys what is in version control, in every environment.";
    GitopsOutOfSync State Percent Platform Elsewhere "gitops-out-of-sync", "Share of time in which the running state differed from version control.";
    ManualApprovals State Count App Elsewhere "manual-approvals", "Releases that waited for a person's approval.";
    LeadTime State Minutes App Elsewhere "lead-time", "Median time from commit to production.";
    ChangeFailure State Percent App Elsewhere "change-failure", "Versions shipped that failed.";
    ChangeFailureChange State Percent App Elsewhere "change-failure-change", "Share of failed versions now, less that of the baseline.";
    RebuildIdentical Happening Flag App Elsewhere "rebuild-identical", "An image was built again; true where the digest was the same.";
    DesignReviewed State Flag App Elsewhere "design-reviewed", "Designs are reviewed as changes to version control that hold the whole stack.";
    MetricsShown State Flag App Elsewhere "metrics-shown", "Metrics of the application are collected and shown.";
    ChaosRun Happening Flag App Elsewhere "chaos-run", "Faults were injected on purpose; true where the application stood it.";
    RestoreDrill Happening Flag App Elsewhere "restore-drill", "A restore was tried; true where it met its target.";
    RollbackDrill Happening Minutes App Elsewhere "rollback-drill", "A release was undone, within so many minutes.";
    PolicyFromGit State Flag Platform Elsewhere "policy-from-git", "The policy is in version control.";
    PolicyTested Happening Flag Platform Elsewhere "policy-tested", "A version of the policy was released; true where its tests passed.";
    InfrastructureInGit State Flag Platform Elsewhere "infrastructure-in-git", "The infrastructure is in version control.";
    ServicesOwned State Percent Org Elsewhere "services-owned", "Central services that have an owner.";
    EvidenceDrill Happening Minutes Org Elsewhere "evidence-drill", "The evidence for an audit was put together, within so many minutes.";
    AnomalyDetection State Flag Org Elsewhere "anomaly-detection", "Unusual events are found from baselines.";
    // What clusters tell.
    ClusterReplicasSpread State Flag App Cluster "cluster-replicas-spread", "Two or more replicas are ready on two or more nodes.";
    ClusterUsageMeasured State Percent App Cluster "cluster-usage-measured", "Containers whose use of processor and memory is measured.";
    ClusterAutoscaled State Flag App Cluster "cluster-autoscaled", "The application is scaled by rule where its class asks for it.";
    ClusterSelfHealed Happening Flag App Cluster "cluster-self-healed", "An instance failed; true where it was replaced without a person.";
    ClusterLogCollector State Flag App Cluster "cluster-log-collector", "A collector of logs runs beside the application.";
    ClusterHumanWrites State Count App Cluster "cluster-human-writes", "Writes of people to its production workloads in 30 days.";
    ClusterProgressive Happening Flag App Cluster "cluster-progressive", "A version was rolled out; true where step by step.";
    ClusterProbes State Flag App Cluster "cluster-probes", "Every container has probes and runs under a controller.";
    ClusterConfigOutside State Flag App Cluster "cluster-config-outside", "Configuration comes from the cluster.";
    ClusterDisruptionBudget State Flag App Cluster "cluster-disruption-budget", "Budgets for disruption and rules for spreading are set.";
    ClusterAdmissionList State Flag App Cluster "cluster-admission-list", "Only what is on the list is admitted where the application runs.";
    ClusterOwnAccount State Flag App Cluster "cluster-own-account", "The application has a service account of its own.";
    ClusterMtls State Flag App Cluster "cluster-mtls", "Its traffic is encrypted.";
    ClusterShellUnexplained State Count App Cluster "cluster-shell-unexplained", "Shells into its production pods that nobody explained, in 30 days.";
    ClusterResourcesSet State Flag App Cluster "cluster-resources-set", "Requests and limits are set on all containers.";
    ClusterRightSized State Flag App Cluster "cluster-right-sized", "Requests are within 30 % of use.";
    ClusterSelfRollouts State Percent Team Cluster "cluster-self-rollouts", "Rollouts by the team without the platform team.";
    ClusterEphemeral State Flag Team Cluster "cluster-ephemeral", "Test environments are removed by machine within a week.";
    ClusterQuota State Flag Team Cluster "cluster-quota", "Quotas are set and cost is tracked for each namespace.";
    ClusterNightlyShrink State Flag Team Cluster "cluster-nightly-shrink", "Test workloads shrink outside working hours.";
    ClusterAudit State Flag Platform Cluster "cluster-audit", "Audit events arrive and alerts have a route.";
    ClusterAdmissionPolicy State Flag Platform Cluster "cluster-admission-policy", "Admission decides by the policy in force.";
    ClusterAdmissionPresent State Flag Platform Cluster "cluster-admission-present", "Admission checks run, at least to warn.";
    ClusterAdmissionEnforced State Flag Platform Cluster "cluster-admission-enforced", "Admission refuses in production.";
    ClusterHandChanges State Count Platform Cluster "cluster-hand-changes", "Writes of people to objects of the whole cluster, in a week.";
    ClusterVersionSupported State Flag Platform Cluster "cluster-version-supported", "Every cluster runs a supported version.";
    ClusterLifecycle State Flag Platform Cluster "cluster-lifecycle", "The life cycle of clusters is automated and under policy.";
    ClusterSharedUsers State Count Platform Cluster "cluster-shared-users", "Users of clusters that several people share.";
    ClusterRotation State Flag Platform Cluster "cluster-rotation", "Certificates and secrets rotate by machine.";
    ClusterNoAdminPeople State Flag Org Cluster "cluster-no-admin-people", "No person is administrator of a cluster.";
    ClusterCostLabels State Percent Org Cluster "cluster-cost-labels", "Production workloads that say who bears their cost.";
}

/// The form of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactInfo {
    /// How it comes.
    pub nature: Nature,
    /// What its value is.
    pub unit: Unit,
    /// What it is about.
    pub scope: SubjectKind,
    /// Who can know it.
    pub origin: Origin,
}

impl Fact {
    /// The form of a fact of the vocabulary; those of a model are asked of [`Model::fact_info`](crate::model::Model::fact_info).
    pub fn built_in(&self) -> Option<FactInfo> {
        self.info().map(|(_, info)| info)
    }
}

/// A name that is no fact.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no fact `{name}`{hint}")]
pub struct UnknownFact {
    /// The name, clipped and on one line.
    pub name: String,
    /// The nearest one.
    pub hint: String,
}

impl FromStr for Fact {
    type Err = UnknownFact;

    fn from_str(name: &str) -> Result<Self, UnknownFact> {
        let own = name.strip_prefix(OWN_PREFIX).and_then(|own| own.parse().ok());
        let known = own.map(Self::Own).or_else(|| Self::known(name));
        known.ok_or_else(|| {
            let names = Self::ALL
                .iter()
                .filter_map(|fact| fact.info().map(|(name, _)| name));
            UnknownFact {
                name: one_line(name, 64),
                hint: did_you_mean(name, names),
            }
        })
    }
}

impl TryFrom<String> for Fact {
    type Error = UnknownFact;

    fn try_from(name: String) -> Result<Self, UnknownFact> {
        name.parse()
    }
}

impl From<Fact> for String {
    fn from(fact: Fact) -> Self {
        fact.to_string()
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(name) => write!(f, "{OWN_PREFIX}{name}"),
            known => f.pad(known.info().map_or("", |(name, _)| name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for fact in Fact::ALL {
            assert_eq!(fact.to_string().parse::<Fact>().unwrap(), *fact);
            assert!(fact.about().ends_with('.'));
            let is_cluster = fact.to_string().starts_with("cluster-");
            let origin = fact.built_in().unwrap().origin;
            assert_eq!(is_cluster, origin == Origin::Cluster, "{fact}");
        }
        let own: Fact = "evidence:cost-report".parse().unwrap();
        assert_eq!(own.to_string(), "evidence:cost-report");
        assert!(own.built_in().is_none());
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest_one() {
        let error = "image-signd".parse::<Fact>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no fact `image-signd`, did you mean `image-signed`?"
        );
    }
}
