package worker

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
	"github.com/interlock-dev/interlock/internal/restore"
)

// Restores of these tests can be stopped at the points of [stops].
func init() {
	def, err := catalogue.Lookup(catalogue.PolicyRestore)
	if err != nil {
		panic(err)
	}
	run := def.Run
	def.Run = func(ctx context.Context, env *catalogue.Env) error {
		p := &process{}
		p.changed = sync.NewCond(&p.mu)
		hooks := stops.hooks()
		s := stopping{recording{env.Journal, p}, sending{env.Writer, p}, func(point string) {
			latest.Store(p)
			hooks(point)
		}}
		env.Journal, env.Writer, env.Report, env.Provider = s, s, telling{env.Report, p}, asking{env.Provider, p}
		return run(ctx, env)
	}
}

// process is what dies with a worker: all that a dispatch does at the same time.
type process struct {
	mu      sync.Mutex
	changed *sync.Cond
	inside  int // calls under way
	dead    bool
}

var latest atomic.Pointer[process] // whose dispatch came to a point last

// die returns once nothing is under way. Later calls wait for wake.
func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.dead = true; p.inside > 0; {
		p.changed.Wait()
	}
}

func (p *process) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = false
	p.changed.Broadcast()
}

// enter begins a call and returns what ends it.
func (p *process) enter() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.dead {
		p.changed.Wait()
	}
	p.inside++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.inside--
		p.changed.Broadcast()
	}
}

type recording struct {
	catalogue.Journal
	p *process
}

func (r recording) Intend(ctx context.Context, s catalogue.Step) error {
	defer r.p.enter()()
	return r.Journal.Intend(ctx, s)
}

func (r recording) Settle(ctx context.Context, key string, s catalogue.Settled) error {
	defer r.p.enter()()
	return r.Journal.Settle(ctx, key, s)
}

type sending struct {
	catalogue.Writer
	p *process
}

func (w sending) Write(ctx context.Context, key string) (provider.Answer, error) {
	defer w.p.enter()()
	return w.Writer.Write(ctx, key)
}

type asking struct {
	provider.Client
	p *process
}

func (a asking) Page(ctx context.Context, next string) (provider.Page, error) {
	defer a.p.enter()()
	return a.Client.Page(ctx, next)
}

func (a asking) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	defer a.p.enter()()
	return a.Client.Batch(ctx, paths)
}

type telling struct {
	catalogue.Report
	p *process
}

func (t telling) Item(ctx context.Context, item op.Item) error {
	defer t.p.enter()()
	return t.Report.Item(ctx, item)
}

func (t telling) Progress(ctx context.Context, c op.Counts) error {
	defer t.p.enter()()
	return t.Report.Progress(ctx, c)
}

// dies kills a restore at a point: with everything that it does at the same time.
func (b *branch) dies(run, point string) (wake func()) {
	b.t.Helper()
	stands, wakes, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stops.set(point, func() {
		p := latest.Load()
		p.die()
		close(stands)
		<-wakes
		p.wake()
	})
	c := b.claim(run)
	go func() {
		defer close(done)
		b.w.handle(context.WithoutCancel(b.t.Context()), c.JobID, queue.Args{RunID: run, Fence: c.Fence})
	}()
	select {
	case <-stands:
	case <-done:
		b.t.Fatalf("the dispatch did not come to %q: %s; bad items: %s", point, b.ended(run), b.badItems(run))
	}
	return func() { close(wakes); <-done }
}

const elsewhereDirectory = "99999999-9999-9999-9999-999999999999"

// branch is a shop whose provider keeps policies.
type branch struct {
	*workshop
	s       *service
	conn    string
	backup  []policy.Document
	choices map[restore.Key]restore.Choice
	moved   time.Duration

	known    map[policy.Kind][]restore.Object
	mappings []restore.Mapping
}

func newBranch(t *testing.T, d *db.DB) *branch {
	t.Helper()
	w := &workshop{shop: newShop(t, d, Config{Lease: time.Minute, Heartbeat: time.Hour}), fake: &providertest.Fake{}}
	b := &branch{workshop: w}
	b.reset()
	w.w.cfg.Connect = func(c Connect) (provider.Client, error) { return serviceClient{b.s, c.Before}, nil }
	b.conn = w.tenant("kestrel")
	t.Cleanup(func() { stops.set("", nil) })
	return b
}

