-- Why a sign-in is refused is a reason of its own, not one state of the credential;
-- what a provider answered is kept with what failed; a stored fact can be told from
-- one that was learnt before the last change.

-- +goose Up
ALTER TABLE connections ADD COLUMN sign_in_refusal TEXT NOT NULL DEFAULT ''; -- an op.Reason; empty: it is not refused
ALTER TABLE connections ADD COLUMN sign_in_refused_at BIGINT;
ALTER TABLE connections ADD COLUMN changed_at BIGINT; -- when credential, application, directory or cloud were last changed
UPDATE connections SET sign_in_refusal = 'credential_invalid', sign_in_refused_at = credential_checked_at WHERE credential_state = 'invalid';
ALTER TABLE run_items ADD COLUMN evidence TEXT NOT NULL DEFAULT ''; -- JSON of op.Evidence

-- +goose Down
ALTER TABLE run_items DROP COLUMN evidence;
ALTER TABLE connections DROP COLUMN changed_at;
ALTER TABLE connections DROP COLUMN sign_in_refused_at;
ALTER TABLE connections DROP COLUMN sign_in_refusal;
