//! An attempt that has ended, with everything that is needed to do it again somewhere else.
//!
//! Nothing is kept for this: what the stage was told follows from the log up to the attempt's start, what it was answered
//! stands in the journal, and what it left behind in the log again.
use domain::model::{Completion, ModelError, ModelRequest};
use domain::port::StageJob;
use domain::run::{Event, Run, StageResult};
use domain::stage::{StageLog, StageOutput};
use domain::{Artifact, ArtifactRef, CallId, Digest, Fault, Json, RunId, StageIdx, StageKey};
use store::{CallFilter, CallOrigin, CallRow, CallStatus, HttpJournaled, Page, TextsKept};

use crate::lifecycle::Inner;
use crate::{Engine, Error};

/// Events that are read at once.
const EVENT_COUNT_MAX: usize = 1_000;

/// An attempt that has ended.
#[derive(Debug, Clone)]
pub struct RecordedAttempt {
    /// What was run, on what, within which limits.
    pub job: StageJob,
    /// The contract version that the plugin was built for; `None` if the plugin is not there any more.
    pub contract_version: Option<String>,
    /// What it asked, in its order.
    pub calls: Vec<RecordedCall>,
    /// What it sent to other hosts, in its order.
    pub requests: Vec<HttpJournaled>,
    /// What it made, or what went wrong.
    pub outcome: Result<StageOutput, Fault>,
    /// What it logged.
    pub log: StageLog,
}

/// A question of an attempt.
#[derive(Debug, Clone)]
pub struct RecordedCall {
    /// The question, as it went out.
    pub request: ModelRequest,
    /// Digest of the question, as the stage asked it.
    pub request_digest: Digest,
    /// What came of it; `None` if it was open when the attempt ended.
    pub outcome: Option<Result<Completion, ModelError>>,
    /// The text that had come of an answer that broke off.
    pub partial: String,
}

/// The log of a run, as far as it is about one attempt.
struct Ended {
    /// The run when the attempt began.
    run: Run,
    stage: StageIdx,
    attempt: u32,
    outcome: Result<StageResult, Fault>,
}

impl Engine {
    /// An attempt at a stage that has ended; without a number, the last one.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::UnknownStage`], [`Error::UnknownAttempt`] if it has not ended or was not made, or
    /// [`Error::TextsNotKept`] if the records do not have all that was said.
    pub async fn recorded(
        &self,
        run: &RunId,
        stage: &StageKey,
        attempt: Option<u32>,
    ) -> Result<RecordedAttempt, Error> {
        let ended = self.0.ended_attempt(run, stage, attempt).await?;
        let calls = self.0.recorded_calls(run, stage, ended.attempt).await?;
        let requests = self.0.recorded_requests(run, stage, ended.attempt).await?;
        let planned = ended.run.plan().stage(ended.stage).expect("the stage was found in the plan");
        let job = self.0.job(&ended.run, ended.stage, planned, ended.attempt).await?;
        let outcome = match ended.outcome {
            Ok(result) => Ok(self.0.whole(result).await?),
            Err(fault) => Err(fault),
        };
        let logs = self.store().attempt_logs(run, Some(stage)).await?;
        let log = logs.into_iter().find(|log| log.attempt == ended.attempt);
        let digest = job.plugin.digest.clone();
        let finding = self.0.blocking(move |inner| inner.parts.catalog.bound(&digest).ok());
        let contract_version = finding.await.map(|plugin| plugin.contract_version);
        let log = log.map(|record| record.log).unwrap_or_default();
        Ok(RecordedAttempt { job, contract_version, calls, requests, outcome, log })
    }
}

impl Inner {
    async fn ended_attempt(
        &self,
        run: &RunId,
        stage: &StageKey,
        wanted: Option<u32>,
    ) -> Result<Ended, Error> {
        let events = self.log_of(run).await?;
        let Some(created) = Run::replay(run.clone(), events.first()) else {
            return Err(Error::UnknownRun(run.clone()));
        };
        let plan = created.plan();
        let Some(idx) = plan.position(stage) else {
            let known = plan.stages.iter().map(|stage| stage.key.to_string()).collect();
            return Err(Error::UnknownStage { run: run.clone(), stage: stage.clone(), known });
        };
        let endings = || events.iter().filter_map(|event| ending_of(event, idx));
        let unknown = || Error::UnknownAttempt {
            run: run.clone(),
            stage: stage.clone(),
            wanted,
            ended: endings().map(|(attempt, _)| attempt).collect(),
        };
        let is_wanted = |(attempt, _): &(u32, _)| wanted.is_none_or(|wanted| wanted == *attempt);
        let (attempt, outcome) = endings().rfind(is_wanted).ok_or_else(unknown)?;
        let begun = begun(run, &events, idx, attempt);
        let run = begun.ok_or_else(|| Error::UnknownRun(run.clone()))?;
        Ok(Ended { run, stage: idx, attempt, outcome })
    }

    /// The run as it was when an attempt at the stage began that has been made. [`Error::UnknownRun`] if the run was
    /// removed since.
    pub(crate) async fn run_at(
        &self,
        run: &RunId,
        stage: StageIdx,
        attempt: u32,
    ) -> Result<Run, Error> {
        let begun = begun(run, &self.log_of(run).await?, stage, attempt);
        begun.ok_or_else(|| Error::UnknownRun(run.clone()))
    }

