package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var _ = Register(&Definition{
	Kind:    "compliance.snapshot",
	Version: 1,
	Place:   50,
	Words: op.KindWords{
		Name: "Compliance snapshot", Does: "Reads the compliance state of devices.",
		Start: "Take snapshot", Item: "part", Items: "parts",
	},
	Icon:        "check",
	Capability:  "compliance.snapshot",
	Allows:      "Take compliance snapshots",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Datasets:    []DatasetInfo{compliance},
	Permissions: []Permission{policies.permission},
	Blockers:    AllBlockers(),
	Canonical:   NoParameters,
	Parameters:  struct{}{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    readLimit,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	SignsIn:     true,
	Learns:      true,
	Run:         takeSnapshot,
})

// Where compliance is reported. docs: v1.0 and beta have all of it, and every call
// accepts the permissions of [policies]. The reports of the newer compliance policies for
// Linux (compliancePolicies) are not among them.
const (
	summaryPath = "/v1.0/deviceManagement/deviceCompliancePolicyDeviceStateSummary"
	devicesPath = "/v1.0/deviceManagement/managedDevices?$select=id,deviceName,complianceState,lastSyncDateTime,userPrincipalName"
	reportsPath = "/v1.0/deviceManagement/deviceCompliancePolicies/" // policy id, then one of the next two
	overview    = "/deviceStatusOverview"
	statuses    = "/deviceStatuses"
)

// takeSnapshot reads the summary and the parts of the dataset one after the other and
// keeps them together, as of the moment when it began to read. A part that failed keeps
// its old rows, with the reason. A refusal of the whole connection ends the run, which
// then keeps nothing.
func takeSnapshot(ctx context.Context, env *Env) error {
	at, err := env.Snapshots.Begin(ctx)
	if err != nil {
		return err
	}
	s := &snapshotRun{env: env, kept: Snapshot{At: at}}
	readings := []*complianceReading{
		{part: DatasetPart{"devices", "Devices"}, read: s.devices},
		{part: DatasetPart{"summary", "Summary"}, read: s.summary, single: true},
		{part: DatasetPart{"policies", "Compliance policies"}, read: s.policies},
		{part: DatasetPart{"failures", "Failures"}, read: s.failures},
	}
	s.counts.Total = int64(len(readings))
	if err := env.Report.Progress(ctx, s.counts); err != nil {
		return err
	}
	for _, r := range readings {
		if r.err = s.readPart(ctx, r); r.err != nil && endsRun(r.err) {
			return s.stop(ctx, readings, r.err)
		}
	}
	return s.keep(ctx, readings)
}

// complianceReading is one part of a snapshot that is being read.
type complianceReading struct {
	part   DatasetPart
	read   func(context.Context, *complianceReading) error
	single bool // it is one object, and no part of the dataset
	round  Round
	flaws  flaws
	rows   int64
	err    error // why it could not be read
}

type snapshotRun struct {
	env      *Env
	counts   op.Counts
	kept     Snapshot
	noIntune error // once the provider has said so
	rows     []Row // compliance policies, with their reports
	hidden   int64 // compliance policies that could not be kept
	missing  error // why they could not be read
}

// readPart reads one part, and shows it to nobody yet.
func (s *snapshotRun) readPart(ctx context.Context, r *complianceReading) error {
	if s.noIntune != nil {
		return s.noIntune
	}
	if err := s.env.Report.Event(ctx, "Reading "+r.part.Words); err != nil {
		return err
	}
	if !r.single {
		var err error
		if r.round, err = s.env.Data.Begin(ctx, compliance.Stored(r.part.Key), true); err != nil {
			return err
		}
	}
	err := r.read(ctx, r)
	if notApplicable(err) {
		s.noIntune = err
	}
	if err == nil && !r.single && r.rows == 0 {
		err = r.flaws.first() // nothing can be read: the old rows are worth more
	}
	return err
}

func (s *snapshotRun) summary(ctx context.Context, r *complianceReading) error {
	raw, err := s.env.Provider.Get(ctx, summaryPath)
	if err != nil {
		return err
	}
	var c struct { // docs: deviceCompliancePolicyDeviceStateSummary
		Compliant     *int64 `json:"compliantDeviceCount"`
		Noncompliant  *int64 `json:"nonCompliantDeviceCount"`
		InGracePeriod int64  `json:"inGracePeriodCount"`
		Error         int64  `json:"errorDeviceCount"`
		Conflict      int64  `json:"conflictDeviceCount"`
		Unknown       int64  `json:"unknownDeviceCount"`
		NotApplicable int64  `json:"notApplicableDeviceCount"`
		Remediated    int64  `json:"remediatedDeviceCount"`
		ConfigManager int64  `json:"configManagerCount"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return unreadable("the summary", err)
	}
	if c.Compliant == nil || c.Noncompliant == nil {
		return unreadable("the summary", errors.New("it has no counts"))
	}
	s.kept.Counts = &ComplianceCounts{
		Compliant: *c.Compliant, Noncompliant: *c.Noncompliant, InGracePeriod: c.InGracePeriod, Error: c.Error, Conflict: c.Conflict,
		Unknown: c.Unknown, NotApplicable: c.NotApplicable, Remediated: c.Remediated, ConfigManager: c.ConfigManager,
	}
	r.rows = s.kept.Counts.Total()
	return nil
}

func (s *snapshotRun) devices(ctx context.Context, r *complianceReading) error {
	came := make(map[string]bool)
	for page, err := range provider.Walk(ctx, s.env.Provider, devicesPath) {
		if err != nil {
			return err
		}
		rows := keepable(page.Items, "Device", came, &r.flaws)
		for i := range rows {
			rows[i].Type = clean(textOf(rows[i], "complianceState"))
		}
		if err := r.put(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

// policies reads the compliance policies, each with its counts.
func (s *snapshotRun) policies(ctx context.Context, r *complianceReading) (err error) {
	defer func() { s.missing = err }()
	came := make(map[string]bool)
	for page, err := range provider.Walk(ctx, s.env.Provider, policy.Lookup("deviceCompliancePolicies").ListPath()) {
		if err != nil {
			return err
		}
		s.rows = append(s.rows, keepable(page.Items, "Compliance policy", came, &r.flaws)...)
	}
	s.hidden = r.flaws.lost
	paths := make([]string, len(s.rows))
	for i, row := range s.rows {
		paths[i] = reportsPath + url.PathEscape(row.ID) + overview
	}
	reports, err := s.env.Provider.Batch(ctx, paths)
	if err != nil {
		return err
	}
	for i, report := range reports {
		if report.Err != nil {
			return report.Err
		}
		var o object
		if err := json.Unmarshal(s.rows[i].Data, &o); err != nil {
			return unreadable("a compliance policy", err)
		}
		o.take("deviceStatusOverview")
		s.rows[i].Data = append(o, property{"deviceStatusOverview", report.Body}).raw()
		if _, ok := PolicyCountsOf(s.rows[i]); !ok {
			return unreadable("the report of "+s.rows[i].Name, errors.New("it has no counts"))
		}
	}
	return r.put(ctx, s.rows)
}

// failures reads which devices fail which policy. A policy without failures is not asked.
func (s *snapshotRun) failures(ctx context.Context, r *complianceReading) error {
	if s.missing != nil {
		return s.missing
	}
	r.flaws.lost = s.hidden // nobody can ask for theirs
	for _, of := range s.rows {
		if c, _ := PolicyCountsOf(of); c.Failing() == 0 {
			continue
		}
		came := make(map[string]bool)
		for page, err := range provider.Walk(ctx, s.env.Provider, reportsPath+url.PathEscape(of.ID)+statuses) {
			if err != nil {
				return err
			}
			var failed []Row
			for _, row := range keepable(page.Items, "Report of "+of.Name, came, &r.flaws) {
				row.Type = clean(textOf(row, "status"))
				if _, fails := failingWords[row.Type]; !fails {
					continue
				}
				if row.ID = of.ID + "/" + row.ID; !usableID(row.ID) { // docs: nothing says that it is unique among policies
					r.flaws.add("Report of "+of.Name, "", row.Name, flaw{reason: op.ObjectWithoutID})
					continue
				}
				row.Data = under(row.Data, failedPolicy, of)
				failed = append(failed, row)
			}
			if err := r.put(ctx, failed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *complianceReading) put(ctx context.Context, rows []Row) error {
	r.rows += int64(len(rows))
	return r.round.Put(ctx, rows)
}

// keep shows what was read, and writes the items.
func (s *snapshotRun) keep(ctx context.Context, readings []*complianceReading) error {
	s.kept.Complete = true
	for _, r := range readings {
		if r.err != nil || r.flaws.lost > 0 {
			s.kept.Complete = false
		}
		if r.err == nil && !r.single {
			s.kept.Parts = append(s.kept.Parts, SnapshotPart{r.round, r.flaws.lost})
		}
	}
	var sets []Dataset
	if len(s.kept.Parts) > 0 || s.kept.Counts != nil {
		var err error
		if sets, err = s.env.Snapshots.Keep(ctx, s.kept); err != nil {
			return err
		}
	}
	for _, r := range readings {
		if r.err == nil && !r.single {
			r.rows, sets = sets[0].Count, sets[1:]
		}
		if err := s.report(ctx, r); err != nil {
			return err
		}
	}
	return s.env.Report.Progress(ctx, s.counts)
}

// report writes the line of one part. One that failed keeps its old rows.
func (s *snapshotRun) report(ctx context.Context, r *complianceReading) error {
	item := op.Item{Key: r.part.Key, Name: r.part.Words, Result: op.ItemDone, Counts: op.Counts{Done: r.rows, Total: r.rows}, At: s.env.Now()}
	switch {
	case r.err == nil && r.flaws.lost > 0:
		s.counts.Failed++
		incomplete(&item, s.env, r.flaws.lost)
	case r.err == nil:
		s.counts.Done++
		if r.rows == 0 {
			item.Args = op.Args{"objects": "0"}
		}
	case notApplicable(r.err):
		item.Result = op.ItemNotApplicable
		s.counts.Total--
	default:
		item.Result = op.ItemFailed
		s.counts.Failed++
	}
	if r.err != nil {
		item.Counts = op.Counts{}
		item.Reason, item.Args, item.Evidence = told(s.env, r.err, policies.permission)
		if err := s.stale(ctx, r, item.Reason); err != nil {
			return err
		}
	}
	for _, item := range append([]op.Item{item}, r.flaws.items(s.env, r.part.Key, r.err == nil)...) {
		if err := s.env.Report.Item(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshotRun) stale(ctx context.Context, r *complianceReading, why op.Reason) error {
	if r.single {
		return nil
	}
	return s.env.Data.Stale(ctx, compliance.Stored(r.part.Key), why)
}

// stop ends the run early: every part keeps its old rows and says so.
func (s *snapshotRun) stop(ctx context.Context, readings []*complianceReading, why error) error {
	var pe *provider.Error
	if !errors.As(why, &pe) {
		return why // the run itself is over, and nothing of it can be written
	}
	items := make([]op.Item, len(readings))
	for i, r := range readings {
		if err := s.stale(ctx, r, provider.Classify(why)); err != nil {
			return err
		}
		items[i] = op.Item{Key: r.part.Key, Name: r.part.Words, Result: op.ItemSkipped, Reason: op.ItemNotReached, At: s.env.Now()}
	}
	s.env.Report.NotReached(items)
	return why
}
