//! What waits for a person, and the decision.
//!
//! A question about a budget says how much a grant allows. That is the budget itself, once more; the plan of the run or
//! the host's settings have it, because the log keeps only the bound with what was allowed on top.
use axum::Json;
use axum::extract::State;
use domain::run::{BudgetBound, BudgetScope, BudgetUnit, GateSubject, Verdict};
use domain::{ApprovalId, Plan, RunId, StageKey};
use engine::{Engine, GateDecision};
use store::{ApprovalFilter, ApprovalRow, ApprovalStatus, Page};

use crate::body::JsonBody;
use crate::dto::{
    ApprovalDetailDto, ApprovalDto, DecidedDto, DecisionRequest, ListDto, ProblemItemDto,
    RunStatusDto,
};
use crate::path::InPath;
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::{Code, Problem};

/// Which approvals.
pub(crate) struct ApprovalQuery {
    filter: ApprovalFilter,
    page: Page,
}

impl QueryWords for ApprovalQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = [
            ("pending", ApprovalStatus::Pending),
            ("granted", ApprovalStatus::Granted),
            ("rejected", ApprovalStatus::Rejected),
            ("revised", ApprovalStatus::Revised),
            ("closed", ApprovalStatus::Closed),
        ];
        let status = reader.word("status", &words);
        let run = reader.parsed("run_id", str::parse::<RunId>);
        Self { filter: ApprovalFilter { status, run }, page: reader.page() }
    }
}

/// Lists approvals, newest first.
#[utoipa::path(
    get, path = "/api/v2/approvals", operation_id = "list_approvals", tag = "approvals",
    params(
        ("status" = Option<String>, Query, description = "`pending`, `granted`, `rejected`, `revised` or `closed`"),
        ("run_id" = Option<String>, Query, description = "Those of one run"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 if left out"),
    ),
    responses((status = 200, body = ListDto<ApprovalDto>))
)]
pub(crate) async fn list_approvals(
    State(engine): State<Engine>,
    InQuery(query): InQuery<ApprovalQuery>,
) -> Result<Json<ListDto<ApprovalDto>>, Problem> {
    let listed = engine.store().approvals(query.filter, query.page).await?;
    let mut items = Vec::with_capacity(listed.items.len());
    for row in &listed.items {
        items.push(approval_dto(&engine, row).await?);
    }
    Ok(Json(ListDto { items, next_cursor: listed.next_cursor }))
}

/// Shows an approval with what is to be looked at.
#[utoipa::path(
    get, path = "/api/v2/approvals/{approval_id}", operation_id = "show_approval", tag = "approvals",
    params(("approval_id" = String, Path, description = "`appr_...`")),
    responses((status = 200, body = ApprovalDetailDto))
)]
pub(crate) async fn show_approval(
    State(engine): State<Engine>,
    InPath(approval): InPath<ApprovalId>,
) -> Result<Json<ApprovalDetailDto>, Problem> {
    let row = approval_row(&engine, &approval).await?;
    let stages = engine.store().stages(&row.run).await?;
    let artifacts = engine.store().artifacts(&row.run).await?;
    let approval = approval_dto(&engine, &row).await?;
    Ok(Json(ApprovalDetailDto::new(approval, &row, &stages, &artifacts)))
}

/// A question as it is shown.
pub(crate) async fn approval_dto(
    engine: &Engine,
    row: &ApprovalRow,
) -> Result<ApprovalDto, Problem> {
    let grant_allows = match &row.subject {
        GateSubject::Result => None,
        GateSubject::Budget { bound, .. } => budget_step(engine, row, bound).await?,
    };
    Ok(ApprovalDto::new(row, grant_allows))
}

/// How much a grant adds to a budget; `None` if it is not configured any more.
async fn budget_step(
    engine: &Engine,
    row: &ApprovalRow,
    bound: &BudgetBound,
) -> Result<Option<u64>, Problem> {
    let days = &engine.settings().budgets;
    let of_day = match &bound.scope {
        BudgetScope::Stage | BudgetScope::Run => {
            let plan = engine.store().plan(&row.run).await?;
            return Ok(plan.and_then(|plan| planned_step(&plan, &row.stage, bound)));
        }
        BudgetScope::Day => Some(&days.all),
        BudgetScope::ProviderDay { provider } => days.by_provider.get(provider),
    };
    Ok(of_day.and_then(|day| match bound.unit {
        BudgetUnit::Tokens => day.tokens,
        BudgetUnit::NanoUsd => day.nano_usd,
    }))
}