    async fn log_of(&self, run: &RunId) -> Result<Vec<Event>, Error> {
        let (mut events, mut version) = (Vec::new(), 0);
        loop {
            let page = self.parts.store.events_after(run, version, EVENT_COUNT_MAX).await?;
            let is_last = page.len() < EVENT_COUNT_MAX;
            version = page.last().map_or(version, |last| last.version);
            events.extend(page.into_iter().map(|recorded| recorded.event));
            if is_last {
                return Ok(events);
            }
        }
    }

    /// The output with its texts, which lie beside it.
    async fn whole(&self, result: StageResult) -> Result<StageOutput, Error> {
        let mut digests: Vec<Digest> =
            result.artifacts.iter().map(|artifact| artifact.digest.clone()).collect();
        digests.push(result.data);
        let mut bodies = self.parts.store.bodies(digests).await?;
        let data = bodies.pop().expect("there is a text for each digest");
        let whole = |(artifact, body): (ArtifactRef, String)| Artifact {
            name: artifact.name,
            media_type: artifact.media_type,
            body,
        };
        Ok(StageOutput {
            artifacts: result.artifacts.into_iter().zip(bodies).map(whole).collect(),
            data: Json::from_parsed(data),
            summary: result.summary,
            variables: result.variables,
        })
    }

    async fn recorded_calls(
        &self,
        run: &RunId,
        stage: &StageKey,
        attempt: u32,
    ) -> Result<Vec<RecordedCall>, Error> {
        let mut calls: Vec<(u32, CallRow)> = Vec::new();
        let mut page = Page::first(store::PAGE_ROW_COUNT_MAX);
        loop {
            let filter = CallFilter {
                run: Some(run.clone()),
                stage: Some(stage.clone()),
                ..CallFilter::default()
            };
            let listed = self.parts.store.calls(filter, page.clone()).await?;
            calls.extend(listed.items.into_iter().filter_map(|row| match &row.origin {
                CallOrigin::Stage { attempt: of, ordinal, .. } if *of == attempt => {
                    Some((*ordinal, row))
                }
                CallOrigin::Stage { .. } | CallOrigin::Chat { .. } => None,
            }));
            match listed.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => break,
            }
        }
        calls.sort_by_key(|(ordinal, _)| *ordinal);
        let mut recorded = Vec::with_capacity(calls.len());
        for (_, row) in calls {
            recorded.push(self.recorded_call(&row.call).await?);
        }
        Ok(recorded)
    }

    async fn recorded_requests(
        &self,
        run: &RunId,
        stage: &StageKey,
        attempt: u32,
    ) -> Result<Vec<HttpJournaled>, Error> {
        let store = &self.parts.store;
        let mut page = Page::first(store::PAGE_ROW_COUNT_MAX);
        loop {
            let listed = store.http_requests(run, Some(stage.clone()), page.clone()).await?;
            let of_attempt = listed.items.iter().filter(|row| row.key.attempt == attempt);
            for row in of_attempt {
                if row.texts != TextsKept::Whole {
                    let what = format!("HTTP request {} of the attempt", row.key.ordinal);
                    return Err(Error::TextsNotKept { what, texts: row.texts });
                }
            }
            match listed.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => break,
            }
        }
        Ok(store.http_journaled(run, stage, attempt).await?)
    }

    async fn recorded_call(&self, call: &CallId) -> Result<RecordedCall, Error> {
        let detail = self.parts.store.call(call).await?;
        let what = || format!("the model call `{call}`");
        let not_kept = |texts| Error::TextsNotKept { what: what(), texts };
        let detail = detail.ok_or_else(|| not_kept(TextsKept::Off))?;
        let request = match (detail.texts, detail.request) {
            (TextsKept::Whole, Some(request)) => request,
            (texts, _) => return Err(not_kept(texts)),
        };
        let content =
            |answer: Option<Completion>| answer.map(|part| part.content).unwrap_or_default();
        let (outcome, partial) = match (detail.row.status, detail.answer, detail.row.error) {
            (CallStatus::Answered, Some(answer), _) => (Some(Ok(answer)), String::new()),
            (CallStatus::Failed, answer, Some(error)) => (Some(Err(error)), content(answer)),
            (_, answer, _) => (None, content(answer)),
        };
        let request_digest = detail.row.request_digest;
        Ok(RecordedCall { request, request_digest, outcome, partial })
    }
}

/// The run after the events up to the beginning of this attempt, which has been made. `None` if they are not there, or not
/// all: the run is being removed.
fn begun(run: &RunId, events: &[Event], idx: StageIdx, attempt: u32) -> Option<Run> {
    let begin = events.iter().position(|event| {
        matches!(event, Event::StageStarted { stage, attempt: begun }
            if *stage == idx && *begun == attempt)
    });
    Run::replay(run.clone(), &events[..=begin?])
}

/// The attempt at this stage that an event ends, and how.
fn ending_of(event: &Event, idx: StageIdx) -> Option<(u32, Result<StageResult, Fault>)> {
    if let Event::StageFinished { stage, attempt, result } = event
        && *stage == idx
    {
        return Some((*attempt, Ok(result.clone())));
    }
    if let Event::StageFailed { stage, attempt, fault } = event
        && *stage == idx
    {
        return Some((*attempt, Err(fault.clone())));
    }
    None
}
