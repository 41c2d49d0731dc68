-- Plans of restores, with mappings and approvals. See decisions 49 and 50.

-- +goose Up

-- Whether a restore needs the approval of a second person.
ALTER TABLE workspaces ADD COLUMN restore_approval BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE plans (
  id                 TEXT COLLATE "C" PRIMARY KEY, -- sorts by time
  workspace_id       TEXT NOT NULL,
  tenant_id          TEXT NOT NULL,
  hash               TEXT COLLATE "C" NOT NULL,
  ready              BOOLEAN NOT NULL,             -- stored as a whole: readers see it
  run_id             TEXT NOT NULL,                -- the preview
  run_code           TEXT NOT NULL,
  author_id          TEXT NOT NULL,                -- who started the preview
  author             TEXT NOT NULL,
  set_id             TEXT NOT NULL,                -- the backup
  connection_id      TEXT NOT NULL,
  connection_version BIGINT NOT NULL,
  directory          TEXT NOT NULL,                -- of the target
  observed_at        BIGINT NOT NULL,              -- when reading the target started
  warnings           TEXT NOT NULL,                -- JSON: codes
  writes             TEXT NOT NULL,                -- JSON: keys of the policy types that it writes
  counts             TEXT NOT NULL,                -- JSON: steps by action
  head               TEXT NOT NULL,                -- JSON: the plan without its steps
  executed_by        TEXT NOT NULL DEFAULT ''      -- the run that executes or has executed it
);
CREATE UNIQUE INDEX plans_hash ON plans(tenant_id, hash) WHERE ready;
CREATE INDEX plans_tenant ON plans(tenant_id, id) WHERE ready;

CREATE TABLE plan_steps (
  plan_id TEXT COLLATE "C" NOT NULL,
  n       BIGINT NOT NULL,
  action  TEXT NOT NULL,
  data    BYTEA NOT NULL,                          -- JSON, compressed; the hashes of bodies in place of the bodies
  PRIMARY KEY (plan_id, n)
);

-- Bodies of calls can hold secrets of a tenant. They are deleted once the plan can't be executed.
CREATE TABLE plan_bodies (
  id      TEXT COLLATE "C" PRIMARY KEY,            -- plan and number of the step
  plan_id TEXT NOT NULL,
  sealed  TEXT NOT NULL                            -- sealed by the root key for this row
);

CREATE TABLE plan_approvals (
  plan_id    TEXT NOT NULL,
  person_id  TEXT NOT NULL,
  person     TEXT NOT NULL,
  at         BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (plan_id, person_id)
);

-- Which object of a directory corresponds to which of another one.
CREATE TABLE mappings (
  id               TEXT COLLATE "C" PRIMARY KEY,
  workspace_id     TEXT NOT NULL,
  source_directory TEXT COLLATE "C" NOT NULL,
  kind             TEXT COLLATE "C" NOT NULL,
  source           TEXT COLLATE "C" NOT NULL,
  target_directory TEXT COLLATE "C" NOT NULL,
  target           TEXT NOT NULL,
  how              TEXT NOT NULL CHECK (how IN ('same_id','person','restore')),
  by_id            TEXT NOT NULL,
  by_name          TEXT NOT NULL,
  at               BIGINT NOT NULL
);
CREATE UNIQUE INDEX mappings_object ON mappings(workspace_id, target_directory, source_directory, kind, source);

-- When the last run ended that changed something in a tenant.
CREATE TABLE tenant_writes (
  tenant_id TEXT PRIMARY KEY,
  run_id    TEXT NOT NULL,
  at        BIGINT NOT NULL
);

-- +goose Down
DROP TABLE tenant_writes; DROP TABLE mappings; DROP TABLE plan_approvals; DROP TABLE plan_bodies; DROP TABLE plan_steps; DROP TABLE plans;
ALTER TABLE workspaces DROP COLUMN restore_approval;
