-- Members of groups have a table of their own, with compact rows. A generation
-- is one set of rows of a dataset; it has a number that no other dataset shares,
-- counts its rows as they are written, and is retired when no reader can reach it.
-- 0006_memberships.postgres.sql does the same there: number columns, WITHOUT ROWID
-- and the conversion of ids have no common text.

-- +goose Up

CREATE TABLE generations (
  id            INTEGER PRIMARY KEY,
  connection_id TEXT NOT NULL,
  dataset       TEXT NOT NULL,
  row_count     BIGINT NOT NULL DEFAULT 0,
  member_count  BIGINT NOT NULL DEFAULT 0,
  retired       BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX generations_retired ON generations(id) WHERE retired;
CREATE INDEX generations_connection ON generations(connection_id, dataset);

-- An id is the 16 bytes of a GUID. Any other id is its text, filled up with NUL
-- bytes to at least 17.
CREATE TABLE memberships (
  generation BIGINT NOT NULL,
  group_id   BLOB NOT NULL,
  member_id  BLOB NOT NULL,
  type       TEXT NOT NULL,                     -- a letter for each documented type, else as the provider wrote it
  PRIMARY KEY (generation, group_id, member_id)
) WITHOUT ROWID;
-- Groups inside of groups are the members that have names here. The type stands in the
-- key too: without it SQLite takes the primary key and reads every member.
CREATE INDEX memberships_nested ON memberships(generation, group_id, type, member_id) WHERE type = 'g';
CREATE TABLE group_sizes (
  generation BIGINT NOT NULL,
  group_id   BLOB NOT NULL,
  members    BIGINT NOT NULL,
  PRIMARY KEY (generation, group_id)
) WITHOUT ROWID;

-- Only what readers see is kept.
DELETE FROM records WHERE gone OR NOT EXISTS (SELECT 1 FROM datasets d WHERE d.connection_id = records.connection_id
  AND d.name = records.dataset AND d.generation = records.generation);
INSERT INTO generations (connection_id, dataset, row_count)
  SELECT connection_id, name, row_count FROM datasets WHERE generation > 0 AND name <> 'group_members' ORDER BY connection_id, name;
INSERT INTO memberships (generation, group_id, member_id, type)
  SELECT g.id,
    CASE WHEN r.parent GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
      THEN unhex(replace(r.parent, '-', ''))
      ELSE unhex(hex(r.parent) || substr('0000000000000000000000000000000000', 1 + length(hex(r.parent)))) END,
    CASE WHEN r.id GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
      THEN unhex(replace(r.id, '-', ''))
      ELSE unhex(hex(r.id) || substr('0000000000000000000000000000000000', 1 + length(hex(r.id)))) END,
    CASE r.type WHEN '#microsoft.graph.user' THEN 'u' WHEN '#microsoft.graph.device' THEN 'd' WHEN '#microsoft.graph.group' THEN 'g'
      WHEN '#microsoft.graph.servicePrincipal' THEN 's' WHEN '#microsoft.graph.orgContact' THEN 'c' ELSE r.type END
  FROM records r JOIN generations g ON g.connection_id = r.connection_id AND g.dataset = 'groups'
  WHERE r.dataset = 'group_members' AND r.parent <> '';
DELETE FROM records WHERE dataset = 'group_members';
INSERT INTO group_sizes (generation, group_id, members) SELECT generation, group_id, COUNT(*) FROM memberships GROUP BY generation, group_id;
UPDATE generations SET member_count = (SELECT COALESCE(SUM(s.members), 0) FROM group_sizes s WHERE s.generation = generations.id);
UPDATE records SET generation = (SELECT g.id FROM generations g WHERE g.connection_id = records.connection_id AND g.dataset = records.dataset);
ALTER TABLE records DROP COLUMN gone;

-- Groups and members were two datasets that went on from one token. Where the two
-- differ, the next sync reads everything.
UPDATE datasets SET delta = '', delta_at = NULL WHERE name = 'groups' AND delta <> COALESCE((SELECT m.delta FROM datasets m
  WHERE m.connection_id = datasets.connection_id AND m.name = 'group_members'), '');
DELETE FROM datasets WHERE name = 'group_members';
UPDATE datasets SET generation = COALESCE((SELECT g.id FROM generations g WHERE g.connection_id = datasets.connection_id AND g.dataset = datasets.name), 0);
DROP INDEX datasets_unswept;
ALTER TABLE datasets DROP COLUMN next;
ALTER TABLE datasets DROP COLUMN full_round;
ALTER TABLE datasets DROP COLUMN unswept;
ALTER TABLE datasets ADD COLUMN staged BIGINT NOT NULL DEFAULT 0;       -- generation of the round in progress; 0: none
ALTER TABLE datasets ADD COLUMN member_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE datasets ADD COLUMN unreadable BIGINT NOT NULL DEFAULT 0;   -- objects that came and could not be kept
UPDATE datasets SET member_count = COALESCE((SELECT g.member_count FROM generations g WHERE g.id = datasets.generation), 0);

-- +goose Down
ALTER TABLE datasets DROP COLUMN unreadable;
ALTER TABLE datasets DROP COLUMN member_count;
ALTER TABLE datasets DROP COLUMN staged;
ALTER TABLE datasets ADD COLUMN next BIGINT NOT NULL DEFAULT 1;
ALTER TABLE datasets ADD COLUMN full_round BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE datasets ADD COLUMN unswept BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE datasets SET next = generation + 1, delta = '';
CREATE INDEX datasets_unswept ON datasets(connection_id, name) WHERE unswept;
ALTER TABLE records ADD COLUMN gone BOOLEAN NOT NULL DEFAULT FALSE;
DROP TABLE group_sizes; DROP TABLE memberships; DROP TABLE generations;
