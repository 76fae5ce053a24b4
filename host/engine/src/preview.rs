//! What a stage would ask at this moment, or asked when it began, and about what it would cost. Nothing is asked.
use domain::model::{ModelRequest, Usage, UsageSource};
use domain::run::Run;
use domain::{RunId, StageIdx, StageKey};

use crate::{Engine, Error, request};

/// Tokens by which an answer is estimated that nobody bounds: what the shipped stages' answers have, with room.
pub const USUAL_ANSWER_TOKENS: u32 = 2_000;

/// The first question that a stage would ask.
#[derive(Debug, Clone)]
pub struct PromptPreview {
    /// The question, as it would go out.
    pub request: ModelRequest,
    /// Its length in tokens, as the host counts.
    pub input_tokens: u64,
    /// Who would be asked.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// Input and the longest answer, in billionths of a US dollar; where answers are not bounded, one of
    /// [`USUAL_ANSWER_TOKENS`]. `None` if the price is not known.
    pub estimated_cost_nano_usd: Option<u64>,
    /// Longest answer that is allowed, in tokens. `None`: not bounded.
    pub max_output_tokens: Option<u32>,
}

impl Engine {
    /// Builds the prompt of a stage with what the run has made so far. A stage that is done is told what it was told then:
    /// later ones may have set variables since.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::UnknownStage`], [`Error::ArtifactsMissing`] if the stage builds on something that
    /// is not there yet, or [`Error::Fault`] if the plugin does not build a prompt.
    pub async fn prompt(&self, run: &RunId, stage: &StageKey) -> Result<PromptPreview, Error> {
        let snapshot = {
            let cell = self.0.registry.cell(run);
            let mut locked = cell.lock(self.store()).await;
            locked.run().await?.clone()
        };
        let plan = snapshot.plan();
        let Some(idx) = plan.position(stage) else {
            let known = plan.stages.iter().map(|stage| stage.key.to_string()).collect();
            return Err(Error::UnknownStage { run: run.clone(), stage: stage.clone(), known });
        };
        self.prompt_of(&snapshot, idx).await
    }

    async fn prompt_of(&self, run: &Run, idx: StageIdx) -> Result<PromptPreview, Error> {
        let planned = run.plan().stage(idx).expect("the position was found in this plan");
        let made = run.artifacts_before(idx);
        let is_missing =
            |name: &&String| !made.iter().any(|(_, artifact)| artifact.name.as_str() == *name);
        let missing: Vec<String> = planned.needs.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            return Err(Error::ArtifactsMissing { stage: planned.key.clone(), missing });
        }
        let progress = &run.progress()[idx.as_usize()];
        let attempts = progress.attempts;
        let job = if progress.result.is_some() {
            let begun = self.0.run_at(run.id(), idx, attempts).await?;
            self.0.job(&begun, idx, planned, attempts).await?
        } else {
            self.0.job(run, idx, planned, attempts + 1).await?
        };
        let built = self.0.parts.runner.build_prompt(job).await.map_err(Error::Fault)?;
        let request = request::filled_in(built, &planned.model);
        let gateway = self.gateway();
        let counted = request.clone();
        let counting = self.0.blocking(move |inner| inner.parts.gateway.count_tokens(&counted));
        let input_tokens = counting.await;
        let max_output_tokens = request.options.max_tokens;
        let usage = Usage {
            input_tokens: Some(input_tokens),
            output_tokens: Some(max_output_tokens.unwrap_or(USUAL_ANSWER_TOKENS).into()),
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            source: UsageSource::Estimated,
        };
        let (provider, model) = (planned.model.provider.clone(), planned.model.model.clone());
        let route = gateway.route(&provider, Some(&model)).ok();
        let estimated_cost_nano_usd = route.and_then(|route| gateway.cost_of(&route, &usage));
        Ok(PromptPreview {
            request,
            input_tokens,
            provider,
            model,
            estimated_cost_nano_usd,
            max_output_tokens,
        })
    }
}
