-- One-time links: invitations to a workspace, and new passwords. Only a hash of a
-- link is kept.

-- +goose Up
CREATE TABLE invitations (
  id           TEXT PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL REFERENCES workspaces(id),
  email        TEXT NOT NULL,                 -- lower case; whether it has an account is not looked at
  role         TEXT NOT NULL CHECK (role IN ('owner','operator','viewer')),
  denied       TEXT NOT NULL,                 -- as in members
  all_tenants  BOOLEAN NOT NULL,
  tenants      TEXT NOT NULL,                 -- JSON list of ids, unless all
  inviter_id   TEXT NOT NULL,                 -- empty: the server's administrator
  inviter      TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  ended_at     BIGINT                         -- used or revoked; the audit trail says which
);
CREATE INDEX invitations_workspace ON invitations(workspace_id, id);
CREATE INDEX invitations_expired ON invitations(expires_at);

CREATE TABLE password_resets (
  id           TEXT PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,
  user_id      TEXT NOT NULL REFERENCES users(id),
  workspace_id TEXT NOT NULL,                 -- whose owner made it; empty: the server's administrator
  maker_id     TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  ended_at     BIGINT                         -- used, or a newer one was made
);
CREATE INDEX password_resets_user ON password_resets(user_id);
CREATE INDEX password_resets_expired ON password_resets(expires_at);

-- +goose Down
DROP TABLE password_resets; DROP TABLE invitations;
