-- The history of compliance snapshots: one row for each, as counts. It belongs to the
-- directory of a tenant, so that it goes on when a connection is replaced. See decision 53.

-- +goose Up
CREATE TABLE compliance_history (
  run_id       TEXT COLLATE "C" PRIMARY KEY,
  tenant_id    TEXT NOT NULL,
  directory_id TEXT NOT NULL,
  at           BIGINT NOT NULL,      -- the moment of the snapshot
  complete     BOOLEAN NOT NULL,     -- every part of it was read
  counts       TEXT NOT NULL         -- JSON: devices by state
);
CREATE INDEX compliance_history_at ON compliance_history(tenant_id, directory_id, at, run_id);

-- +goose Down
DROP TABLE compliance_history;
