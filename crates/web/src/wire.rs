//! What travels, for clients: the command line reads and writes these types.

pub use crate::advisories::{
    AdvisoryStatus, BegunImport, EndOfImport, ImportDocument, ImportDocuments, ImportEntry, ImportResult,
    NewImport,
};
pub use crate::affected::{
    AffectedBy, AffectedCounts, AffectedCoverage, AffectedFinding, AffectedImage, AffectedOwner,
    AffectedPackage, AffectedPlace, AffectedReport, AffectedSource,
};
pub use crate::applications::{ApplicationEntry, NewApplication, SavedEntry, SetApplication};
pub use crate::apply::ApplyOutcome;
pub use crate::backup::BackupRequest;
pub use crate::bases::{BaseEntry, SetBase, ShownBase};
pub use crate::bundles::{BegunBundle, EndOfBundle, NewBundle};
pub use crate::catalog::{AllowedCatalog, CatalogStatus, ImportedCatalog, NewCatalog, PushedCatalogStatus};
pub use crate::charts::{ChartImageEntry, ChartPlaceEntry, ChartReport, ChartState, ChartUnknownEntry};
pub use crate::decisions::{DecisionEntry, ImageDecision};
pub use crate::deliveries::{DeliveryEntry, Retried, RetryRequest, ShownDelivery};
pub use crate::events::EventEntry;
pub use crate::feeds::{
    BundleOrigin, CarriedSource, SourceOutcome, SourceState, SourceStatus, SyncLine, SyncProgress,
    SyncReport, SyncRequest,
};
pub use crate::fsck::{CheckLine, CheckProgress, CheckReport, CheckRequest, DamageEntry};
pub use crate::gc::{CollectionReport, CollectionRequest, CollectionStatus, KeptBlobs};
pub use crate::grants::GrantEntry;
pub use crate::held::{ApprovedChange, HeldCauseEntry, HeldEntry, HeldImageEntry, HeldReport};
pub use crate::in_use::{InUseEntry, NewInUseEntry, SetInUse};
pub use crate::incidents::{
    IncidentDeadlines, IncidentEntry, IncidentLine, IncidentNote, IncidentPart, IncidentRelief,
    IncidentReport, IncidentVulnerability, NewIncident, NewRelief, NewVulnerabilities, ReliefEnd,
};
pub use crate::lineage::{FindingsByOrigin, ImageLineage, LineageEntry};
pub use crate::maintenance::{DatabaseAway, MaintenanceEntry, MaintenanceRequest, MaintenanceStatus};
pub use crate::manifests::ManifestEntry;
pub use crate::maturity::{
    ActionEntry, AppTargets, AppliedModel, AttestationEntry, CampaignEntry, ChangeEntry, Confirmation,
    CriterionEntry, GroupEntry, HeatMap, InboxReport, KpiReport, ModelDocument, ModelOutcome, NewAttestation,
    NewBaseline, NewCampaign, NewModel, NewRole, PushedEvidence, Renewal, Revocation, RoleEntry,
    ShownBaseline, ShownModel, ShownScorecard,
};
pub use crate::moment::Moment;
pub use crate::page::{Page, PageQuery};
pub use crate::policies::{PolicyEntry, PolicyText, SetPolicy};
pub use crate::previews::{PreviewCount, PreviewEntry, PreviewReport};
pub use crate::principals::{PrincipalChange, PrincipalEntry, SecretEntry};
pub use crate::problem::Problem;
pub use crate::pulls::PullLine;
pub use crate::rebases::items::{
    PatchKeyEntry, RebaseItemEntry, RebaseReport, RebaseSwitch, ReportedRelease,
};
pub use crate::rebases::{
    FindingEntry, FindingsChange, ImagePlan, NewRebase, ObstacleEntry, PlanEntry, RebaseEntry, ReleaseEntry,
};
pub use crate::reports::{
    ReportEntry, UnpushedArtifact, UnpushedBlob, UnpushedImage, UnpushedSbom, UnpushedSignatures,
};
pub use crate::repositories::{EffectiveRule, RepositoryEntry, TagEntry};
pub use crate::road::adoption::{AdoptionEntry, AdoptionReport, OwnerAdoption};
pub use crate::road::work::{WorkEntry, WorkReport};
pub use crate::road::{BasePromises, ChangedRoad, NewRoad, ShownEntry, ShownRoad};
pub use crate::robots::{NewRobot, NewSecret, ShownSecret};
pub use crate::rules::{RuleEntry, SetRule};
pub use crate::sessions::{IssuedSession, NewSession, OwnPassword, Whoami};
pub use crate::signers::{SetSigner, SignerEntry};
pub use crate::sinks::{NewSink, SetSink, ShownSink, SinkEntry, SinkTest};
pub use crate::system::{Counters, SystemStatus};
pub use crate::traffic::{
    MeasureEntry, MeasureKind, MeasureReport, NewMeasure, TrafficLine, TrafficReport, TrafficUse,
};
pub use crate::upstreams::testing::{NewUpstreamTest, UpstreamTest, UpstreamTestStep};
pub use crate::upstreams::{NewPrefetch, PrefetchEntry, PrefetchState, UpstreamEntry, UpstreamReport};
pub use crate::users::{NewPassword, NewUser};
pub use crate::waivers::{NewWaiver, WaiverEntry, WaiverImage};
