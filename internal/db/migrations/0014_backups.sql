-- Backups of policies. Contents are kept once for each workspace, by their hash. See
-- decisions 45 and 46.

-- +goose Up
CREATE TABLE backup_blobs (
  workspace_id TEXT NOT NULL,
  hash         TEXT COLLATE "C" NOT NULL,     -- SHA-256 of the content, hex
  size         BIGINT NOT NULL,               -- of the content, in bytes
  data         BYTEA NOT NULL,                -- the content, compressed by zstd
  used_at      BIGINT NOT NULL,
  CONSTRAINT backup_blobs_key PRIMARY KEY (workspace_id, hash)
);

CREATE TABLE backup_sets (
  id           TEXT COLLATE "C" PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  tenant_id    TEXT NOT NULL,
  directory_id TEXT NOT NULL,                 -- GUID of the source; empty for files that don't name it
  run_id       TEXT NOT NULL,                 -- empty for an upload
  state        TEXT NOT NULL,                 -- building | kept | removed
  origin       TEXT NOT NULL,                 -- run | upload
  tool         TEXT NOT NULL,                 -- of an upload: what wrote the files
  layout       TEXT NOT NULL,
  as_of        BIGINT NOT NULL,               -- when reading began
  types        TEXT NOT NULL,                 -- JSON: each type with its number of policies, or why it was not read
  complete     BOOLEAN NOT NULL,              -- every type was read, and every policy with all of its parts
  items        BIGINT NOT NULL,
  incomplete   BIGINT NOT NULL,               -- items that lack a part
  size         BIGINT NOT NULL,               -- of all contents, in bytes
  pinned       BOOLEAN NOT NULL
);
CREATE INDEX backup_sets_tenant ON backup_sets(tenant_id, state, id);
CREATE INDEX backup_sets_run ON backup_sets(run_id);
CREATE INDEX backup_sets_gone ON backup_sets(state, id) WHERE state <> 'kept';

CREATE TABLE backup_items (
  set_id      TEXT COLLATE "C" NOT NULL,
  type        TEXT COLLATE "C" NOT NULL,
  object_id   TEXT COLLATE "C" NOT NULL,
  tenant_id   TEXT NOT NULL,
  name        TEXT NOT NULL,
  name_key    TEXT COLLATE "C" NOT NULL,
  modified_at TEXT NOT NULL,                  -- as the provider wrote it
  hash        TEXT NOT NULL,                  -- of the normal form: equal policies have equal hashes
  missing     TEXT NOT NULL,                  -- JSON: parts that could not be read, with reasons; [] if none
  incomplete  BOOLEAN NOT NULL,
  CONSTRAINT backup_items_key PRIMARY KEY (set_id, type, object_id)
);
CREATE INDEX backup_items_name ON backup_items(set_id, name_key, type, object_id);
CREATE INDEX backup_items_versions ON backup_items(tenant_id, type, object_id, set_id);

-- The contents of an item: the object (empty part), its assignments, and its other parts.
CREATE TABLE backup_parts (
  set_id       TEXT COLLATE "C" NOT NULL,
  type         TEXT COLLATE "C" NOT NULL,
  object_id    TEXT COLLATE "C" NOT NULL,
  part         TEXT COLLATE "C" NOT NULL,
  workspace_id TEXT NOT NULL,
  hash         TEXT COLLATE "C" NOT NULL,
  CONSTRAINT backup_parts_key PRIMARY KEY (set_id, type, object_id, part)
);
CREATE INDEX backup_parts_hash ON backup_parts(workspace_id, hash);

-- How long the backups of a workspace's tenants are kept.
CREATE TABLE backup_rules (
  workspace_id TEXT PRIMARY KEY,
  newest       BIGINT NOT NULL,
  daily        BIGINT NOT NULL,
  monthly      BIGINT NOT NULL
);

-- +goose Down
DROP TABLE backup_rules;
DROP TABLE backup_parts;
DROP TABLE backup_items;
DROP TABLE backup_sets;
DROP TABLE backup_blobs;
