-- Fresh sign-ins.

-- +goose Up

-- When the person behind a session last proved who they are. 0: never, as for the
-- tokens of programs, and for sessions from before this migration.
ALTER TABLE tokens ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE tokens DROP COLUMN proved_at;
