-- Lists, counts and retention read what they show, however long the history is:
-- each starts at a range of an index that holds little else.

-- +goose Up

-- Slots and notifications say where they belong, so that counting them reads no runs.
ALTER TABLE run_claims ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
ALTER TABLE run_claims ADD COLUMN tenant_id TEXT NOT NULL DEFAULT '';
UPDATE run_claims SET workspace_id = COALESCE((SELECT r.workspace_id FROM runs r WHERE r.id = run_claims.run_id), ''),
  tenant_id = COALESCE((SELECT r.tenant_id FROM runs r WHERE r.id = run_claims.run_id), '');
CREATE INDEX run_claims_tenant ON run_claims(workspace_id, tenant_id, run_id);

ALTER TABLE notifications ADD COLUMN tenant_id TEXT NOT NULL DEFAULT '';
UPDATE notifications SET tenant_id = COALESCE((SELECT r.tenant_id FROM runs r WHERE r.id = notifications.run_id), '');
DROP INDEX notifications_list;
CREATE INDEX notifications_list ON notifications(workspace_id, user_id, id COLLATE "C" DESC);
CREATE INDEX notifications_unread ON notifications(workspace_id, user_id, id COLLATE "C" DESC, tenant_id) WHERE read_at IS NULL;

-- Every list is one or a few ranges of an index in the order of ids. Two filters
-- that people combine are one range; the columns behind id are never changed, and
-- spare a look at the row where another filter drops it. What begins at a tenant
-- or a person does not begin at the workspace, so that a planner that knows
-- nothing of the rows does not take one for the other. And the order is that of
-- bytes, by name: PostgreSQL would rather walk down the primary key and drop what
-- is somebody else's, which it expects to end soon, if that had the same order.
DROP INDEX runs_list;
CREATE INDEX runs_list ON runs(workspace_id, id COLLATE "C" DESC);
DROP INDEX runs_state;
CREATE INDEX runs_state ON runs(workspace_id, state, outcome, id COLLATE "C" DESC);
DROP INDEX runs_operation;
CREATE INDEX runs_operation ON runs(workspace_id, operation, state, outcome, id COLLATE "C" DESC);
DROP INDEX runs_tenant;
CREATE INDEX runs_tenant ON runs(tenant_id, id COLLATE "C" DESC, operation, initiator_id);
CREATE INDEX runs_tenant_state ON runs(tenant_id, state, outcome, id COLLATE "C" DESC);
CREATE INDEX runs_tenant_operation ON runs(tenant_id, operation, state, outcome, id COLLATE "C" DESC);
DROP INDEX runs_connection;
CREATE INDEX runs_connection ON runs(connection_id, id COLLATE "C" DESC);
CREATE INDEX runs_connection_operation ON runs(connection_id, operation, state, outcome, id COLLATE "C" DESC);
DROP INDEX runs_initiator;
CREATE INDEX runs_initiator ON runs(initiator_id, state, outcome, id COLLATE "C" DESC, operation);

DROP INDEX attempts_list;
CREATE INDEX attempts_list ON start_attempts(workspace_id, id COLLATE "C" DESC);
DROP INDEX attempts_outcome;
CREATE INDEX attempts_outcome ON start_attempts(workspace_id, outcome, id COLLATE "C" DESC);
DROP INDEX attempts_operation;
CREATE INDEX attempts_operation ON start_attempts(workspace_id, operation, outcome, id COLLATE "C" DESC);
DROP INDEX attempts_tenant;
CREATE INDEX attempts_tenant ON start_attempts(tenant_id, outcome, id COLLATE "C" DESC);
DROP INDEX attempts_actor;
CREATE INDEX attempts_actor ON start_attempts(actor_id, outcome, id COLLATE "C" DESC, operation);
DROP INDEX attempts_run;
CREATE INDEX attempts_run ON start_attempts(run_id, id COLLATE "C");

-- Retention: refusals by their age. Everything else is found by the id of its run.
CREATE INDEX attempts_refused ON start_attempts(last_at) WHERE run_id IS NULL;

