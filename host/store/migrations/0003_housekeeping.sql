-- Whose texts are whose, and what is left of runs that were removed.

-- The run that kept the text first; NULL if that is not known, or if the run was removed.
ALTER TABLE bodies ADD COLUMN run_id TEXT;
-- Further runs that have the text. Most texts have one run alone, and cost no row here.
CREATE TABLE body_owners (
    digest TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (digest, run_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO body_owners (digest, run_id) SELECT digest, run_id FROM artifacts;
INSERT OR IGNORE INTO body_owners (digest, run_id)
    SELECT json_extract(payload, '$.stage_finished.result.data'), run_id FROM events
    WHERE kind = 'stage_finished';

CREATE INDEX start_keys_by_run ON start_keys (run_id);

-- Runs that were removed here.
CREATE TABLE pruned_runs (
    run_id    TEXT PRIMARY KEY NOT NULL,
    mode      TEXT NOT NULL,
    pruned_at INTEGER NOT NULL,
    -- What is still to be removed: `rows`, then `files`, then NULL.
    rest      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX pruned_runs_by_rest ON pruned_runs (rest) WHERE rest IS NOT NULL;

-- What calls of removed runs had used up: with it, `usage_days` can be made again.
CREATE TABLE usage_pruned (
    day                TEXT    NOT NULL,
    provider           TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    stage_key          TEXT    NOT NULL,
    mode               TEXT    NOT NULL,
    calls              INTEGER NOT NULL,
    cache_hits         INTEGER NOT NULL,
    failed_calls       INTEGER NOT NULL,
    unpriced_calls     INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cached_tokens      INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost_nano_usd      INTEGER NOT NULL,
    total_ms           INTEGER NOT NULL,
    PRIMARY KEY (day, provider, model, stage_key, mode)
) STRICT, WITHOUT ROWID;
