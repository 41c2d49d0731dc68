package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Backup is a backup of a tenant's policies.
type Backup struct {
	ID         string     `json:"id"`
	Run        string     `json:"run"` // code; empty for an upload
	By         *op.Person `json:"by"`
	Origin     string     `json:"origin"` // run or upload
	Tool       string     `json:"tool"`
	Directory  string     `json:"directory_id"`
	AsOf       time.Time  `json:"as_of"`
	Complete   bool       `json:"complete"`
	Policies   int64      `json:"policies"`
	Incomplete int64      `json:"incomplete"`
	Size       int64      `json:"size"` // bytes
	Pinned     bool       `json:"pinned"`
	Kept       struct {
		Until *time.Time `json:"until"`
		Rules []string   `json:"rules"`
		Text  string     `json:"text"`
	} `json:"kept"`
	Types []BackupType `json:"types"` // of a single backup only
}

// BackupType says how a type of policy was read.
type BackupType struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Policies int64  `json:"policies"`
	Complete bool   `json:"complete"`
	Absent   bool   `json:"absent"`
	Why      string `json:"why"`
}

// BackupItem is a policy of a backup.
type BackupItem struct {
	Type       string        `json:"type"`
	TypeName   string        `json:"type_name"`
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	ModifiedAt string        `json:"modified_at"`
	Missing    []MissingPart `json:"missing"`

	Secrets int             `json:"secrets"` // of a single policy only, as Policy
	Policy  json.RawMessage `json:"policy"`
}

// MissingPart is a part of a policy that could not be read.
type MissingPart struct {
	Part string `json:"part"`
	Why  string `json:"why"`
	Said string `json:"said"` // by the provider
}

// PolicyVersion is a policy as it was in one or more backups in a row.
type PolicyVersion struct {
	How        string    `json:"how"`
	Name       string    `json:"name"`
	Backup     string    `json:"backup"`
	AsOf       time.Time `json:"as_of"`
	Until      time.Time `json:"until"`
	Backups    int       `json:"backups"`
	ModifiedAt string    `json:"modified_at"`
	Changes    []Change  `json:"changes"`
	Text       string    `json:"text"`
}

// KeepRules say how long the backups of each tenant are kept.
type KeepRules struct {
	Newest  int `json:"newest"`
	Daily   int `json:"daily"`
	Monthly int `json:"monthly"`
}

// UploadedBackup is what an upload took, or would take.
type UploadedBackup struct {
	ID             string           `json:"id"` // empty for a dry run
	Tool           string           `json:"tool"`
	Directory      string           `json:"directory_id"`
	OtherDirectory bool             `json:"other_directory"`
	Policies       []UploadedPolicy `json:"policies"`
	Skipped        []SkippedFile    `json:"skipped"`
}

// UploadedPolicy is one policy of an upload.
type UploadedPolicy struct {
	Type     string `json:"type"`
	TypeName string `json:"type_name"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	File     string `json:"file"`
}

// SkippedFile is a file that was not taken, with the reason.
type SkippedFile struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Comparison is a page of what two backups differ in.
type Comparison struct {
	Items   []ComparedPolicy `json:"items"`
	Next    *string          `json:"next"`
	LeftOut []NotCompared    `json:"left_out"` // the same on every page
}

// ComparedPolicy is a policy in which two backups differ.
type ComparedPolicy struct {
	Type     string   `json:"type"`
	TypeName string   `json:"type_name"`
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	How      string   `json:"how"`
	Changes  []Change `json:"changes"`
	Text     string   `json:"text"`
	Unified  string   `json:"unified"`
}

// NotCompared is a type or a policy that was not compared, and why.
type NotCompared struct {
	Type     string `json:"type"`
	TypeName string `json:"type_name"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	Why      string `json:"why"`
}

// BackupFilter filters a list of backups.
type BackupFilter struct {
	Run        string // id or code
	Origin     string
	Pinned     bool
	Incomplete bool
	Paging
}

// Backups lists the backups of a tenant, newest first.
func (c *Client) Backups(ctx context.Context, tenant string, f BackupFilter) (Page[Backup], error) {
	return get[Page[Backup]](ctx, c, path("/tenants/%s/backups", tenant),
		filters{}.add("run", f.Run).add("origin", f.Origin).flag("pinned", f.Pinned).flag("incomplete", f.Incomplete).page(f.Paging))
}