-- The readiness that a tenant was last judged to have, to find tenants by. It
-- holds until readiness_until (NULL: no time ends it; 0: it was never judged), and
-- while no connection of the tenant has another revision than it was judged at.
ALTER TABLE tenants ADD COLUMN readiness TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN readiness_until BIGINT DEFAULT 0;
CREATE INDEX tenants_readiness ON tenants(workspace_id, readiness, name_key, id);
CREATE INDEX tenants_readiness_until ON tenants(workspace_id, readiness_until) WHERE readiness_until IS NOT NULL;
ALTER TABLE connections ADD COLUMN judged_rev BIGINT NOT NULL DEFAULT 0;
CREATE INDEX connections_list ON connections(workspace_id, name_key, id);
-- Not a partial index: PostgreSQL counts the values of an expression that is indexed,
-- and so learns that those above 0 are few.
CREATE INDEX connections_unjudged ON connections(workspace_id, (rev - judged_rev), tenant_id);

-- The newest run that has ended.
ALTER TABLE tenants ADD COLUMN latest_run TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN latest_outcome TEXT NOT NULL DEFAULT '';
UPDATE tenants SET latest_run = COALESCE((SELECT MAX(r.id) FROM runs r WHERE r.tenant_id = tenants.id AND r.state = 'finished'), '');
UPDATE tenants SET latest_outcome = COALESCE((SELECT r.outcome FROM runs r WHERE r.id = tenants.latest_run), '');

-- +goose Down
ALTER TABLE tenants DROP COLUMN latest_outcome;
ALTER TABLE tenants DROP COLUMN latest_run;
DROP INDEX connections_unjudged;
DROP INDEX connections_list;
ALTER TABLE connections DROP COLUMN judged_rev;
DROP INDEX tenants_readiness_until;
DROP INDEX tenants_readiness;
ALTER TABLE tenants DROP COLUMN readiness_until;
ALTER TABLE tenants DROP COLUMN readiness;
DROP INDEX attempts_refused;
DROP INDEX attempts_run;
CREATE INDEX attempts_run ON start_attempts(run_id, id);
DROP INDEX attempts_actor;
CREATE INDEX attempts_actor ON start_attempts(workspace_id, actor_id, id DESC);
DROP INDEX attempts_tenant;
CREATE INDEX attempts_tenant ON start_attempts(tenant_id, id DESC);
DROP INDEX attempts_operation;
CREATE INDEX attempts_operation ON start_attempts(workspace_id, operation, id DESC);
DROP INDEX attempts_outcome;
CREATE INDEX attempts_outcome ON start_attempts(workspace_id, outcome, id DESC);
DROP INDEX attempts_list;
CREATE INDEX attempts_list ON start_attempts(workspace_id, id DESC);
DROP INDEX runs_initiator;
CREATE INDEX runs_initiator ON runs(workspace_id, initiator_id, id DESC);
DROP INDEX runs_connection_operation;
DROP INDEX runs_connection;
CREATE INDEX runs_connection ON runs(connection_id, id DESC);
DROP INDEX runs_tenant_operation;
DROP INDEX runs_tenant_state;
DROP INDEX runs_tenant;
CREATE INDEX runs_tenant ON runs(tenant_id, id DESC);
DROP INDEX runs_operation;
CREATE INDEX runs_operation ON runs(workspace_id, operation, id DESC);
DROP INDEX runs_state;
CREATE INDEX runs_state ON runs(workspace_id, state, outcome, id DESC);
DROP INDEX runs_list;
CREATE INDEX runs_list ON runs(workspace_id, id DESC);
DROP INDEX notifications_list;
CREATE INDEX notifications_list ON notifications(workspace_id, user_id, id DESC);
DROP INDEX notifications_unread;
ALTER TABLE notifications DROP COLUMN tenant_id;
DROP INDEX run_claims_tenant;
ALTER TABLE run_claims DROP COLUMN tenant_id;
ALTER TABLE run_claims DROP COLUMN workspace_id;
