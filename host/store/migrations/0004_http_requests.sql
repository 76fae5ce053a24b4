-- The journal of HTTP requests of stages. What is older has none.
CREATE TABLE http_requests (
    seq            INTEGER PRIMARY KEY,
    run_id         TEXT    NOT NULL,
    stage_key      TEXT    NOT NULL,
    attempt        INTEGER NOT NULL,
    ordinal        INTEGER NOT NULL,
    status         TEXT    NOT NULL,
    method         TEXT    NOT NULL,
    -- Only scheme and host where no texts are kept.
    url            TEXT    NOT NULL,
    request_digest TEXT    NOT NULL,
    request_bytes  INTEGER NOT NULL,
    -- How often it was sent.
    tries          INTEGER NOT NULL,
    -- For the first time, and for the last.
    asked_at       INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    -- NULL as long as the request is open.
    ended_at       INTEGER,
    answer_status  INTEGER,
    answer_bytes   INTEGER,
    error_code     TEXT,
    error_message  TEXT,
    texts          TEXT    NOT NULL
) STRICT;
-- One row for each request of an attempt, however often it is sent.
CREATE UNIQUE INDEX http_requests_by_key ON http_requests (run_id, stage_key, attempt, ordinal);

-- Headers and bodies, beside the requests and under their `seq`.
CREATE TABLE http_request_texts (
    seq     INTEGER PRIMARY KEY,
    request TEXT NOT NULL
) STRICT;
CREATE TABLE http_answer_texts (
    seq    INTEGER PRIMARY KEY,
    answer TEXT NOT NULL
) STRICT;
