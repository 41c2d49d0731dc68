-- A row of a dataset is found by its generation, which belongs to one dataset of
-- one connection: the connection and the dataset no longer stand in every row and
-- in every index. Lists of all types and of one type are ranges of an index, in the
-- order of names. See decision 33.

-- +goose Up

CREATE TABLE records_new (
  generation  BIGINT NOT NULL,
  id          TEXT COLLATE "C" NOT NULL,
  name        TEXT NOT NULL,
  name_key    TEXT COLLATE "C" NOT NULL,       -- lower case, for order and search
  type        TEXT NOT NULL,
  modified_at TEXT NOT NULL,                   -- as the provider wrote it
  data        TEXT NOT NULL,                   -- JSON, as the provider wrote it
  CONSTRAINT records_key PRIMARY KEY (generation, id)
);
INSERT INTO records_new (generation, id, name, name_key, type, modified_at, data)
  SELECT generation, id, name, name_key, type, modified_at, data FROM records WHERE parent = '';
DROP TABLE records;
ALTER TABLE records_new RENAME TO records;
CREATE INDEX records_name ON records(generation, name_key, id);
CREATE INDEX records_type ON records(generation, type, name_key, id);

-- Tenants of one status are a range, in the order of names.
CREATE INDEX tenants_status ON tenants(workspace_id, status, name_key, id);

-- Until when a run may wait in the queue stands with its claim.
ALTER TABLE runs DROP COLUMN queue_until;

-- +goose Down
DROP INDEX tenants_status;
ALTER TABLE runs ADD COLUMN queue_until BIGINT NOT NULL DEFAULT 0;
CREATE TABLE records_old (
  connection_id TEXT NOT NULL,
  dataset       TEXT NOT NULL,
  generation    BIGINT NOT NULL,
  parent        TEXT COLLATE "C" NOT NULL,
  id            TEXT COLLATE "C" NOT NULL,
  name          TEXT NOT NULL,
  name_key      TEXT COLLATE "C" NOT NULL,
  type          TEXT NOT NULL,
  modified_at   TEXT NOT NULL,
  data          TEXT NOT NULL,
  PRIMARY KEY (connection_id, dataset, generation, parent, id)
);
INSERT INTO records_old (connection_id, dataset, generation, parent, id, name, name_key, type, modified_at, data)
  SELECT g.connection_id, g.dataset, r.generation, '', r.id, r.name, r.name_key, r.type, r.modified_at, r.data
  FROM records r JOIN generations g ON g.id = r.generation;
DROP TABLE records;
ALTER TABLE records_old RENAME TO records;
CREATE INDEX records_name ON records(connection_id, dataset, generation, parent, name_key, id);
CREATE INDEX records_group_type ON records(connection_id, generation, type, name_key, id) WHERE dataset = 'groups';