// reset empties the provider and the backup.
func (b *branch) reset() {
	b.s = newService(provider.Token{Directory: gatetest.Directory("kestrel"), Roles: catalogue.EveryPermission()})
	b.known, b.mappings = map[policy.Kind][]restore.Object{}, nil
	b.backup, b.choices = nil, map[restore.Key]restore.Choice{}
}

// backs adds a policy to the backup.
func (b *branch) backs(key, id, body string) {
	b.t.Helper()
	d, err := policy.Normalise(policy.Item{Type: key, ID: id, Body: json.RawMessage(body)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.backup = append(b.backup, d)
}

const (
	filterBody  = `{"displayName":"Tablets","platform":"iOS","rule":"(device.model -eq \"iPad\")"}`
	catalogBody = `{"name":"Base","settingCount":1,"roleScopeTagIds":["0"],"settings":[{"settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance","settingDefinitionId":"a"}}],
		"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget","deviceAndAppManagementAssignmentFilterId":"f1","deviceAndAppManagementAssignmentFilterType":"include"}}]}`
	profileBody = `{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"Kiosk","description":"as backed up","assignments":[]}`
)

// usual is a backup of a filter, a policy that uses it, and a policy that is there in
// another form: two creates and an update, in four calls.
func (b *branch) usual() {
	b.backs("assignmentFilters", "f1", filterBody)
	b.backs("configurationPolicies", "p1", catalogBody)
	b.backs("deviceConfigurations", "d1", profileBody)
	id := b.s.put(policy.Lookup("deviceConfigurations"), map[string]any{
		"@odata.type": "#microsoft.graph.windows10CustomConfiguration", "displayName": "Kiosk", "description": "changed since",
	})
	b.choices[restore.Key{Type: "deviceConfigurations", ID: "d1"}] = restore.Choice{Target: id}
}

var usualNames = []string{"assignmentFilters: Tablets", "configurationPolicies: Base", "deviceConfigurations: Kiosk"}

var usualItems = []string{"00001/assignmentFilters created", "00002/configurationPolicies created", "00003/deviceConfigurations updated"}

// usualPoints are the points at which a restore of the usual backup can be stopped.
func usualPoints() (all []string) {
	for _, call := range []string{"00001/assignmentFilters/1", "00002/configurationPolicies/1", "00002/configurationPolicies/2", "00003/deviceConfigurations/1"} {
		for _, point := range []string{"before intent", "after intent", "after call", "before settle", "after settle"} {
			all = append(all, point+" "+call)
		}
	}
	return all
}

// preview stores a plan of the backup, as a preview does.
func (b *branch) preview() restore.Plan {
	b.t.Helper()
	now := time.Now().Add(b.moved).Add(time.Millisecond)
	// A restore needs its backup.
	b.Exec(`INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned)
		SELECT 'set', t.workspace_id, t.id, t.directory_id, '', 'kept', 'run', '', '', interlock_now(), '[]', TRUE, 0, 0, 0, FALSE FROM tenants t WHERE t.slug = 'kestrel'
		ON CONFLICT (id) DO NOTHING`)
	set := restore.Set{ID: "set", Directory: elsewhereDirectory, AsOf: now.Add(-time.Hour)}
	for _, d := range b.backup {
		set.Items = append(set.Items, restore.Item{Policy: d})
	}
	tenant := b.Text(`SELECT id FROM tenants WHERE slug = 'kestrel'`)
	plan, err := restore.Build(set, restore.Observed{
		Directory: gatetest.Directory("kestrel"), At: now, Items: b.s.read(b.t), Known: b.known,
	}, b.mappings, restore.Options{
		Target: restore.Target{
			Tenant: tenant, Connection: b.conn, Version: b.Int(`SELECT version FROM connections WHERE id = $1`, b.conn),
			Directory: gatetest.Directory("kestrel"), Root: "https://graph.example",
		},
		Choices: b.choices,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Exec(`INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned)
		VALUES ('set', $1, $2, $3, '', 'kept', 'upload', '', '', 1, '[]', TRUE, 1, 0, 1, FALSE) ON CONFLICT (id) DO NOTHING`, b.Workspace, tenant, elsewhereDirectory)
	b.keep(plan)
	return plan
}

// keep stores a plan, whatever is in it.
func (b *branch) keep(plan restore.Plan) {
	b.t.Helper()
	packed, err := b.w.plans.Pack(plans.Made{
		Workspace: b.Workspace, Tenant: plan.Target.Tenant, Run: "preview", Code: "PREVIEW", Author: op.Person{ID: b.Owner.ID(), Name: "Owner"},
	}, plan)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Write(func(ctx context.Context, tx db.Tx) error {
		if err := plans.Begin(ctx, tx, packed); err != nil {
			return err
		}
		for _, batch := range packed.Batches() {
			if err := batch.Put(ctx, tx); err != nil {
				return err
			}
		}
		return plans.Commit(ctx, tx, packed)
	})
}

// parameters are what confirms the plan.
func (b *branch) parameters(plan restore.Plan) json.RawMessage {
	codes := make([]string, len(plan.Warnings))
	for i, w := range plan.Warnings {
		codes[i] = string(w)
	}
	in, err := json.Marshal(catalogue.RestoreParameters{Plan: plan.Hash(), Acknowledged: codes, Confirm: "Tenant kestrel"})
	if err != nil {
		b.t.Error(err)
	}
	return in
}

// press starts a restore of the plan and returns the gate's answer.
func (b *branch) press(plan restore.Plan) (op.Result, error) {
	return b.gate.Start(b.t.Context(), b.Owner, op.Request{Tenant: "kestrel", Kind: catalogue.PolicyRestore, Surface: op.SurfaceAPI, Parameters: b.parameters(plan)})
}

// restore previews the backup and starts its restore.
func (b *branch) restore() op.RunRef {
	b.t.Helper()
	res, err := b.press(b.preview())
	if err != nil || res.Outcome() != op.Accepted {
		b.t.Fatalf("start: %s %v %v", res.Outcome(), res.Causes(), err)
	}
	return *res.Run()
}

// has fails the test unless the provider has these policies and the run these items.
func (b *branch) has(run string, names, items []string) {
	b.t.Helper()
	if got := b.s.names(); !slices.Equal(got, names) {
		b.t.Errorf("the provider has %q, want %q; journal: %q", got, names, b.journal(run))
	}
	if got := b.items(run); !slices.Equal(got, items) {
		b.t.Errorf("the items are %q, want %q", got, items)
	}
}

// A restore makes what the plan says, in the order of dependencies, with the ids of what
// it created, and records them.
func TestRestore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		b.usual()
		run := b.restore()
		b.deliver(run.ID)
		b.expect(run.ID, "succeeded")
		b.has(run.ID, usualNames, usualItems)
		for _, d := range b.s.read(t) {
			if d.Type().Key == "configurationPolicies" && (len(d.Assignments()) != 1 || d.Assignments()[0].Filter != "new-002") {
				t.Errorf("the policy is assigned as %+v, want with the filter that was created", d.Assignments())
			}
			if d.Type().Key == "deviceConfigurations" && d.Text("description") != "as backed up" {
				t.Errorf("not updated: %s", d.Canonical())
			}
		}
		if n := b.Int(`SELECT COUNT(*) FROM mappings WHERE how = 'restore'`); n != 2 {
			t.Errorf("%d objects are recorded as created, want 2", n)
		}
		if b.s.sent() != 4 {
			t.Errorf("%d changes, want 4", b.s.sent())
		}
	})
}

// survives kills a restore at each of the points and lets it resume. The provider has each
// policy once, and the items are those of a restore that nobody killed.
func survives(t *testing.T, d *db.DB, points []string) {
	b := newBranch(t, d)
	for _, point := range points {
		b.Wipe()
		b.reset()
		b.usual()
		run := b.restore()
		wake := b.dies(run.ID, point)
		b.reap(run.ID)
		b.deliver(run.ID)
		if c := b.claim(run.ID); c != nil && c.State == op.Queued { // it waits until what it sent would have appeared
			b.later(time.Minute)
			b.deliver(run.ID)
		}
		b.expect(run.ID, "succeeded")
		b.has(run.ID, usualNames, usualItems)
		sent := b.s.sent()
		wake()
		if b.s.sent() != sent {
			t.Errorf("%s: the dead worker woke up and sent %d changes", point, b.s.sent()-sent)
		}
		b.has(run.ID, usualNames, usualItems)
		if t.Failed() {
			t.Fatalf("the worker died %s", point)
		}
	}
}

// later moves the database's clock on.
func (b *branch) later(by time.Duration) {
	b.moved += by
	dbtest.SetClockOffset(b.t, b.DB, b.moved)
}

func TestRestoreSurvivesADeadWorker(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		survives(t, d, []string{
			"after intent 00001/assignmentFilters/1", "after call 00002/configurationPolicies/1", "before settle 00002/configurationPolicies/2",
			"after call 00003/deviceConfigurations/1",
		})
	})
}
