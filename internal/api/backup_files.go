package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Media types of downloads.
const (
	zipType  = "application/zip"
	fileType = "application/octet-stream"
)

func (s *server) serveBackupFiles() {
	serve(s, Route{
		ID: "download-backup", Method: http.MethodGet, Path: "/tenants/{tenant}/backups/{backup}/archive", Object: Tenant, Needs: tenancy.ExportBackups,
		Summary: "Download a backup as a zip file, with its secrets", File: zipType,
	}, s.downloadBackup)
	serve(s, Route{
		ID: "download-backup-item", Method: http.MethodGet, Path: "/tenants/{tenant}/backups/{backup}/items/{type}/{object}/file", Object: Tenant, Needs: tenancy.ExportBackups,
		Summary: "Download the file of a policy, byte for byte as it was read, with its secrets", File: fileType,
	}, s.downloadItem)
	serve(s, Route{
		ID: "upload-backup", Method: http.MethodPost, Path: "/tenants/{tenant}/backups", Object: Tenant, Needs: tenancy.ExportBackups, Upload: true, Conflicts: true,
		Summary: "Upload a zip file of policies as a backup: of Interlock, IntuneCD, IntuneManagement or CIPP",
	}, s.uploadBackup)
	serve(s, Route{
		ID: "compare-backups", Method: http.MethodGet, Path: "/tenants/{tenant}/backups/{backup}/diff/{other}", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "Compare two backups, property by property; secrets are masked",
	}, s.compareBackups)
}

// fileAnswer is an answer that is no JSON.
type fileAnswer struct{ Body func(huma.Context) }

// file answers with what write writes. An error after the beginning cuts the answer off,
// so that it doesn't look whole. The answer to a HEAD request has no body: it needs no
// write, and it is no download for the audit trail.
func file(kind, name string, write func(context.Context, io.Writer) error) *fileAnswer {
	return &fileAnswer{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		if r.Method == http.MethodHead {
			return
		}
		if err := write(hc.Context(), w); err != nil && hc.Context().Err() == nil {
			_ = httpx.Refuse(hc.Context(), err) // only for the log: the answer has begun
			panic(http.ErrAbortHandler)
		}
	}}
}

func (s *server) downloadBackup(ctx context.Context, in *BackupID) (*fileAnswer, error) {
	v := at(ctx)
	if v.head {
		_, err := s.backups.Backup(ctx, v.tenant, in.Backup)
		return file(zipType, zipName(v), nil), err
	}
	down, err := s.files.Download(ctx, v.actor, v.tenant.Tenant.ID, in.Backup)
	if err != nil {
		return nil, err
	}
	return file(zipType, zipName(v), down.Write), nil
}

func zipName(v *visit) string { return "interlock-" + v.tenant.Tenant.Slug + ".zip" }

func (s *server) downloadItem(ctx context.Context, in *struct {
	BackupID
	PolicyID
},
) (*fileAnswer, error) {
	v := at(ctx)
	if v.head {
		_, err := s.backups.Contents(ctx, v.tenant, in.Backup, in.Type, in.Object)
		return file(fileType, in.Type+".json", nil), err
	}
	text, err := s.files.File(ctx, v.actor, v.tenant.Tenant.ID, in.Backup, in.Type, in.Object)
	if err != nil {
		return nil, err
	}
	return file(fileType, in.Type+".json", func(_ context.Context, w io.Writer) error {
		_, err := w.Write(text)
		return err
	}), nil
}

// uploadWithin is how long an upload may take to arrive.
const uploadWithin = 10 * time.Minute

type spoolKey struct{}

