-- One text for SQLite and PostgreSQL. Ids are UUIDv7 as text, times are Unix
-- microseconds, JSON is text. COLLATE "C" gives PostgreSQL the byte order that
-- SQLite has anyway, so that keyset paging is the same on both.

-- +goose Up

CREATE TABLE users (
  id            TEXT PRIMARY KEY,
  email         TEXT NOT NULL UNIQUE,          -- lower case
  name          TEXT NOT NULL,
  password_hash TEXT NOT NULL,                 -- argon2id, or empty: can't sign in with a password
  disabled_at   BIGINT,
  created_at    BIGINT NOT NULL
);

CREATE TABLE workspaces (
  id         TEXT PRIMARY KEY,
  slug       TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  keyset     TEXT NOT NULL,                    -- data key of the workspace, wrapped by the root key
  created_at BIGINT NOT NULL
);

CREATE TABLE members (
  workspace_id TEXT NOT NULL REFERENCES workspaces(id),
  user_id      TEXT NOT NULL REFERENCES users(id),
  role         TEXT NOT NULL CHECK (role IN ('owner','operator','viewer')),
  denied       TEXT NOT NULL DEFAULT '[]',     -- capabilities of the role that this member lacks
  all_tenants  BOOLEAN NOT NULL DEFAULT TRUE,  -- FALSE: only those in member_tenants
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_user ON members(user_id);

-- Bearer secrets: API tokens, and the sessions of people who signed in. Only a hash is kept.
CREATE TABLE tokens (
  id           TEXT PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,
  kind         TEXT NOT NULL CHECK (kind IN ('token','session')),
  workspace_id TEXT NOT NULL REFERENCES workspaces(id),
  user_id      TEXT NOT NULL REFERENCES users(id),
  name         TEXT NOT NULL,
  only_caps    TEXT NOT NULL DEFAULT '[]',     -- empty list: everything the member may
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  idle_micros  BIGINT NOT NULL DEFAULT 0,      -- 0: no idle limit
  last_used_at BIGINT NOT NULL,
  revoked_at   BIGINT
);
CREATE INDEX tokens_owner ON tokens(workspace_id, user_id, id);

-- One row at most: the first owner was made.
CREATE TABLE bootstraps (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  at  BIGINT NOT NULL
);

CREATE TABLE sign_in_budget (
  subject  TEXT PRIMARY KEY,                   -- hash of an account, an address or a pair of them
  failures BIGINT NOT NULL,
  since    BIGINT NOT NULL
);

CREATE TABLE tenants (
  id              TEXT PRIMARY KEY,
  workspace_id    TEXT NOT NULL REFERENCES workspaces(id),
  slug            TEXT NOT NULL,
  name            TEXT NOT NULL,
  name_key        TEXT COLLATE "C" NOT NULL,   -- lower case, for order and search
  domain          TEXT NOT NULL,
  directory_id    TEXT NOT NULL,
  status          TEXT NOT NULL CHECK (status IN ('onboarding','active','archived')),
  onboarding_step TEXT NOT NULL DEFAULT '',
  owner_name      TEXT NOT NULL DEFAULT '',
  archived_at     BIGINT,
  created_at      BIGINT NOT NULL,
  UNIQUE (workspace_id, slug)
);
CREATE INDEX tenants_list ON tenants(workspace_id, name_key, id);

CREATE TABLE member_tenants (
  workspace_id TEXT NOT NULL,
  user_id      TEXT NOT NULL,
  tenant_id    TEXT NOT NULL REFERENCES tenants(id),
  PRIMARY KEY (workspace_id, user_id, tenant_id)
);

CREATE TABLE connections (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces(id),
  tenant_id    TEXT NOT NULL REFERENCES tenants(id),
  slug         TEXT NOT NULL,
  name         TEXT NOT NULL,
  name_key     TEXT COLLATE "C" NOT NULL,
  provider     TEXT NOT NULL,
  cloud        TEXT NOT NULL,
  directory_id TEXT NOT NULL,
  client_id    TEXT NOT NULL,
  enabled      BOOLEAN NOT NULL,
  is_default   BOOLEAN NOT NULL,
  version      BIGINT NOT NULL,                -- what the connection is
  rev          BIGINT NOT NULL,                -- and its readiness: the gate admits only at the rev it judged
  fence        BIGINT NOT NULL DEFAULT 0,      -- the last number given out on this scope; only the ledger writes it
  disabled_by  TEXT NOT NULL DEFAULT '',
  disabled_at  BIGINT,
  credential            TEXT NOT NULL DEFAULT '',  -- kind; empty: none saved
  credential_version    BIGINT NOT NULL DEFAULT 0,
  credential_state      TEXT NOT NULL DEFAULT '',
  credential_expires_at BIGINT,
  credential_checked_at BIGINT,
  consent        TEXT NOT NULL DEFAULT 'unknown',
  consent_at     BIGINT,
  permissions    TEXT NOT NULL DEFAULT '[]',
  permissions_at BIGINT,
  actual_directory_id TEXT NOT NULL DEFAULT '',
  verification        TEXT NOT NULL DEFAULT 'missing',
  verification_reason TEXT NOT NULL DEFAULT '',
  verified_at    BIGINT,
  created_at     BIGINT NOT NULL,
  deleted_at     BIGINT                        -- runs keep pointing at it
);
CREATE INDEX connections_tenant ON connections(tenant_id, name_key, id);
CREATE UNIQUE INDEX connections_slug ON connections(tenant_id, slug) WHERE deleted_at IS NULL;
-- Two enabled connections to one directory would make the scope a fiction.
CREATE UNIQUE INDEX connections_directory ON connections(workspace_id, directory_id) WHERE enabled AND deleted_at IS NULL;
CREATE UNIQUE INDEX connections_default ON connections(tenant_id) WHERE is_default AND deleted_at IS NULL;

CREATE TABLE credentials (
  connection_id TEXT NOT NULL REFERENCES connections(id),
  version       BIGINT NOT NULL,
  kind          TEXT NOT NULL,
  sealed        TEXT NOT NULL,                 -- bound to workspace, tenant, connection, field and version
  fingerprint   TEXT NOT NULL,                 -- HMAC: tells whether it changed, nothing else
  created_at    BIGINT NOT NULL,
  PRIMARY KEY (connection_id, version)
);

-- Admin consents that were asked for. The state comes back with the provider's
-- answer and is good once; only its hash is kept.
CREATE TABLE consent_requests (
  state_hash    TEXT PRIMARY KEY,
  connection_id TEXT NOT NULL REFERENCES connections(id),
  actor_id      TEXT NOT NULL,
  actor         TEXT NOT NULL,
  expires_at    BIGINT NOT NULL
);
CREATE INDEX consent_requests_connection ON consent_requests(connection_id);

CREATE TABLE verification_reports (
  connection_id TEXT PRIMARY KEY REFERENCES connections(id),
  workspace_id  TEXT NOT NULL,
  tenant_id     TEXT NOT NULL,
  run_id        TEXT NOT NULL,
  verdict       TEXT NOT NULL,
  reason        TEXT NOT NULL,
  checks        TEXT NOT NULL,
  at            BIGINT NOT NULL
);

CREATE TABLE runs (
  id            TEXT PRIMARY KEY,
  workspace_id  TEXT NOT NULL,
  tenant_id     TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  code          TEXT NOT NULL,                 -- what people call it: opaque, so that gaps tell nothing
  operation     TEXT NOT NULL,
  surface       TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('queued','running','cancelling','finished')),
  outcome       TEXT NOT NULL DEFAULT '' CHECK (outcome IN ('','succeeded','partial','failed','blocked','cancelled','lost')),
  cause         TEXT NOT NULL DEFAULT '',      -- JSON of op.Cause
  fingerprint   TEXT NOT NULL,
  parameters    TEXT NOT NULL,                 -- canonical, nothing secret
  target        TEXT NOT NULL,                 -- JSON of op.Target, frozen at the click
  initiator_id  TEXT NOT NULL,
  initiator     TEXT NOT NULL,
  fence         BIGINT NOT NULL,
  dispatch      BIGINT NOT NULL DEFAULT 1,
  done          BIGINT NOT NULL DEFAULT 0,
  failed        BIGINT NOT NULL DEFAULT 0,
  total         BIGINT NOT NULL DEFAULT 0,
  accepted_at   BIGINT NOT NULL,
  queue_until   BIGINT NOT NULL,
  began_at      BIGINT,
  run_until     BIGINT,
  ended_at      BIGINT,
  seen_at       BIGINT,                        -- last heartbeat
  progress_at   BIGINT,
  waiting_until BIGINT,
  waiting_for   TEXT NOT NULL DEFAULT '',
  cancel_by     TEXT NOT NULL DEFAULT '',      -- who asked to cancel or release it
  cancel_reason TEXT NOT NULL DEFAULT '',      -- op.Reason when not a person but a change stopped it
  cancel_note   TEXT NOT NULL DEFAULT '',
  CHECK ((state = 'finished') = (outcome <> '')),
  UNIQUE (workspace_id, code)
);
CREATE INDEX runs_list ON runs(workspace_id, id DESC);
CREATE INDEX runs_state ON runs(workspace_id, state, outcome, id DESC);
CREATE INDEX runs_operation ON runs(workspace_id, operation, id DESC);
CREATE INDEX runs_tenant ON runs(tenant_id, id DESC);
CREATE INDEX runs_connection ON runs(connection_id, id DESC);
CREATE INDEX runs_initiator ON runs(workspace_id, initiator_id, id DESC);

