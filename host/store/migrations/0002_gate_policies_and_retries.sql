-- Policies of gates, edits, retries that wait, and who started a run. What is older has none of it.

-- When time next brings about something for the run: at a gate, or before a retry. It stays set while the run is paused,
-- and means nothing then.
ALTER TABLE runs ADD COLUMN wakes_at INTEGER;
CREATE INDEX runs_by_wake ON runs (wakes_at, run_id) WHERE wakes_at IS NOT NULL AND status <> 'paused';
ALTER TABLE runs ADD COLUMN started_by TEXT;

ALTER TABLE stages ADD COLUMN grant_count INTEGER NOT NULL DEFAULT 1;
-- Set while the stage waits for its next attempt.
ALTER TABLE stages ADD COLUMN retry_at INTEGER;
-- What a reviewer wants changed, until the stage is done again.
ALTER TABLE stages ADD COLUMN feedback TEXT;

-- Grants that the gate takes.
ALTER TABLE approvals ADD COLUMN grant_count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE approvals ADD COLUMN deadline_at INTEGER;
ALTER TABLE approvals ADD COLUMN remind_at INTEGER;
ALTER TABLE approvals ADD COLUMN reminder_count INTEGER NOT NULL DEFAULT 0;
-- Why the last reminder did not reach its webhook.
ALTER TABLE approvals ADD COLUMN reminder_failure TEXT;
ALTER TABLE approvals ADD COLUMN escalated INTEGER NOT NULL DEFAULT 0;

-- Projection: grants at gates that take several, the last one excepted, which is the approval's own.
CREATE TABLE approval_grants (
    approval_id TEXT    NOT NULL,
    run_id      TEXT    NOT NULL,
    ordinal     INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    comment     TEXT,
    at          INTEGER NOT NULL,
    PRIMARY KEY (approval_id, ordinal)
) STRICT, WITHOUT ROWID;

-- Who put this version in place of the stage's own.
ALTER TABLE artifacts ADD COLUMN edited_by TEXT;
