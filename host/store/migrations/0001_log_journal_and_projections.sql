-- The log. Append-only; everything below marked "projection" can be made from it again.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    run_id  TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    payload TEXT    NOT NULL
) STRICT;
-- Two deciders cannot both win.
CREATE UNIQUE INDEX events_by_run ON events (run_id, version);

-- Texts under the digest of their bytes.
CREATE TABLE bodies (
    digest TEXT PRIMARY KEY NOT NULL,
    text   TEXT NOT NULL
) STRICT;

-- The journal of model calls.
CREATE TABLE llm_calls (
    seq                  INTEGER PRIMARY KEY,
    call_id              TEXT    NOT NULL UNIQUE,
    run_id               TEXT,
    stage_key            TEXT,
    attempt              INTEGER,
    ordinal              INTEGER,
    session_id           TEXT,
    client_id            TEXT,
    conversation_id      TEXT    NOT NULL,
    conversation_ordinal INTEGER NOT NULL,
    status               TEXT    NOT NULL,
    label                TEXT,
    -- Who answered, or was asked last.
    provider             TEXT    NOT NULL,
    model                TEXT    NOT NULL,
    source               TEXT    NOT NULL,
    fallback_reason      TEXT,
    request_digest       TEXT    NOT NULL,
    -- For the first time. It never changes, and is the order of the lists.
    asked_at             INTEGER NOT NULL,
    -- For the last time.
    started_at           INTEGER NOT NULL,
    -- NULL as long as the call is open.
    ended_at             INTEGER,
    queue_ms             INTEGER,
    first_token_ms       INTEGER,
    total_ms             INTEGER,
    tries                INTEGER,
    answered_model       TEXT,
    finish_reason        TEXT,
    input_tokens         INTEGER,
    output_tokens        INTEGER,
    cached_tokens        INTEGER,
    cache_write_tokens   INTEGER,
    reasoning_tokens     INTEGER,
    usage_source         TEXT,
    cost_nano_usd        INTEGER,
    error_code           TEXT,
    error_message        TEXT,
    retry_after_ms       INTEGER,
    texts                TEXT    NOT NULL
) STRICT;
-- One row for each question of an attempt, however often it is asked.
CREATE UNIQUE INDEX llm_calls_by_key ON llm_calls (run_id, stage_key, attempt, ordinal)
    WHERE run_id IS NOT NULL;
-- Each index ends in the row's `seq`, which decides between calls of one millisecond. What few calls have costs the
-- others nothing.
CREATE INDEX llm_calls_by_run ON llm_calls (run_id, asked_at) WHERE run_id IS NOT NULL;
CREATE INDEX llm_calls_by_conversation ON llm_calls (conversation_id, conversation_ordinal);
CREATE INDEX llm_calls_by_time ON llm_calls (asked_at);
CREATE INDEX llm_calls_by_status ON llm_calls (status, asked_at);
CREATE INDEX llm_calls_by_provider ON llm_calls (provider, asked_at);
CREATE INDEX llm_calls_by_model ON llm_calls (model, asked_at);
CREATE INDEX llm_calls_by_stage ON llm_calls (stage_key, asked_at) WHERE stage_key IS NOT NULL;
CREATE INDEX llm_calls_by_session ON llm_calls (session_id, asked_at) WHERE session_id IS NOT NULL;
CREATE INDEX llm_calls_by_client ON llm_calls (client_id, asked_at) WHERE client_id IS NOT NULL;
CREATE INDEX llm_calls_by_label ON llm_calls (label, asked_at) WHERE label IS NOT NULL;

-- Beside the calls and under their `seq`, because SQLite writes a row anew as a whole when its status changes.
CREATE TABLE llm_requests (
    seq     INTEGER PRIMARY KEY,
    request TEXT NOT NULL
) STRICT;
CREATE TABLE llm_answers (
    seq    INTEGER PRIMARY KEY,
    answer TEXT NOT NULL
) STRICT;

-- What a call had used when it ended without an answer and was asked again later: it was paid for, and the call's own
-- row tells of the last time alone.
CREATE TABLE llm_calls_before (
    before_seq         INTEGER PRIMARY KEY,
    call_seq           INTEGER NOT NULL,
    run_id             TEXT,
    stage_key          TEXT,
    provider           TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    ended_at           INTEGER NOT NULL,
    total_ms           INTEGER,
    input_tokens       INTEGER,
    output_tokens      INTEGER,
    cached_tokens      INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens   INTEGER,
    usage_source       TEXT,
    cost_nano_usd      INTEGER
) STRICT;
CREATE INDEX llm_calls_before_by_run ON llm_calls_before (run_id) WHERE run_id IS NOT NULL;

