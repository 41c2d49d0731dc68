-- The journal of changes at a provider: what a run was about to do, committed before
-- each call, and what came of it.

-- +goose Up
CREATE TABLE run_journal (
  run_id      TEXT NOT NULL,
  step        TEXT NOT NULL,                 -- the operation's name for the call, the same in every dispatch
  seq         BIGINT NOT NULL,               -- order of the first intents
  item        TEXT NOT NULL,                 -- key in run_items of what the call is for
  name        TEXT NOT NULL,                 -- of the item, as people know it
  call        TEXT NOT NULL,                 -- method and path
  body_hash   TEXT NOT NULL,                 -- SHA-256 of the body; the body itself is not kept
  look        TEXT NOT NULL,                 -- for people: where to look when the result is not known
  marker      TEXT NOT NULL,                 -- for the operation: how to find the object again
  fence       BIGINT NOT NULL,               -- of the dispatch that last intended it
  tries       BIGINT NOT NULL,               -- how often it was sent, or may have been
  state       TEXT NOT NULL CHECK (state IN ('open','not_made','done','failed','unknown')),
  kept        TEXT NOT NULL DEFAULT '',      -- what later steps need of the answer
  intended_at BIGINT NOT NULL,
  settled_at  BIGINT,
  PRIMARY KEY (run_id, step)
);

-- The dispatch that reported an item.
ALTER TABLE run_items ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE run_items DROP COLUMN fence;
DROP TABLE run_journal;