// Backup returns one backup.
func (c *Client) Backup(ctx context.Context, tenant, id string) (Backup, error) {
	return get[Backup](ctx, c, path("/tenants/%s/backups/%s", tenant, id), nil)
}

// BackupItemFilter filters a list of policies of a backup.
type BackupItemFilter struct {
	Type       string
	Query      string // part of the name
	Incomplete bool
	Paging
}

// BackupItems lists the policies of a backup, by name.
func (c *Client) BackupItems(ctx context.Context, tenant, id string, f BackupItemFilter) (Page[BackupItem], error) {
	return get[Page[BackupItem]](ctx, c, path("/tenants/%s/backups/%s/items", tenant, id),
		filters{}.add("type", f.Type).add("q", f.Query).flag("incomplete", f.Incomplete).page(f.Paging))
}

// BackupItem returns one policy of a backup with its contents, secrets masked.
func (c *Client) BackupItem(ctx context.Context, tenant, id, typ, object string) (BackupItem, error) {
	return get[BackupItem](ctx, c, path("/tenants/%s/backups/%s/items/%s/%s", tenant, id, typ, object), nil)
}

// PolicyVersions lists the versions of a policy in the backups of a tenant, newest first.
func (c *Client) PolicyVersions(ctx context.Context, tenant, typ, object string, p Paging) (Page[PolicyVersion], error) {
	return get[Page[PolicyVersion]](ctx, c, path("/tenants/%s/policies/%s/%s/versions", tenant, typ, object), filters{}.page(p))
}

// PinBackup pins or unpins a backup.
func (c *Client) PinBackup(ctx context.Context, tenant, id string, pinned bool) (b Backup, err error) {
	method := http.MethodDelete
	if pinned {
		method = http.MethodPut
	}
	return b, c.do(ctx, call{method: method, path: path("/tenants/%s/backups/%s/pin", tenant, id), out: &b})
}

// KeepRules returns how long backups are kept.
func (c *Client) KeepRules(ctx context.Context) (KeepRules, error) {
	return get[KeepRules](ctx, c, "/workspace/keep-rules", nil)
}

// SetKeepRules changes how long backups are kept.
func (c *Client) SetKeepRules(ctx context.Context, r KeepRules) (out KeepRules, err error) {
	return out, c.do(ctx, call{method: http.MethodPut, path: "/workspace/keep-rules", in: r, out: &out})
}

// CompareBackups returns a page of what the backup newer differs in from older. policy
// narrows it to one policy, by its id, or by its type and id as type/id.
func (c *Client) CompareBackups(ctx context.Context, tenant, older, newer, policy string, p Paging) (Comparison, error) {
	return get[Comparison](ctx, c, path("/tenants/%s/backups/%s/diff/%s", tenant, older, newer), filters{}.add("policy", policy).page(p))
}

// transferWithin is how long the download or upload of a file may take.
const transferWithin = 15 * time.Minute

// UploadBackup uploads a zip file of policies as a backup of a tenant. With dryRun the
// server only says what it would take.
func (c *Client) UploadBackup(ctx context.Context, tenant string, zip io.Reader, dryRun bool) (out UploadedBackup, err error) {
	return out, c.do(ctx, call{method: http.MethodPost, path: path("/tenants/%s/backups", tenant), query: url.Values(filters{}.flag("dry_run", dryRun)), zip: zip, out: &out})
}

// DownloadBackup writes a backup to w as a zip file, with its secrets. After an error w
// may have got a part of it.
func (c *Client) DownloadBackup(ctx context.Context, tenant, id string, w io.Writer) error {
	return c.download(ctx, path("/tenants/%s/backups/%s/archive", tenant, id), w)
}

// DownloadBackupItem writes the file of a policy to w, byte for byte as it was read, with
// its secrets.
func (c *Client) DownloadBackupItem(ctx context.Context, tenant, id, typ, object string, w io.Writer) error {
	return c.download(ctx, path("/tenants/%s/backups/%s/items/%s/%s/file", tenant, id, typ, object), w)
}

func (c *Client) download(ctx context.Context, path string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	k := call{method: http.MethodGet, path: path}
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if !k.answered(resp) {
		return c.read(ctx, resp, k)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the download from %s broke off: %w", c.base.Host, err)
	}
	return nil
}