-- The scope slot: lock, dedupe record, lease and fence in one row, which exists
-- exactly while its run is not finished.
CREATE TABLE run_claims (
  scope       TEXT PRIMARY KEY,                -- the connection
  run_id      TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL,
  fence       BIGINT NOT NULL,
  lease_until BIGINT,                          -- NULL while queued
  heartbeat   BIGINT NOT NULL DEFAULT 0,       -- a counter: it tells life without a clock
  boot_id     TEXT NOT NULL DEFAULT '',        -- the process that works on it
  job_id      BIGINT NOT NULL DEFAULT 0,       -- the job that carries this fence
  sent_at     BIGINT NOT NULL                  -- when it was handed to the queue
);

CREATE TABLE run_items (
  run_id TEXT NOT NULL,
  key    TEXT NOT NULL,
  seq    BIGINT NOT NULL,
  name   TEXT NOT NULL,
  result TEXT NOT NULL,
  done   BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  total  BIGINT NOT NULL,
  reason TEXT NOT NULL,
  args   TEXT NOT NULL,
  at     BIGINT NOT NULL,
  PRIMARY KEY (run_id, key)
);
CREATE INDEX run_items_list ON run_items(run_id, seq);

CREATE TABLE run_events (
  run_id TEXT NOT NULL,
  seq    BIGINT NOT NULL,
  at     BIGINT NOT NULL,
  kind   TEXT NOT NULL,
  text   TEXT NOT NULL,
  fence  BIGINT NOT NULL,
  PRIMARY KEY (run_id, seq)
);

