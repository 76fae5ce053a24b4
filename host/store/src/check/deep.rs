//! Everything that can be compared with something else.
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{Digest, RunId};
use rusqlite::{Connection, OptionalExtension};

use super::{FINDING_COUNT_MAX, FULL_CHECK, Finding, Part, structure, versions};
use crate::column::parsed;
use crate::{Error, calls, database, digest_of, http_requests, replay};

/// Texts that are read at once: a reader that stays in one place of the log for long keeps the log from being emptied.
const TEXTS_AT_ONCE: usize = 256;

const TEXTS: &str =
    "SELECT rowid, digest, text FROM bodies WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
/// Also those that have lost their row, or their log.
const RUNS: &str = "SELECT run_id FROM runs UNION SELECT run_id FROM events ORDER BY run_id";
/// The log of a run has no gap and begins at 1.
const GAP: &str = "SELECT COUNT(*), MIN(version), MAX(version) FROM events WHERE run_id = ?1";

/// Looks at everything. Ends early, with what it has, when it is called off.
pub(super) fn look(db: &Connection, is_called_off: &AtomicBool) -> Result<Vec<Finding>, Error> {
    let mut findings = structure(db, FULL_CHECK)?;
    // In a broken file the rest says nothing more.
    if !findings.is_empty() {
        return Ok(findings);
    }
    findings.extend(versions(db)?);
    let goes_on = |findings: &Vec<Finding>| {
        findings.len() < FINDING_COUNT_MAX && !is_called_off.load(Ordering::Relaxed)
    };
    texts(db, &mut findings, goes_on)?;
    runs(db, &mut findings, goes_on)?;
    if goes_on(&findings) {
        let detail = calls::usage_days_as_journal(db)?.err();
        findings.extend(detail.map(|detail| Finding { part: Part::Usage, detail }));
    }
    if goes_on(&findings) {
        let unsound = http_requests::unsound(db, FINDING_COUNT_MAX)?;
        let about = |(run, detail)| Finding { part: Part::Run(run), detail };
        findings.extend(unsound.into_iter().map(about));
    }
    findings.truncate(FINDING_COUNT_MAX);
    Ok(findings)
}

fn texts(
    db: &Connection,
    findings: &mut Vec<Finding>,
    goes_on: impl Fn(&Vec<Finding>) -> bool,
) -> Result<(), Error> {
    let mut statement = db.prepare(TEXTS)?;
    let mut last_rowid: i64 = i64::MIN;
    while goes_on(findings) {
        let mut rows = statement.query((last_rowid, TEXTS_AT_ONCE))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            last_rowid = row.get("rowid")?;
            let digest: Digest = parsed(row, "digest")?;
            let found = digest_of(row.get_ref("text")?.as_bytes().map_err(rusqlite::Error::from)?);
            if found != digest {
                let detail = format!("it has the digest `{found}`");
                findings.push(Finding { part: Part::Text(digest), detail });
            }
        }
        if count < TEXTS_AT_ONCE {
            return Ok(());
        }
    }
    Ok(())
}

fn runs(
    db: &Connection,
    findings: &mut Vec<Finding>,
    goes_on: impl Fn(&Vec<Finding>) -> bool,
) -> Result<(), Error> {
    let scratch = database::open_scratch()?;
    let mut statement = db.prepare(RUNS)?;
    let names = statement.query_map([], |row| parsed(row, "run_id"))?;
    let names = names.collect::<Result<Vec<RunId>, _>>()?;
    for run in names {
        if !goes_on(findings) {
            return Ok(());
        }
        if let Some(detail) = difference(db, &scratch, &run)? {
            findings.push(Finding { part: Part::Run(run), detail });
        }
    }
    Ok(())
}

/// How a run differs from its log, if it does.
fn difference(db: &Connection, scratch: &Connection, run: &RunId) -> Result<Option<String>, Error> {
    let compared = match replay::compare_with(db, scratch, run) {
        Err(Error::Damaged { detail, .. }) => Err(detail),
        compared => compared?,
    };
    if let Err(detail) = compared {
        return Ok(Some(detail));
    }
    let gap = db
        .prepare_cached(GAP)?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (count, first, last): (i64, Option<i64>, Option<i64>) =
        gap.optional()?.unwrap_or((0, None, None));
    let is_whole = match (first, last) {
        (Some(first), Some(last)) => first == 1 && last == count,
        // A run that was removed while others were looked at.
        (None, _) | (_, None) => true,
    };
    Ok((!is_whole)
        .then(|| format!("its log has {count} events, of versions {first:?} to {last:?}")))
}
