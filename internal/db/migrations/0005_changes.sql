-- What the processes on one database tell each other. See decision 15.

-- +goose Up

-- A process tells after the commit, in its own order, what it changed. Rows are
-- read by the other processes within seconds, and kept for a minute.
CREATE TABLE changes (
  node         TEXT NOT NULL,                  -- the process that tells
  seq          BIGINT NOT NULL,                -- its own count, so that a later row is never seen before an earlier one
  workspace_id TEXT NOT NULL,                  -- empty, as the next two: any
  tenant_id    TEXT NOT NULL,
  run_id       TEXT NOT NULL,
  at           BIGINT NOT NULL,
  PRIMARY KEY (node, seq)
);
CREATE INDEX changes_at ON changes(at);

-- +goose Down
DROP TABLE changes;