CREATE TABLE start_attempts (
  id            TEXT PRIMARY KEY,
  workspace_id  TEXT NOT NULL,
  tenant_id     TEXT NOT NULL,
  connection_id TEXT NOT NULL,                 -- empty: none could be resolved
  operation     TEXT NOT NULL,
  actor_id      TEXT NOT NULL,
  actor         TEXT NOT NULL,
  surface       TEXT NOT NULL,
  outcome       TEXT NOT NULL CHECK (outcome IN ('accepted','deduped','scope_busy','blocked')),
  reason        TEXT NOT NULL,                 -- the first, for filters
  causes        TEXT NOT NULL,
  run_id        TEXT,                          -- made or joined
  holder_id     TEXT,                          -- the run in the way
  seen          TEXT NOT NULL DEFAULT '',      -- JSON of op.RunRef: the run or holder as it was at the decision
  fingerprint   TEXT NOT NULL,
  parameters    TEXT NOT NULL,
  target        TEXT NOT NULL,                 -- JSON of op.Target, or empty
  facts         TEXT NOT NULL,                 -- what was known of the connection, and since when
  idem_key      TEXT NOT NULL,
  request_id    TEXT NOT NULL,
  at            BIGINT NOT NULL,
  last_at       BIGINT NOT NULL,
  presses       BIGINT NOT NULL DEFAULT 1,
  sameness      TEXT,                          -- identical refusals of one actor share it; NULL: never coalesced
  bucket        BIGINT
);
CREATE UNIQUE INDEX attempts_sameness ON start_attempts(sameness, bucket);
CREATE INDEX attempts_list ON start_attempts(workspace_id, id DESC);
CREATE INDEX attempts_outcome ON start_attempts(workspace_id, outcome, id DESC);
CREATE INDEX attempts_operation ON start_attempts(workspace_id, operation, id DESC);
CREATE INDEX attempts_actor ON start_attempts(workspace_id, actor_id, id DESC);
CREATE INDEX attempts_tenant ON start_attempts(tenant_id, id DESC);
CREATE INDEX attempts_run ON start_attempts(run_id, id);

