//! `runs prune`: removes runs that have ended, or lists those that would go.
use control_api::dto::{PruneRequest, PrunedDto};

use crate::args::Prune;
use crate::error::{Error, Exit};
use crate::render;
use crate::session::Session;

pub(super) async fn prune(session: &Session<'_>, asked: Prune) -> Result<Exit, Error> {
    let ask = PruneRequest {
        older_than_s: asked.older_than,
        keep: asked.keep,
        modes: asked.modes,
        dry_run: Some(!asked.apply),
    };
    let pruned = session.client.prune(&ask).await;
    let mut pruned = pruned.map_err(|error| in_words_of_the_command_line(error, &ask))?;
    // A request removes a bounded number. What stays although it might go would come again and again.
    while asked.apply && pruned.has_more {
        let next = session.client.prune(&ask).await?;
        let is_stuck = next.runs.is_empty();
        pruned.size_bytes += next.size_bytes;
        pruned.has_more = next.has_more;
        pruned.runs.extend(next.runs);
        if is_stuck {
            break;
        }
    }
    if session.output.is_json() {
        session.output.document(&pruned);
    } else {
        show(session, &pruned);
    }
    Ok(Exit::Done)
}

/// Which runs may go is said by options here, and by members of a request elsewhere.
fn in_words_of_the_command_line(error: Error, ask: &PruneRequest) -> Error {
    let says_nothing = ask.older_than_s.is_none() && ask.keep.is_none();
    match error {
        Error::Problem(problem) if says_nothing && problem.code == "request_invalid" => {
            let lacks_a_rule = problem.problems.iter().all(|item| item.place.is_empty());
            if !lacks_a_rule {
                return Error::Problem(problem);
            }
            Error::Refused {
                message: "which runs may go is said neither here nor in the configuration"
                    .to_owned(),
                hint: "say `--older-than`, `--keep` or both, or configure `retention`",
            }
        }
        error => error,
    }
}

fn show(session: &Session<'_>, pruned: &PrunedDto) {
    let output = session.output;
    if pruned.runs.is_empty() {
        output.note("no run may go");
        return;
    }
    let paint = output.paint();
    let rows: Vec<Vec<String>> = pruned
        .runs
        .iter()
        .map(|run| {
            vec![
                run.run_id.clone(),
                run.effective_mode.clone(),
                render::run_status(run.status, paint),
                render::time(&run.ended_at),
                render::size(run.size_bytes),
            ]
        })
        .collect();
    output.line(&render::table(&["RUN", "MODE", "STATUS", "ENDED", "SIZE"], &rows, paint));
    let runs = render::counted(pruned.runs.len() as u64, "run", "runs");
    let size = render::size(pruned.size_bytes);
    if pruned.dry_run {
        let more = if pruned.has_more { ", and more" } else { "" };
        output.note(&format!("{runs} with {size} would go{more}; `--apply` removes them"));
    } else {
        output.note(&format!(
            "{runs} with {size} removed; the room is used again, the database file keeps its size"
        ));
    }
}