-- Projection of the journal: what ended calls used up, by the day (UTC) on which they ended. Calls outside of runs have
-- the empty stage and mode.
CREATE TABLE usage_days (
    day                TEXT    NOT NULL,
    provider           TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    stage_key          TEXT    NOT NULL,
    mode               TEXT    NOT NULL,
    calls              INTEGER NOT NULL,
    cache_hits         INTEGER NOT NULL,
    failed_calls       INTEGER NOT NULL,
    -- Calls that used something whose price is not known.
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

-- What attempts logged and used up.
CREATE TABLE attempts (
    run_id       TEXT    NOT NULL,
    stage_key    TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    log          TEXT    NOT NULL,
    cpu_time_us  INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    queue_ms     INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX attempts_by_key ON attempts (run_id, stage_key, attempt);

CREATE TABLE start_keys (
    start_key      TEXT PRIMARY KEY NOT NULL,
    run_id         TEXT NOT NULL,
    request_digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Projection. Every list is ordered by (created_at, run_id), newest first.
CREATE TABLE runs (
    run_id           TEXT    PRIMARY KEY NOT NULL,
    version          INTEGER NOT NULL,
    status           TEXT    NOT NULL,
    requested_mode   TEXT    NOT NULL,
    effective_mode   TEXT    NOT NULL,
    fallback         TEXT,
    profile_version  TEXT    NOT NULL,
    title            TEXT    NOT NULL,
    thread_id        TEXT,
    brand_id         TEXT,
    project_id       TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    stage_count      INTEGER NOT NULL,
    stages_done      INTEGER NOT NULL DEFAULT 0,
    current_position INTEGER,
    -- 1 as soon as any attempt was begun: a run that is ready before that is queued, later it is running.
    begun            INTEGER NOT NULL DEFAULT 0,
    open_approval    TEXT,
    fault_code       TEXT,
    fault_message    TEXT,
    fault_retryable  INTEGER,
    -- Not a projection: up to which version the run's files were written.
    files_version    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_time ON runs (created_at, run_id);
CREATE INDEX runs_by_status ON runs (status, created_at, run_id);
CREATE INDEX runs_by_thread ON runs (thread_id, created_at, run_id);
CREATE INDEX runs_waiting ON runs (created_at, run_id) WHERE open_approval IS NOT NULL;

-- Projection. Beside the runs, because a run's row changes often and its request never does.
CREATE TABLE requests (
    run_id       TEXT PRIMARY KEY NOT NULL,
    request_text TEXT NOT NULL
) STRICT;

-- Projection: the requested and the effective mode of each run.
CREATE TABLE run_modes (
    mode       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    run_id     TEXT    NOT NULL,
    PRIMARY KEY (mode, created_at, run_id)
) STRICT, WITHOUT ROWID;

-- Projection.
CREATE TABLE stages (
    run_id           TEXT    NOT NULL,
    position         INTEGER NOT NULL,
    stage_key        TEXT    NOT NULL,
    title            TEXT    NOT NULL,
    gate_question    TEXT,
    status           TEXT    NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 0,
    summary          TEXT,
    data_digest      TEXT,
    content_hash     TEXT,
    fault_code       TEXT,
    fault_message    TEXT,
    fault_retryable  INTEGER,
    first_started_at INTEGER,
    started_at       INTEGER,
    ended_at         INTEGER,
    -- Set while the stage may be started and is not.
    ready_at         INTEGER,
    -- Set while an attempt is running; not while it waits for a person.
    attempt_since    INTEGER,
    -- Set while a gate is open.
    gate_since       INTEGER,
    queue_ms         INTEGER NOT NULL DEFAULT 0,
    attempt_ms       INTEGER NOT NULL DEFAULT 0,
    human_wait_ms    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

-- Projection.
CREATE TABLE approvals (
    approval_id  TEXT    PRIMARY KEY NOT NULL,
    run_id       TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    status       TEXT    NOT NULL,
    content_hash TEXT    NOT NULL,
    -- What is asked, as JSON; NULL for the usual question, whether the stage's result is good.
    subject      TEXT,
    question     TEXT,
    opened_at    INTEGER NOT NULL,
    decided_at   INTEGER,
    actor        TEXT,
    comment      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_by_time ON approvals (opened_at, approval_id);
CREATE INDEX approvals_by_status ON approvals (status, opened_at, approval_id);
CREATE INDEX approvals_by_run ON approvals (run_id, opened_at, approval_id);

-- Projection. One row for each time a variable is set and still holds or could hold again: -1 is the run's creation,
-- other positions are stages. A later position hides an earlier one; a retry takes its own and later ones away.
CREATE TABLE variables (
    run_id   TEXT    NOT NULL,
    position INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    PRIMARY KEY (run_id, position, ordinal)
) STRICT, WITHOUT ROWID;

-- Projection. Versions are kept, never overwritten.
CREATE TABLE artifacts (
    run_id     TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    media_type TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    size_bytes INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    current    INTEGER NOT NULL,
    PRIMARY KEY (run_id, position, name, version)
) STRICT, WITHOUT ROWID;