-- Only decisions that made or joined a run are pinned.
CREATE TABLE idempotency_keys (
  workspace_id TEXT NOT NULL,
  actor_id     TEXT NOT NULL,
  key          TEXT NOT NULL,
  request      TEXT NOT NULL,                  -- JSON of the fields that must be the same
  attempt_id   TEXT NOT NULL,
  run_id       TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, actor_id, key)
);
CREATE INDEX idempotency_run ON idempotency_keys(run_id);

CREATE TABLE notifications (
  id           TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  user_id      TEXT NOT NULL,
  run_id       TEXT NOT NULL UNIQUE,           -- at most one a run
  created_at   BIGINT NOT NULL,
  read_at      BIGINT
);
CREATE INDEX notifications_list ON notifications(workspace_id, user_id, id DESC);

CREATE TABLE audit_heads (
  workspace_id TEXT PRIMARY KEY,
  seq          BIGINT NOT NULL,
  hash         TEXT NOT NULL
);
CREATE TABLE audit_log (
  workspace_id TEXT NOT NULL,
  seq          BIGINT NOT NULL,                -- without gaps
  at           BIGINT NOT NULL,
  actor_id     TEXT NOT NULL,
  actor        TEXT NOT NULL,
  action       TEXT NOT NULL,
  object       TEXT NOT NULL,
  data         TEXT NOT NULL,
  hash         TEXT NOT NULL,                  -- SHA-256 over the previous hash and this row
  PRIMARY KEY (workspace_id, seq)
);

-- What operations read. Rows of a round become visible when the dataset points at its generation.
CREATE TABLE datasets (
  connection_id TEXT NOT NULL,
  name          TEXT NOT NULL,
  workspace_id  TEXT NOT NULL,
  tenant_id     TEXT NOT NULL,
  generation    BIGINT NOT NULL,               -- 0: nothing was ever committed
  next          BIGINT NOT NULL,               -- the next free generation
  full_round    BOOLEAN NOT NULL DEFAULT TRUE, -- whether the last round begun replaces all rows
  as_of         BIGINT,
  row_count     BIGINT NOT NULL DEFAULT 0,
  delta         TEXT NOT NULL DEFAULT '',
  delta_at      BIGINT,
  stale_reason  TEXT NOT NULL DEFAULT '',      -- why the last try kept the old rows
  run_id        TEXT NOT NULL,
  unswept       BOOLEAN NOT NULL DEFAULT FALSE, -- there may be rows that no reader can reach any more
  PRIMARY KEY (connection_id, name)
);
CREATE INDEX datasets_unswept ON datasets(connection_id, name) WHERE unswept;
CREATE TABLE records (
  connection_id TEXT NOT NULL,
  dataset       TEXT NOT NULL,
  generation    BIGINT NOT NULL,
  parent        TEXT COLLATE "C" NOT NULL,
  id            TEXT COLLATE "C" NOT NULL,
  name          TEXT NOT NULL,
  name_key      TEXT COLLATE "C" NOT NULL,
  type          TEXT NOT NULL,
  modified_at   TEXT NOT NULL,
  gone          BOOLEAN NOT NULL DEFAULT FALSE, -- staged removal of an incremental round
  data          TEXT NOT NULL,
  PRIMARY KEY (connection_id, dataset, generation, parent, id)
);
CREATE INDEX records_name ON records(connection_id, dataset, generation, parent, name_key, id);

-- +goose Down
DROP TABLE records; DROP TABLE datasets; DROP TABLE audit_log; DROP TABLE audit_heads; DROP TABLE notifications;
DROP TABLE idempotency_keys; DROP TABLE start_attempts; DROP TABLE run_events; DROP TABLE run_items; DROP TABLE run_claims;
DROP TABLE runs; DROP TABLE verification_reports; DROP TABLE consent_requests; DROP TABLE credentials; DROP TABLE connections; DROP TABLE member_tenants;
DROP TABLE tenants; DROP TABLE sign_in_budget; DROP TABLE bootstraps; DROP TABLE tokens; DROP TABLE members; DROP TABLE workspaces; DROP TABLE users;
