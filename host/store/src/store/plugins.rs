//! What runs need of the plugins.
use std::collections::BTreeSet;

use domain::{Digest, RunId};
use rusqlite::params;

use super::Store;
use crate::Error;
use crate::column::parsed;

/// Runs that have not ended and are bound to a plugin, the earliest first. The text is looked at before the JSON is read:
/// few runs have the digest anywhere.
const NEEDING: &str = "SELECT r.run_id FROM runs r
    JOIN events e ON e.run_id = r.run_id AND e.version = 1
    WHERE r.status IN ('queued', 'running', 'waiting_approval', 'paused')
    AND instr(e.payload, ?1) > 0
    AND EXISTS (SELECT 1 FROM json_each(e.payload, '$.run_created.plan.stages') stage
        WHERE json_extract(stage.value, '$.plugin.digest') = ?1)
    ORDER BY r.created_at, r.run_id LIMIT ?2";

/// The digests of all plugins that any run is bound to, also one that has ended. The joins are in this order, because the
/// planner would walk through the events of all runs to find the first ones.
const BOUND: &str = "SELECT DISTINCT json_extract(stage.value, '$.plugin.digest') AS digest
    FROM runs r CROSS JOIN events e ON e.run_id = r.run_id AND e.version = 1
        CROSS JOIN json_each(e.payload, '$.run_created.plan.stages') stage";

/// The digests of all plugins that a run is bound to which has not ended.
const NEEDED: &str = "SELECT DISTINCT json_extract(stage.value, '$.plugin.digest') AS digest
    FROM runs r CROSS JOIN events e ON e.run_id = r.run_id AND e.version = 1
        CROSS JOIN json_each(e.payload, '$.run_created.plan.stages') stage
    WHERE r.status IN ('queued', 'running', 'waiting_approval', 'paused')";

/// What looks at the first event of some runs, and at no other.
#[cfg(test)]
pub(crate) const LOOKUPS: [&str; 3] = [NEEDING, BOUND, NEEDED];

impl Store {
    /// The plugins that any run is bound to.
    pub async fn bound_plugins(&self) -> Result<BTreeSet<Digest>, Error> {
        self.plugin_digests(BOUND).await
    }

    /// The plugins that any run is bound to which has not ended.
    pub async fn needed_plugins(&self) -> Result<BTreeSet<Digest>, Error> {
        self.plugin_digests(NEEDED).await
    }

    async fn plugin_digests(&self, query: &'static str) -> Result<BTreeSet<Digest>, Error> {
        let asked = self.inner.readers.ask(|db| {
            let mut statement = db.prepare_cached(query)?;
            let rows = statement.query_map([], |row| parsed(row, "digest"))?;
            Ok::<BTreeSet<Digest>, Error>(rows.collect::<Result<_, _>>()?)
        });
        asked.await
    }

    /// Runs that have not ended and are bound to a plugin, at most `limit`, the earliest first.
    pub async fn runs_that_need(&self, plugin: &Digest, limit: u32) -> Result<Vec<RunId>, Error> {
        let plugin = plugin.clone();
        let asked = self.inner.readers.ask(move |db| {
            let mut statement = db.prepare_cached(NEEDING)?;
            let rows = statement
                .query_map(params![plugin.as_str(), limit], |row| parsed(row, "run_id"))?;
            Ok::<Vec<RunId>, Error>(rows.collect::<Result<_, _>>()?)
        });
        asked.await
    }
}
