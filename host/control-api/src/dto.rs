//! What goes over the wire: the bodies of requests and answers, for the server and for its clients alike.
//!
//! Plain records without behavior. Answers may gain fields, so clients must skip what they do not know; requests refuse
//! unknown fields, so that a misspelled one is not silently without effect. How rows and domain types become these
//! records is in `convert`.
mod approval;
mod budget;
mod call;
mod chat;
mod event;
mod housekeeping;
mod http_request;
mod plan;
mod plugin;
mod policy;
mod problem;
mod profile;
mod provider;
mod run;
mod system;
mod usage;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use approval::{
    ApprovalDetailDto, ApprovalDto, ApprovalStatusDto, ArtifactEditDto, DecidedDto,
    DecisionRequest, GrantDto, NextStageDto, PreviousArtifactDto,
};
pub use budget::{BudgetBoundDto, BudgetScopeDto, BudgetUnitDto, GateSubjectDto};
pub use call::{
    AnswerSourceDto, CallDetailDto, CallDto, CallStatusDto, CallUsageDto, ModelAnswerDto,
    ModelMessageDto, ModelRequestDto, PromptDto, ResponseFormatDto, RoleDto, TextsDto,
    UsedBeforeDto,
};
pub use chat::{
    ChatDeltaDto, ChatFallingBackDto, ChatMessageDto, ChatRequest, ChatResponseDto,
    ChatRetryingDto, ChatTimingDto,
};
pub use event::{EventArtifactDto, EventDto, EventKindDto, LiveDto};
pub use housekeeping::{ImportedRunDto, PruneRequest, PrunedDto, PrunedRunDto};
pub use http_request::HttpRequestDto;
pub use plan::{
    FallbackDto, GrantsDto, LimitsDto, ModelAlternativeDto, ModelChoiceDto, OnBudgetExceededDto,
    PlanDto, PlannedStageDto,
};
pub use plugin::{
    ArtifactSpecDto, PluginDto, PluginListDto, PluginRefDto, RemovedPluginDto, UnusablePluginDto,
};
pub use policy::{
    DeadlineOutcomeDto, GateDeadlineDto, GateDto, ReminderDto, RetryPolicyDto, ReviewerDto,
    SelfApprovalDto, WhenSpentDto,
};
pub use problem::{ProblemDto, ProblemItemDto};
pub use profile::{PreviewDto, PreviewRequest, ProfileDto, ProfileSummaryDto};
pub use provider::{
    BreakerDto, BreakerStateDto, CallLimitsDto, ListedModelDto, ListedModelsDto, ModelActivityDto,
    PriceDto, ProviderCheckDto, ProviderDto, ProviderModelDto,
};
pub use run::{
    ArtifactDto, CommandRequest, CommandedDto, FaultDto, RetryRequest, RunDto, RunStatusDto,
    RunSummaryDto, StageDto, StageStatusDto, StartRunRequest, StartedRunDto, TimingDto, UsageDto,
    VariableDto,
};
pub use system::{CheckDto, HealthDto, ReadyDto};
pub use usage::{CacheDto, ForgottenDto, TokenSumDto, UsageItemDto, UsageReportDto, UsageSumDto};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListDto<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// `cursor` of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostDto {
    /// US dollars as a decimal number, exact, e.g. `0.00125`.
    pub usd: String,
    /// The same in billionths of a US dollar.
    pub nano_usd: u64,
}