fn planned_step(plan: &Plan, stage: &StageKey, bound: &BudgetBound) -> Option<u64> {
    let limits = || plan.stages.iter().find(|planned| planned.key == *stage).map(|one| &one.limits);
    match (&bound.scope, bound.unit) {
        (BudgetScope::Stage, BudgetUnit::Tokens) => limits()?.stage_token_count_max,
        (BudgetScope::Stage, BudgetUnit::NanoUsd) => limits()?.stage_cost_nano_usd_max,
        (BudgetScope::Run, BudgetUnit::Tokens) => plan.run_token_count_max,
        (BudgetScope::Run, BudgetUnit::NanoUsd) => plan.run_cost_nano_usd_max,
        (BudgetScope::Day | BudgetScope::ProviderDay { .. }, _) => None,
    }
}

async fn approval_row(engine: &Engine, approval: &ApprovalId) -> Result<ApprovalRow, Problem> {
    let row = engine.store().approval(approval).await?;
    row.ok_or_else(|| Problem::new(Code::ApprovalUnknown, format!("no approval `{approval}`")))
}

/// Grants: the run goes on by itself, and may use as much again where a budget was asked about. The first decision
/// holds; the same again changes nothing and is no error.
#[utoipa::path(
    post, path = "/api/v2/approvals/{approval_id}/grant", operation_id = "grant_approval", tag = "approvals",
    params(("approval_id" = String, Path, description = "`appr_...`")),
    request_body = DecisionRequest, responses((status = 200, body = DecidedDto))
)]
pub(crate) async fn grant_approval(
    State(engine): State<Engine>,
    InPath(approval): InPath<ApprovalId>,
    JsonBody(decision): JsonBody<DecisionRequest>,
) -> Result<Json<DecidedDto>, Problem> {
    decide(&engine, approval, Verdict::Granted, decision).await.map(Json)
}

/// Rejects: the run ends. The first decision holds; the same again changes nothing and is no error.
#[utoipa::path(
    post, path = "/api/v2/approvals/{approval_id}/reject", operation_id = "reject_approval", tag = "approvals",
    params(("approval_id" = String, Path, description = "`appr_...`")),
    request_body = DecisionRequest, responses((status = 200, body = DecidedDto))
)]
pub(crate) async fn reject_approval(
    State(engine): State<Engine>,
    InPath(approval): InPath<ApprovalId>,
    JsonBody(decision): JsonBody<DecisionRequest>,
) -> Result<Json<DecidedDto>, Problem> {
    decide(&engine, approval, Verdict::Rejected, decision).await.map(Json)
}

async fn decide(
    engine: &Engine,
    approval: ApprovalId,
    verdict: Verdict,
    decision: DecisionRequest,
) -> Result<DecidedDto, Problem> {
    let decision = parse(approval.clone(), verdict, decision)?;
    let decided = engine.decide_gate(decision).await?;
    Ok(DecidedDto {
        approval_id: approval.to_string(),
        verdict: verdict.as_str().to_owned(),
        run_id: decided.run_id.to_string(),
        status: RunStatusDto::from(decided.status),
    })
}

fn parse(
    approval: ApprovalId,
    verdict: Verdict,
    asked: DecisionRequest,
) -> Result<GateDecision, Problem> {
    let DecisionRequest { actor, comment, content_hash, edits } = asked;
    let mut problems = Vec::new();
    // To skip edits silently would pass on what the reviewer wanted changed.
    if edits.is_some() {
        let message = "a decision cannot change artifacts";
        let hint = "reject with a comment, change the request or the settings, and retry the stage";
        problems.push(ProblemItemDto::at_pointer("/edits", message).with_hint(hint));
    }
    let content_hash = content_hash.and_then(|text| {
        let unreadable = |reason| {
            let message = format!("`{text}` is no content hash: {reason}");
            problems.push(ProblemItemDto::at_pointer("/content_hash", message));
        };
        text.parse().map_err(unreadable).ok()
    });
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    let edits = Vec::new();
    Ok(GateDecision { approval, verdict, actor, comment, content_hash, edits })
}
