-- What is not secret of a saved credential: the thumbprints of a certificate; issuer,
-- subject and audience of a workload identity.

-- +goose Up
ALTER TABLE connections ADD COLUMN credential_details TEXT NOT NULL DEFAULT '{}'; -- JSON

-- +goose Down
ALTER TABLE connections DROP COLUMN credential_details;
