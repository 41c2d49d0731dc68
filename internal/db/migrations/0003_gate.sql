-- What the house needs to look at little, and what tells the second of two people
-- who was first.

-- +goose Up

-- Jobs in a row that were lost before a worker began: their number is bounded.
ALTER TABLE run_claims ADD COLUMN resends BIGINT NOT NULL DEFAULT 0;

-- Until when a run may wait in line: the house looks through the line only, not
-- through the runs.
ALTER TABLE run_claims ADD COLUMN queue_until BIGINT NOT NULL DEFAULT 0;
UPDATE run_claims SET queue_until = COALESCE((SELECT r.queue_until FROM runs r WHERE r.id = run_claims.run_id), 0);

-- When cancel_by asked to cancel or released the run.
ALTER TABLE runs ADD COLUMN cancel_at BIGINT;

-- Slots with a worker: a few, however many runs are in line.
CREATE INDEX run_claims_leased ON run_claims(lease_until) WHERE lease_until IS NOT NULL;

-- +goose Down
DROP INDEX run_claims_leased;
ALTER TABLE runs DROP COLUMN cancel_at;
ALTER TABLE run_claims DROP COLUMN queue_until;
ALTER TABLE run_claims DROP COLUMN resends;
