-- The type of a directory group stands in its row, so that a list of one type is
-- one range of an index, by name. The names are those of tenancy.GroupType.

-- +goose Up

-- What was read before gets its type from what the provider wrote. The properties
-- were written by us without spaces; quotes inside of texts are escaped.
UPDATE records SET type = rtrim(
  CASE WHEN data LIKE '%"groupTypes":[%"DynamicMembership"%' THEN 'dynamic_' ELSE '' END ||
  CASE
    WHEN data LIKE '%"groupTypes":[%"Unified"%' THEN 'microsoft_365'
    WHEN data LIKE '%"securityEnabled":true%' AND data LIKE '%"mailEnabled":true%' THEN 'mail_enabled_security'
    WHEN data LIKE '%"securityEnabled":true%' THEN 'security'
    WHEN data LIKE '%"mailEnabled":true%' THEN 'distribution'
    ELSE ''
  END, '_')
WHERE dataset = 'groups';

-- Without the dataset: PostgreSQL takes it for said by the predicate, and would
-- read past a gap in the key.
CREATE INDEX records_group_type ON records(connection_id, generation, type, name_key, id) WHERE dataset = 'groups';

-- +goose Down
DROP INDEX records_group_type;
UPDATE records SET type = '' WHERE dataset = 'groups';
