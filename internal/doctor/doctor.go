// Package doctor checks an installation: that its database is durable, its keys open
// what is sealed, and its audit trails are complete. It changes nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/checkpoint"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Installation is what is examined.
type Installation struct {
	DB     *db.DB
	Store  *store.Store
	Export string           // file of the exported audit heads; empty: there is none
	Now    func() time.Time // this machine's clock
}

// State is the result of a check.
type State string

// The states of a check.
const (
	OK        State = "ok"
	Attention State = "attention" // works, but needs action
	Failed    State = "failed"
)

// Check is one check and its result.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"` // what to do
}

// Report holds the results of all checks.
type Report struct {
	OK     bool    `json:"ok"` // no check failed
	Checks []Check `json:"checks"`
}

// Err names the checks that failed; nil if none did.
func (r Report) Err() error {
	var failed []error
	for _, c := range r.Checks {
		if c.State == Failed {
			failed = append(failed, errors.New(c.Name+": "+c.Detail))
		}
	}
	return errors.Join(failed...)
}

// How far the clocks of this machine and of the database may differ.
const (
	clockAttention = 2 * time.Second
	clockFailed    = time.Minute
)

// exportLate is the age at which the hourly export counts as missing.
const exportLate = 2 * time.Hour

// oldKey is the age at which a data key should be rotated.
const oldKey = 365 * 24 * time.Hour

// Examine runs all checks.
func Examine(ctx context.Context, in Installation) Report {
	r := Report{Checks: []Check{
		{Name: "database", State: OK, Detail: fmt.Sprintf("%s, durable writes, tables up to date", in.DB.Engine())}, // else it would not be open
		in.clock(ctx),
		in.rootKey(ctx),
		in.keys(ctx),
	}}
	exports, export := in.export(ctx)
	r.Checks = append(r.Checks, in.audit(ctx, exports), export)
	r.OK = r.Err() == nil
	return r
}

func failed(name string, err error, next string) Check {
	return Check{Name: name, State: Failed, Detail: err.Error(), Next: next}
}

func (in Installation) clock(ctx context.Context) Check {
	const name = "clock"
	_, at, err := access.AuditHeads(ctx, in.DB)
	if err != nil {
		return failed(name, err, "")
	}
	// With a wrong clock Microsoft refuses sign-ins, and tokens expire early or late.
	difference := in.Now().Sub(at).Abs().Round(time.Second)
	c := Check{Name: name, State: OK, Detail: "this machine and the database agree on " + at.Format("2006-01-02 15:04:05 UTC")}
	if difference >= clockAttention {
		c.State, c.Detail = Attention, fmt.Sprintf("this machine's clock differs from the database's by %s", difference)
		c.Next = "Synchronise both with a time server."
	}
	if difference >= clockFailed {
		c.State = Failed
	}
	return c
}

func (in Installation) rootKey(ctx context.Context) Check {
	const name = "root key"
	n, err := in.Store.CheckRoot(ctx)
	var wrong *vault.WrongKeyError
	if errors.As(err, &wrong) {
		return failed(name, err, "Add the key "+wrong.Want+" to the key file, as another line.")
	} else if err != nil {
		return failed(name, err, "")
	}
	return Check{Name: name, State: OK, Detail: fmt.Sprintf("opens the credentials of %s", count(n, "workspace"))}
}

func (in Installation) keys(ctx context.Context) Check {
	const name = "keys"
	k, err := in.Store.KeyStatus(ctx)
	if err != nil {
		return failed(name, err, "")
	}
	var todo, next []string
	add := func(what, do string) {
		todo = append(todo, what)
		if !slices.Contains(next, do) {
			next = append(next, do)
		}
	}
	for _, id := range k.Others() {
		if n := k.RootKeys[id]; n > 0 {
			add(fmt.Sprintf("%s still sealed by root key %s", count(n, "text"), id), "Run: interlock key rewrap.")
		} else {
			add(fmt.Sprintf("root key %s seals nothing any more", id), "Run: interlock key remove "+id+".")
		}
	}
	if k.Rotating {
		add("a rotation of the data keys is not finished", "Run: interlock key rotate.")
	}
	for _, w := range k.Workspaces {
		switch age := in.Now().Sub(db.Time(w.At)); {
		case w.Old > 0:
			add(fmt.Sprintf("%s of workspace %s sealed by an old data key", count(w.Old, "credential"), w.Slug), "Run: interlock key rotate.")
		case age > oldKey && w.At > 0:
			add(fmt.Sprintf("the data key of workspace %s is %d days old", w.Slug, int(age.Hours()/24)), "Run: interlock key rotate.")
		}
	}
	if len(todo) > 0 {
		return Check{Name: name, State: Attention, Detail: strings.Join(todo, "; "), Next: strings.Join(next, " ")}
	}
	return Check{Name: name, State: OK, Detail: "everything is sealed by root key " + k.Root + " and by the newest data keys"}
}

