//! The stable names of causes. Clients and scripts match on them, and the command line, the events of runs and the
//! documentation use the same ones; to rename one is a breaking change.
//!
//! Invariant: a cause has a status, a title and a cure, because a row of the table below cannot be written without
//! them; and a new variant of `domain`'s faults, refusals and model errors does not compile until it has a row.
use domain::fault::{FaultKind, Limit};
use domain::model::ModelErrorKind;
use domain::run::Refusal;

/// Makes the enum and its exhaustive matches from one table.
macro_rules! codes {
    ($($variant:ident, $word:literal, $status:literal, $again:literal, $title:literal, $hint:literal;)*) => {
        /// The stable name of a cause.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The name.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// Whether the same request may succeed later without anybody changing anything.
            pub fn is_retryable(self) -> bool {
                match self { $(Code::$variant => $again,)* }
            }

            /// What is wrong, for a person.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// What to do about it, as an imperative sentence.
            pub fn hint(self) -> &'static str {
                match self { $(Code::$variant => $hint,)* }
            }
        }
    };
}

// Name, word, status, whether the same again may succeed, title, cure.
#[rustfmt::skip]
codes! {
    // The request itself.
    RequestInvalid, "request_invalid", 400, false, "The request has problems", "correct what `problems` names, then send the request again";
    JsonMalformed, "json_malformed", 400, false, "The body is not JSON", "correct the JSON at the line and column named";
    IdInvalid, "id_invalid", 400, false, "A name in the path cannot be one", "copy the name from a list; identifiers start with `run_`, `appr_` or `call_`";
    CursorInvalid, "cursor_invalid", 400, false, "The cursor is not one of this list", "take `next_cursor` of the page before, with the same filters, or start without a cursor";
    MediaTypeUnsupported, "media_type_unsupported", 415, false, "The body's content type is not what the route takes", "send `Content-Type: application/json`";
    BodyTooLarge, "body_too_large", 413, false, "The body is too large", "send less; long material belongs into several runs";
    RequestTimeout, "request_timeout", 408, true, "The body did not arrive in time", "send the whole body at once, over a connection that is fast enough";
    RouteUnknown, "route_unknown", 404, false, "No such route", "look the routes up at `/api/openapi.json`";
    MethodNotAllowed, "method_not_allowed", 405, false, "The route has no such method", "use a method of the `Allow` header";
    // Who may call.
    HostNotAllowed, "host_not_allowed", 421, false, "The server does not go by this name", "call it by a loopback name such as `127.0.0.1`, or add the name to the hosts that the server accepts";
    OriginNotAllowed, "origin_not_allowed", 403, false, "Another site's page may not call this server", "open the server's own pages, or add the origin to those that the server accepts";
    Unauthorized, "unauthorized", 401, false, "The server asks for its token", "send `Authorization: Bearer` with the token that the server was started with";
    ActorUnproven, "actor_unproven", 403, false, "The request does not come with a proven name", "call through the proxy that says who you are in the header that the server asks for";
    // What is named and not there.
    RunUnknown, "run_unknown", 404, false, "No such run", "list the runs at `/api/v2/workflow-runs`";
    StageUnknown, "stage_unknown", 404, false, "The run has no such stage", "name one of the run's stages";
    AttemptUnknown, "attempt_unknown", 404, false, "No such attempt has ended", "wait until the stage's attempt has ended, or name one that has";
    ArtifactUnknown, "artifact_unknown", 404, false, "No such artifact", "list the run's artifacts and their versions at `.../artifacts`";
    ApprovalUnknown, "approval_unknown", 404, false, "No such approval", "list what waits at `/api/v2/approvals?status=pending`";
    CallUnknown, "call_unknown", 404, false, "No such model call", "list the calls at `/api/v2/llm-calls`";
    ProfileUnknown, "profile_unknown", 404, false, "No such profile", "list the profiles at `/api/v2/workflow-profiles`";
    PluginUnknown, "plugin_unknown", 404, false, "No such plugin", "list the plugins at `/api/v2/plugins`";
    ProviderUnknown, "provider_unknown", 404, false, "No such provider", "list the providers at `/api/v2/providers`";
    // What is not possible now.
    IdempotencyConflict, "idempotency_conflict", 409, false, "The idempotency key was used with another request", "use a new key for a new request";
    ApprovalDecided, "approval_decided", 409, false, "Somebody decided otherwise before", "reload the approval: the first decision holds";
    ApprovalClosed, "approval_closed", 409, false, "The approval is no longer open", "look at the run's state";
    ReviewerNotAllowed, "reviewer_not_allowed", 403, false, "The gate's policy does not allow this actor to decide", "ask one of the reviewers that the approval names";
    SelfApproval, "self_approval", 403, false, "Whoever started the run may not grant its gates", "ask somebody else to grant";
    GateWithoutContent, "gate_without_content", 409, false, "The gate has nothing to revise or edit", "grant or reject: the question is about a budget";
    RunExists, "run_exists", 409, false, "The run is here already", "use the run that is here, or prune it first";
    RunActive, "run_active", 409, false, "The run goes on by itself", "pause the run first, then export it";
    ArchiveInvalid, "archive_invalid", 422, false, "The archive cannot be used", "export the run again; the message names the entry at fault";
    ContentChanged, "content_changed", 412, false, "The content has changed since it was looked at", "look at the artifacts again, then decide with their content hash";
    RunEnded, "run_ended", 409, false, "The run has ended", "use `retry` to start again from one of its stages";
    RunNotEnded, "run_not_ended", 409, false, "The run has not ended", "wait for its end, or cancel it first";
    StageNotNamed, "stage_not_named", 409, false, "The run is completed", "name the stage to start again from";
    EarlierStageMissing, "earlier_stage_missing", 409, false, "A stage before the one named has no result", "start again from an earlier stage";
    EarlierGateNotPassed, "earlier_gate_not_passed", 409, false, "A gate before the stage named has not been passed", "start again from the stage of that gate";
    AttemptStale, "attempt_stale", 409, true, "The attempt is not running any more", "reload the run, then try again";
    TextsNotKept, "texts_not_kept", 409, false, "The records do not have the texts", "set `records.texts: whole`, then run the stage again: what was removed does not come back";
    ArtifactsMissing, "artifacts_missing", 409, false, "The stage needs artifacts that are not made yet", "wait until the earlier stages are done";
    PluginUnusable, "plugin_unusable", 409, false, "A plugin cannot be used", "do what the findings say, or put back the plugin's file";
    PluginUnfit, "plugin_unfit", 422, false, "The component cannot be a plugin", "do what the findings say, then send it again";
    PluginVersionTaken, "plugin_version_taken", 409, false, "Another plugin has this name and version", "raise the version and build it again; or send it with `replace=true`, and name and version mean this one";
    PluginInUse, "plugin_in_use", 409, false, "Somebody needs the plugin", "change the profiles and wait for the runs; or send `force=true`: runs that are bound to it have a copy and go on";
    PluginNotUploaded, "plugin_not_uploaded", 409, false, "The plugin was not uploaded", "only what was uploaded is removed; what is part of the program stays";
    PluginAmbiguous, "plugin_ambiguous", 409, false, "Several uploads go by this name", "name the version, or the digest";
    TooManyUploads, "too_many_uploads", 503, true, "Too many uploads are being checked", "try again in a minute";
    // What a plugin did wrong while its prompt was built.
    PluginTrapped, "plugin_trapped", 502, false, "The plugin trapped", "report the message to the plugin's author";
    LimitMemory, "limit_memory", 502, false, "The plugin used too much memory", "raise `limits.memory_mib` in the profile, or give the stage less";
    LimitCpuTime, "limit_cpu_time", 502, false, "The plugin computed for too long", "raise `limits.cpu_ms` in the profile, or give the stage less";
    LimitWallTime, "limit_wall_time", 502, true, "The attempt took too long", "try again, or raise `limits.wall_s` in the profile";
    LimitCallBytes, "limit_call_bytes", 502, false, "One call between plugin and host carried too much", "raise `limits.call_kib` in the profile, or give the stage less";
    LimitArtifactCount, "limit_artifact_count", 502, false, "The plugin made too many artifacts", "raise `limits.artifacts` in the profile";
    LimitArtifactBytes, "limit_artifact_bytes", 502, false, "The plugin made an artifact that is too large", "raise `limits.artifact_kib` in the profile";
    LimitStack, "limit_stack", 502, false, "The plugin's calls are nested too deep", "report it to the plugin's author";
    PluginNotLoadable, "plugin_not_loadable", 502, false, "The plugin cannot be loaded", "check the plugin's file against the contract";
    ModelCallInPreview, "model_call_in_preview", 502, false, "The plugin asked a model while its prompt was built", "report it to the plugin's author";
    ArtifactNameInvalid, "artifact_name_invalid", 502, false, "The plugin gave an artifact a name that is no file name", "report it to the plugin's author";
    ArtifactSetInvalid, "artifact_set_invalid", 502, false, "The plugin's artifacts are not those that it announces", "report it to the plugin's author";
    OutputNotJson, "output_not_json", 502, false, "The plugin's output is not JSON", "report it to the plugin's author";
    StageBadInput, "stage_bad_input", 422, false, "The stage cannot work on its input", "correct the request or the profile, then start a new run: a run keeps the profile that it began with";
    StageInvalidOutput, "stage_invalid_output", 502, true, "The model's answer could not be used", "try again, or use another model";
    StageTransient, "stage_transient", 503, true, "The stage could not work right now", "try again";
    StageNeedsHuman, "stage_needs_human", 409, false, "The stage needs a person", "do what the message says, then retry the stage";
    ReplayDiverged, "replay_diverged", 502, true, "After a crash the plugin asked something else than before", "retry the stage; its answers are asked for anew";
    HostFailure, "host_failure", 500, true, "The host could not go on with the attempt", "look the cause up in the server's log";
    // What a provider did.
    ModelRateLimited, "model_rate_limited", 503, true, "The provider asks to slow down", "wait, then try again";
    ModelUnavailable, "model_unavailable", 503, true, "The provider could not be reached, or broke off", "try again; check the provider with `POST /api/v2/providers/{name}/check`";
    ModelTimeout, "model_timeout", 504, true, "The model did not answer in time", "try again, or ask for a shorter answer";
    ModelBadResponse, "model_bad_response", 502, true, "The provider's answer does not follow its protocol", "check that the base URL is that of an OpenAI-compatible API";
    ModelRejected, "model_rejected", 502, false, "The provider refused the request", "change the request as the message says";
    ModelUnauthorized, "model_unauthorized", 502, false, "The provider did not accept the key", "correct the provider's key in the server's configuration";
    ModelNotFound, "model_not_found", 502, false, "The provider has no such model", "name a model that the provider has";
    ModelQuotaExhausted, "model_quota_exhausted", 502, false, "The account's quota at the provider is used up", "add credit at the provider, or use another one";
    ModelContextTooLong, "model_context_too_long", 422, false, "The prompt does not fit into the model's context", "shorten the prompt, or use a model with a larger context";
    BudgetExhausted, "budget_exhausted", 409, false, "A budget is used up", "raise the budget that the message names, then start a new run; a budget of the day is free again at midnight UTC";
    ModelNotGranted, "model_not_granted", 403, false, "The profile does not grant the call", "change the stage's model in the profile";
    ModelCanceled, "model_canceled", 503, true, "The call was canceled", "try again";
    // The server itself.
    NotReady, "not_ready", 503, true, "The server cannot work", "look at the checks, and at the server's log";
    ShuttingDown, "shutting_down", 503, true, "The server is shutting down", "try again when it is up; unfinished runs go on by themselves";
    TooManyStreams, "too_many_streams", 503, true, "Too many event streams are open", "close streams that nobody reads, or poll `.../timeline`";
    DataFolderLocked, "data_folder_locked", 503, true, "Another process owns the data folder", "stop the other process, or use it";
    DataFolderReadOnly, "data_folder_read_only", 503, false, "The data folder cannot be written", "give the server's user the right to write to its data folder";
    DiskFull, "disk_full", 507, true, "The disk of the data folder is full", "free some space on it; nothing was lost";
    Internal, "internal", 500, true, "The server failed", "look the request id up in the server's log";
}

