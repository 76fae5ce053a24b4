//! What a question about a result is about: the versions of the artifacts that it asks, or asked, about, and whose wish
//! they follow. The log knows. The rows of the stage and of its artifacts tell what holds at this moment, which is
//! something else once the stage was done again.
use std::collections::BTreeMap;

use domain::run::{Event, GateSubject};
use domain::{ApprovalId, ArtifactRef, Plan, StageIdx};
use engine::Engine;
use store::ApprovalRow;

use crate::Problem;
use crate::convert::Reviewed;

/// Events that are read from the log at a time.
const EVENT_PAGE_COUNT: usize = 500;

/// What a question is about; nothing where it is about a budget.
pub(super) async fn reviewed(
    engine: &Engine,
    row: &ApprovalRow,
    plan: &Plan,
) -> Result<Reviewed, Problem> {
    let (GateSubject::Result, Some(stage)) = (&row.subject, plan.position(&row.stage)) else {
        return Ok(Reviewed::default());
    };
    let mut reading = Reading::new(stage, &row.id);
    let mut version = 0;
    loop {
        let events = engine.store().events_after(&row.run, version, EVENT_PAGE_COUNT).await?;
        let is_last = events.len() < EVENT_PAGE_COUNT;
        for recorded in events {
            version = recorded.version;
            if reading.take(recorded.event) == Progress::Decided {
                return Ok(reading.reviewed);
            }
        }
        if is_last {
            return Ok(reading.reviewed);
        }
    }
}

/// How far the log is read.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// The question is not asked yet, or not decided.
    Reading,
    /// What follows is about something else.
    Decided,
}

/// One stage, event by event up to the decision of one of its gates.
struct Reading<'a> {
    stage: StageIdx,
    approval: &'a ApprovalId,
    is_asked: bool,
    /// What a reviewer wants changed when the stage is done again.
    wish: Option<String>,
    /// Versions that there are so far, by the artifact's name.
    versions: BTreeMap<String, u32>,
    reviewed: Reviewed,
}

impl<'a> Reading<'a> {
    fn new(stage: StageIdx, approval: &'a ApprovalId) -> Self {
        let (wish, versions, reviewed) = (None, BTreeMap::new(), Reviewed::default());
        Self { stage, approval, is_asked: false, wish, versions, reviewed }
    }

    fn take(&mut self, event: Event) -> Progress {
        if let Event::StageFinished { stage, result, .. } = event {
            if stage == self.stage && self.is_asked {
                return Progress::Decided;
            }
            if stage == self.stage {
                self.reviewed = Reviewed {
                    summary: Some(result.summary),
                    feedback: self.wish.take(),
                    versions: BTreeMap::new(),
                };
                self.count(&result.artifacts);
            }
        } else if let Event::ArtifactsEdited { stage, artifacts, .. } = event {
            if stage == self.stage {
                self.count(&artifacts);
            }
        } else if let Event::GateRevised { stage, approval, decision, .. } = event {
            if approval == *self.approval {
                return Progress::Decided;
            }
            if stage == self.stage {
                self.wish = decision.comment;
            }
        } else if let Event::RunRetried { from, .. } = event {
            // A stage that is done again because an earlier one is, starts without a wish.
            if from < self.stage {
                self.wish = None;
            }
        } else if let Event::GateOpened { approval, .. } = event {
            self.is_asked |= approval == *self.approval;
        }
        Progress::Reading
    }

    /// Each is one more version of its name.
    fn count(&mut self, artifacts: &[ArtifactRef]) {
        for artifact in artifacts {
            let version = self.versions.entry(artifact.name.to_string()).or_default();
            *version += 1;
            self.reviewed.versions.insert(artifact.name.to_string(), *version);
        }
    }
}