// spool writes the body of an upload into a temporary file, which it removes after the
// request. A slow client holds a file, and neither memory nor the turn of another upload.
func (s *server) spool(hc huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(hc)
	fail := func(err error) { refuse(r.Context(), err).Write(w) }
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != zipType && kind != fileType { // empty if it is not a media type
		fail(&op.FieldError{Field: "Content-Type", Detail: "must be " + zipType})
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadWithin)) // not every writer has a deadline
	body := &arriving{Reader: http.MaxBytesReader(w, r.Body, archive.MaxUpload)}
	f, err := durable.Spool(body)
	var large *http.MaxBytesError
	if body.err != nil && !errors.As(body.err, &large) {
		err = errBroken
	}
	if err != nil {
		fail(err)
		return
	}
	defer f.Close() //nolint:errcheck // it is thrown away
	next(huma.WithValue(hc, spoolKey{}, f))
}

// arriving is a body that remembers why it ended early.
type arriving struct {
	io.Reader
	err error
}

// Read implements [io.Reader].
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err //nolint:wrapcheck // a reader passes its end on as it is
}

// UploadedBackup is what an upload took, or would take.
type UploadedBackup struct {
	ID             string            `json:"id" doc:"Of the backup; empty for a dry run."`
	Tool           archive.Tool      `json:"tool" doc:"What wrote the files, as far as their form tells."`
	Directory      string            `json:"directory_id" doc:"GUID of the directory that the files come from; empty if they don't say."`
	OtherDirectory bool              `json:"other_directory" doc:"The files come from another directory than that of the tenant's default connection."`
	AsOf           *time.Time        `json:"as_of"`
	Policies       []UploadedPolicy  `json:"policies" nullable:"false"`
	Skipped        []archive.Skipped `json:"skipped" nullable:"false" doc:"Files that were not taken, with the reason."`
}