impl From<&Refusal> for Code {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::UnknownApproval => Code::ApprovalUnknown,
            Refusal::AlreadyDecided { .. } => Code::ApprovalDecided,
            Refusal::ApprovalClosed { .. } => Code::ApprovalClosed,
            Refusal::NotAReviewer { .. } => Code::ReviewerNotAllowed,
            Refusal::SelfApproval { .. } => Code::SelfApproval,
            Refusal::NoContent => Code::GateWithoutContent,
            Refusal::ContentChanged => Code::ContentChanged,
            Refusal::RunEnded { .. } => Code::RunEnded,
            Refusal::RunNotEnded { .. } => Code::RunNotEnded,
            Refusal::StageNotNamed => Code::StageNotNamed,
            Refusal::UnknownStage { .. } => Code::StageUnknown,
            Refusal::EarlierStageMissing { .. } => Code::EarlierStageMissing,
            Refusal::EarlierGateNotPassed { .. } => Code::EarlierGateNotPassed,
            Refusal::StaleAttempt => Code::AttemptStale,
        }
    }
}

impl From<&FaultKind> for Code {
    fn from(kind: &FaultKind) -> Self {
        match kind {
            FaultKind::Trap => Code::PluginTrapped,
            FaultKind::Limit(limit) => Code::from(*limit),
            FaultKind::PluginNotLoadable => Code::PluginNotLoadable,
            FaultKind::ModelCallInPreview => Code::ModelCallInPreview,
            FaultKind::ArtifactName => Code::ArtifactNameInvalid,
            FaultKind::ArtifactSet => Code::ArtifactSetInvalid,
            FaultKind::OutputNotJson => Code::OutputNotJson,
            FaultKind::BadInput { .. } => Code::StageBadInput,
            FaultKind::InvalidOutput { .. } => Code::StageInvalidOutput,
            FaultKind::Transient { .. } => Code::StageTransient,
            FaultKind::NeedsHuman { .. } => Code::StageNeedsHuman,
            FaultKind::Model(kind) => Code::from(*kind),
            FaultKind::ReplayDiverged => Code::ReplayDiverged,
            FaultKind::Host => Code::HostFailure,
        }
    }
}

