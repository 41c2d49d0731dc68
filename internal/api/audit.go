package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveAudit() {
	serve(s, Route{
		ID: "list-audit", Method: http.MethodGet, Path: "/audit", Object: Workspace, Needs: tenancy.ViewAudit,
		Summary: "Who changed what, newest first; each record's hash covers the one before it",
	}, s.audit)
}

// AuditRecord is one recorded change.
type AuditRecord access.Record

func (s *server) audit(ctx context.Context, in *Paging) (*list[AuditRecord], error) {
	before, err := auditBefore(in.Cursor)
	if err != nil {
		return nil, err
	}
	records, err := s.door.Audit(ctx, at(ctx).actor, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(records) > in.Limit {
		records = records[:in.Limit]
		next = auditCursor(records[in.Limit-1].Seq)
	}
	return page(each(records, func(r access.Record) AuditRecord { return AuditRecord(r) }), next), nil
}

// auditFormat is the content of a cursor of the audit trail.
const auditFormat = "audit %d"

func auditCursor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, auditFormat, seq))
}

// auditBefore returns the record after which a page begins; 0 means at the newest.
func auditBefore(cursor string) (seq int64, err error) {
	if cursor == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, op.ErrBadCursor
	}
	if _, err := fmt.Sscanf(string(text), auditFormat, &seq); err != nil || seq < 1 || auditCursor(seq) != cursor {
		return 0, op.ErrBadCursor
	}
	return seq, nil
}
