-- Fresh sign-ins and second factors.

-- +goose Up

-- When the person behind a session last proved who they are. 0: never, as for the
-- tokens of programs, and for sessions from before this migration.
ALTER TABLE tokens ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;

-- Whether members can work in the workspace only with a second factor.
ALTER TABLE workspaces ADD COLUMN requires_factor BOOLEAN NOT NULL DEFAULT FALSE;

-- What people prove beside a password. A factor belongs to a person, in all of
-- their workspaces.
CREATE TABLE factors (
  id           TEXT PRIMARY KEY,
  user_id      TEXT NOT NULL REFERENCES users(id),
  kind         TEXT NOT NULL CHECK (kind IN ('totp','passkey')),
  name         TEXT NOT NULL,
  sealed       TEXT NOT NULL DEFAULT '',       -- of an authenticator app: its secret, sealed by the root key for this row
  step         BIGINT NOT NULL DEFAULT 0,      -- of an authenticator app: the last step of time whose code was taken
  handle       TEXT UNIQUE,                    -- of a passkey: what it calls itself
  passkey      TEXT NOT NULL DEFAULT '',       -- of a passkey: public key, counter and flags, as JSON
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT
);
CREATE INDEX factors_user ON factors(user_id, id);

-- Codes for those who lost their factors. Only hashes are kept.
CREATE TABLE recovery_codes (
  user_id TEXT NOT NULL REFERENCES users(id),
  hash    TEXT NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (user_id, hash)
);

-- What waits for an answer for some minutes: sign-ins whose password was right, and
-- questions to authenticator apps and passkeys. None of them is a session.
CREATE TABLE ceremonies (
  id         TEXT PRIMARY KEY,                 -- hash of a secret, or kind and session
  kind       TEXT NOT NULL,
  user_id    TEXT NOT NULL,                    -- empty: not known yet
  data       TEXT NOT NULL,                    -- JSON
  tries      BIGINT NOT NULL DEFAULT 0,
  expires_at BIGINT NOT NULL
);
CREATE INDEX ceremonies_user ON ceremonies(user_id);
CREATE INDEX ceremonies_expired ON ceremonies(expires_at);

-- +goose Down
DROP TABLE ceremonies; DROP TABLE recovery_codes; DROP TABLE factors;
ALTER TABLE workspaces DROP COLUMN requires_factor;
ALTER TABLE tokens DROP COLUMN proved_at;