// export reads the exported heads, and checks their signatures and age.
func (in Installation) export(ctx context.Context) ([]checkpoint.Export, Check) {
	c := Check{Name: "audit export", State: OK}
	if in.Export == "" {
		c.State, c.Detail, c.Next = Attention, "the heads of the audit trails are not exported, so that a cut-off end would not show", "Give --audit-export."
		return nil, c
	}
	exports, err := Exports(ctx, in.Store, in.Export)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.State, c.Detail, c.Next = Attention, in.Export+" is not there yet", "A server writes it when it starts, and every hour."
		return nil, c
	case err != nil:
		return nil, failed(c.Name, err, "Compare the file with a copy that was kept elsewhere.")
	case len(exports) == 0:
		return nil, failed(c.Name, fmt.Errorf("%s is empty", in.Export), "Compare the file with a copy that was kept elsewhere.")
	}
	last := exports[len(exports)-1]
	c.Detail = fmt.Sprintf("%s in %s, all signed by key %s, the last at %s", count(len(exports), "export"), in.Export, last.Key, last.At.Format("2006-01-02 15:04:05 UTC"))
	if in.Now().Sub(last.At) > exportLate {
		c.State, c.Next = Attention, "A server exports every hour while it works: look into its log."
	}
	return exports, c
}

// Exports returns the exported heads of a file, after checking their signatures against
// the installation's own key.
func Exports(ctx context.Context, st *store.Store, path string) ([]checkpoint.Export, error) {
	if _, err := os.Stat(path); err != nil { // before the key, which would be created
		return nil, fmt.Errorf("exported heads: %w", err)
	}
	signer, err := Signer(ctx, st)
	if err != nil {
		return nil, err
	}
	return checkpoint.Read(path, signer.Public())
}

// Signer returns the signer of the audit heads. Its key is created at the first use,
// and sealed by the root key.
func Signer(ctx context.Context, st *store.Store) (vault.Signer, error) {
	secret, err := st.ServerSecret(ctx, "audit export", vault.NewSigningKey)
	if err != nil {
		return vault.Signer{}, fmt.Errorf("key of the audit export: %w", err)
	}
	return vault.NewSigner(secret)
}

func (in Installation) audit(ctx context.Context, exports []checkpoint.Export) Check {
	trails, err := Trails(ctx, in.DB, in.Store, exports, nil)
	if err != nil {
		return failed("audit", err, "Somebody changed the database by hand, or restored an older one. Compare it with a backup.")
	}
	c := Check{Name: "audit", State: OK, Detail: count(len(trails), "trail") + " whole"}
	if len(exports) > 0 {
		c.Detail += ", with every exported head on them"
	}
	return c
}

// Trail is the state of a workspace's audit trail.
type Trail struct {
	Slug string
	Head access.Checkpoint
}

// Trails verifies the audit trail of every workspace, and that each exported head and
// each head in kept is on one of them.
func Trails(ctx context.Context, d *db.DB, st *store.Store, exports []checkpoint.Export, kept []access.Checkpoint) ([]Trail, error) {
	workspaces, err := st.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	exported := make(map[string]map[access.Checkpoint]bool)
	names := make(map[string]string)
	for _, e := range exports {
		for _, h := range e.Heads {
			if exported[h.Workspace] == nil {
				exported[h.Workspace] = make(map[access.Checkpoint]bool)
			}
			exported[h.Workspace][access.Checkpoint{Seq: h.Seq, Hash: h.Hash}] = true
			names[h.Workspace] = h.Slug
		}
	}
	var trails []Trail
	var wrong []error
	for _, w := range workspaces {
		heads := slices.Collect(maps.Keys(exported[w.ID]))
		delete(exported, w.ID)
		head, err := access.VerifyAudit(ctx, d, w.ID, heads...)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("workspace %s: %w", w.Slug, err))
			continue
		}
		trails = append(trails, Trail{w.Slug, head})
		kept = slices.DeleteFunc(slices.Clone(kept), func(c access.Checkpoint) bool {
			_, err := access.VerifyAudit(ctx, d, w.ID, c)
			return err == nil
		})
	}
	for id := range exported {
		wrong = append(wrong, fmt.Errorf("workspace %s was exported and is gone: %w", names[id], access.ErrTampered))
	}
	for _, c := range kept {
		wrong = append(wrong, fmt.Errorf("the head %d:%s is on no trail: %w", c.Seq, c.Hash, access.ErrTampered))
	}
	return trails, errors.Join(wrong...)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