// UploadedPolicy is one policy of an upload.
type UploadedPolicy struct {
	Type     string `json:"type"`
	TypeName string `json:"type_name"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	File     string `json:"file"`
}

// uploadBackup keeps all of an upload or nothing. It reads one upload at a time: all that
// is in a zip file, 256 MiB at most, is in memory while it is read.
func (s *server) uploadBackup(ctx context.Context, in *struct {
	TenantID
	DryRun bool `query:"dry_run" doc:"Only say what would be taken."`
},
) (*one[UploadedBackup], error) {
	v := at(ctx)
	f, _ := ctx.Value(spoolKey{}).(*durable.Spooled)
	done, err := turn(ctx, s.reading)
	if err != nil {
		return nil, err
	}
	defer done()
	b, err := archive.Zip(f, f.Size)
	if err != nil {
		return nil, &op.FieldError{Field: "body", Detail: "can't be used: " + refused(err, b.Skipped)}
	}
	out := UploadedBackup{Tool: b.Tool, Directory: b.Directory, Policies: []UploadedPolicy{}, Skipped: append([]archive.Skipped{}, b.Skipped...)}
	if !b.AsOf.IsZero() {
		out.AsOf = &b.AsOf
	}
	for _, i := range b.Items {
		out.Policies = append(out.Policies, UploadedPolicy{i.Type, singularOf(i.Type), i.ID, i.Name, i.File})
	}
	if out.OtherDirectory, err = s.files.OtherDirectory(ctx, v.tenant, b.Directory); err != nil {
		return nil, err
	}
	if in.DryRun {
		return &one[UploadedBackup]{out}, nil
	}
	set, err := s.files.Upload(ctx, v.actor, v.tenant.Tenant.ID, b)
	if err != nil {
		return nil, err
	}
	out.ID = set.ID
	return &one[UploadedBackup]{out}, nil
}

// turn waits until there is room in turns. The caller calls done when it has finished.
func turn(ctx context.Context, turns chan struct{}) (done func(), err error) {
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refused says why nothing of an archive is taken. Of one without policies it names the
// first files with what is wrong with them.
func refused(err error, skipped []archive.Skipped) string {
	if len(skipped) == 0 {
		return err.Error()
	}
	files := each(skipped[:min(len(skipped), 3)], func(s archive.Skipped) string { return fmt.Sprintf("%.100q %s", s.Path, s.Why) })
	return err.Error() + ": " + strings.Join(files, ", ")
}

// Comparison is a page of what two backups differ in.
type Comparison struct {
	Items   []ComparedPolicy `json:"items" nullable:"false"`
	Next    *string          `json:"next" doc:"Cursor of the next page; null on the last one."`
	LeftOut []NotCompared    `json:"left_out" nullable:"false" doc:"What could not be compared, on every page."`
}

// comparedBytes ends a page of a comparison early.
const comparedBytes = 8 << 20

// ComparedPolicy is one policy in which two backups differ.
type ComparedPolicy struct {
	Type     string       `json:"type"`
	TypeName string       `json:"type_name"`
	ID       string       `json:"id" doc:"In the newer backup, or in the older one if the policy was removed."`
	Name     string       `json:"name"`
	How      string       `json:"how" enum:"added,changed,removed"`
	Modified string       `json:"modified_at" doc:"When it was changed, as the provider wrote it. Empty if the provider doesn't say, or if the policy was removed."`
	Changes  []PlanChange `json:"changes" nullable:"false" doc:"Properties of a policy that was changed."`
	Text     string       `json:"text" doc:"The same as text, one line for each property."`
	Unified  string       `json:"unified" doc:"The whole policy as a unified diff."`
}

// NotCompared is a type or a policy that was left out.
type NotCompared struct {
	Type     string `json:"type"`
	TypeName string `json:"type_name"`
	ID       string `json:"id,omitempty" doc:"Of a policy; none: policies of the type that only one of the backups has."`
	Name     string `json:"name,omitempty"`
	Why      string `json:"why"`
}

func (s *server) compareBackups(ctx context.Context, in *struct {
	BackupID
	Other  string `path:"other" doc:"Id of the newer backup."`
	Policy string `query:"policy" maxLength:"400" doc:"Only this policy: its id, or its type and id as type/id."`
	Paging
},
) (*one[Comparison], error) {
	v := at(ctx)
	done, err := turn(ctx, s.comparing)
	if err != nil {
		return nil, err
	}
	defer done()
	d, err := s.files.Compare(ctx, v.actor, v.tenant.Tenant.ID, in.Backup, in.Other)
	if err != nil {
		return nil, err
	}
	if in.Policy != "" {
		other := func(typ, id string) bool {
			return !strings.EqualFold(id, in.Policy) && !strings.EqualFold(typ+"/"+id, in.Policy)
		}
		d.Policies = slices.DeleteFunc(d.Policies, func(c policy.Comparison) bool { return other(c.Type, c.ID) })
		d.LeftOut = slices.DeleteFunc(d.LeftOut, func(l backup.LeftOut) bool { return other(l.Type, l.ID) })
	}
	from := 0 // both backups never change, so a position is a cursor
	if in.Cursor != "" {
		if from, err = strconv.Atoi(in.Cursor); err != nil || from < 0 || from > len(d.Policies) {
			return nil, op.ErrBadCursor
		}
	}
	out := Comparison{LeftOut: each(d.LeftOut, func(l backup.LeftOut) NotCompared {
		name := singularOf(l.Type)
		if l.ID == "" {
			name = pluralOf(l.Type)
		}
		return NotCompared{l.Type, name, l.ID, l.Name, op.NotCompared(l.Older, l.Parts)}
	})}
	to, size := from, 0
	for to < min(from+in.Limit, len(d.Policies)) && size < comparedBytes {
		size += len(d.Policies[to].Unified)
		to++
	}
	if to < len(d.Policies) {
		next := strconv.Itoa(to)
		out.Next = &next
	}
	out.Items = each(d.Policies[from:to], func(c policy.Comparison) ComparedPolicy {
		return ComparedPolicy{
			c.Type, singularOf(c.Type), c.ID, c.Name, string(c.How), c.Modified,
			each(c.Changes, func(c policy.Change) PlanChange { return PlanChange(c) }), policy.Text(c.Changes), c.Unified,
		}
	})
	return &one[Comparison]{out}, nil
}
