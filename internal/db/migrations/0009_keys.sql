-- The rotation of keys, the key that signs exports of the audit trail, and indexes
-- that start at what a reader may see.

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

-- What someone asks for by its name is looked for at each of their tenants, so that
-- the row of another tenant is never touched: see access.Scope.WhereOne.
CREATE INDEX runs_seen_id ON runs((tenant_id || '/' || id));
CREATE INDEX runs_seen_code ON runs((tenant_id || '/' || code));
CREATE INDEX attempts_seen ON start_attempts((tenant_id || '/' || id));
CREATE INDEX notifications_own ON notifications((user_id || '/' || id));

-- What counts for nothing any more is found from its oldest end.
CREATE INDEX tokens_expired ON tokens(expires_at);
CREATE INDEX tokens_revoked ON tokens(revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sign_in_since ON sign_in_budget(since);
CREATE INDEX sign_in_failures ON sign_in_budget(since) WHERE failures > 0;
CREATE INDEX consent_requests_expired ON consent_requests(expires_at);

-- +goose Down
DROP INDEX consent_requests_expired; DROP INDEX sign_in_failures; DROP INDEX sign_in_since; DROP INDEX tokens_revoked; DROP INDEX tokens_expired;
DROP INDEX notifications_own; DROP INDEX attempts_seen; DROP INDEX runs_seen_code; DROP INDEX runs_seen_id;
DROP TABLE server_secrets;
DROP TABLE key_rotations;
ALTER TABLE workspaces DROP COLUMN keyset_at;