impl From<Limit> for Code {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Memory => Code::LimitMemory,
            Limit::CpuTime => Code::LimitCpuTime,
            Limit::WallTime => Code::LimitWallTime,
            Limit::CallBytes => Code::LimitCallBytes,
            Limit::ArtifactCount => Code::LimitArtifactCount,
            Limit::ArtifactBytes => Code::LimitArtifactBytes,
            Limit::Stack => Code::LimitStack,
        }
    }
}

impl From<ModelErrorKind> for Code {
    fn from(kind: ModelErrorKind) -> Self {
        match kind {
            ModelErrorKind::RateLimited { .. } => Code::ModelRateLimited,
            ModelErrorKind::Unavailable => Code::ModelUnavailable,
            ModelErrorKind::Timeout => Code::ModelTimeout,
            ModelErrorKind::BadResponse => Code::ModelBadResponse,
            ModelErrorKind::Rejected => Code::ModelRejected,
            ModelErrorKind::Unauthorized => Code::ModelUnauthorized,
            ModelErrorKind::ModelNotFound => Code::ModelNotFound,
            ModelErrorKind::QuotaExhausted => Code::ModelQuotaExhausted,
            ModelErrorKind::ContextTooLong => Code::ModelContextTooLong,
            ModelErrorKind::BudgetExhausted => Code::BudgetExhausted,
            ModelErrorKind::NotGranted => Code::ModelNotGranted,
            ModelErrorKind::Canceled => Code::ModelCanceled,
        }
    }
}
