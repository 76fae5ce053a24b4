//! Context variables: the table `variables`, one row for each time that one is set.
use domain::stage::Variable;
use domain::{Json, RunId, StageIdx};
use rusqlite::{Connection, params};

use crate::Error;
use crate::column::parsed;
use crate::project::Entry;

/// The position of what was set when the run was created.
const AT_CREATION: i64 = -1;

const INSERT: &str = "INSERT INTO variables (run_id, position, ordinal, name, value)
    VALUES (?1, ?2, ?3, ?4, ?5)";
const RETRIED: &str = "DELETE FROM variables WHERE run_id = ?1 AND position >= ?2";
const LIST: &str = "SELECT name, value FROM variables WHERE run_id = ?1 ORDER BY position, ordinal";

pub(crate) fn created(
    db: &Connection,
    entry: Entry<'_>,
    variables: &[Variable],
) -> Result<(), Error> {
    insert(db, entry, AT_CREATION, variables)
}

pub(crate) fn set_by_stage(
    db: &Connection,
    entry: Entry<'_>,
    stage: StageIdx,
    variables: &[Variable],
) -> Result<(), Error> {
    insert(db, entry, i64::from(stage.0), variables)
}

fn insert(
    db: &Connection,
    entry: Entry<'_>,
    position: i64,
    variables: &[Variable],
) -> Result<(), Error> {
    let mut statement = db.prepare_cached(INSERT)?;
    for (ordinal, variable) in variables.iter().enumerate() {
        let (name, value) = (variable.name.as_str(), variable.value.as_str());
        statement.execute(params![entry.run_id(), position, ordinal, name, value])?;
    }
    Ok(())
}

pub(crate) fn retried(db: &Connection, entry: Entry<'_>, from: StageIdx) -> Result<(), Error> {
    db.prepare_cached(RETRIED)?.execute(params![entry.run_id(), from.0])?;
    Ok(())
}

/// The variables that hold, in the order in which they were first set.
pub(crate) fn list(db: &Connection, run: &RunId) -> Result<Vec<Variable>, Error> {
    let mut statement = db.prepare_cached(LIST)?;
    let rows = statement.query_map([run.as_str()], |row| {
        let value: String = row.get("value")?;
        Ok(Variable { name: parsed(row, "name")?, value: Json::from_parsed(value) })
    })?;
    let mut variables: Vec<Variable> = Vec::new();
    for set in rows {
        let set = set?;
        match variables.iter_mut().find(|known| known.name == set.name) {
            Some(known) => known.value = set.value,
            None => variables.push(set),
        }
    }
    Ok(variables)
}
