-- The rotation of keys, and the key that signs exports of the audit trail.

-- +goose Up

-- When the data key of a workspace was made.
ALTER TABLE workspaces ADD COLUMN keyset_at BIGINT NOT NULL DEFAULT 0;
UPDATE workspaces SET keyset_at = created_at;

-- The rotation of data keys that is under way, one at most: every data key from
-- before started_at is replaced. It is there until all of them are.
CREATE TABLE key_rotations (
  one        BIGINT PRIMARY KEY CHECK (one = 1),
  started_at BIGINT NOT NULL
);

-- Secrets of the installation itself, sealed by the root key.
CREATE TABLE server_secrets (
  name       TEXT PRIMARY KEY,
  sealed     TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE server_secrets;
DROP TABLE key_rotations;
ALTER TABLE workspaces DROP COLUMN keyset_at;
