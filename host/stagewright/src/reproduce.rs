//! The command that does a failed attempt again, outside of its run.
use control_api::dto::RunDto;

use crate::session::Session;

/// The command for the stage at which a run stopped, if its plugin is the cause. As the API says it, with the flags that
/// name the same data folder.
pub(crate) fn of_run(session: &Session<'_>, run: &RunDto) -> Option<String> {
    let at = run.summary.current_stage.as_deref()?;
    let stage = run.stages.iter().find(|stage| stage.key == at)?;
    stage.reproduce.as_ref()?;
    let file = format!("{}.recording.json", stage.key);
    let (run_id, attempt) = (&run.summary.run_id, stage.attempt);
    let record = format!("plugin record {run_id} {at} --attempt {attempt} --to {file}");
    let replay = session.command_line(&format!("plugin replay {file}"));
    Some(format!("{} && {replay}", session.command_line(&record)))
}
