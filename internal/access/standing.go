package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
)

// Standing summarizes the rights and unread notifications of a secret's owner.
type Standing struct {
	// Rights is equal for two owners exactly if they may see and do the same in the same
	// workspace.
	Rights string
	// Inbox changes whenever the owner's unread notifications do.
	Inbox string
}

// standingsAtOnce is how many secrets one statement handles. It is fixed, so that there
// is one text of the statement.
const standingsAtOnce = 50

// Standings returns the standing of each valid secret, by its id. As with [Recognize],
// the secrets do not count as used.
func Standings(ctx context.Context, d *db.DB, tokens []string) (map[string]Standing, error) {
	found := make(map[string]Standing, len(tokens))
	err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		clear(found)
		for chunk := range slices.Chunk(tokens, standingsAtOnce) {
			if err := standings(ctx, tx, chunk, found); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("standings: %w", err)
	}
	return found, nil
}

func standings(ctx context.Context, tx db.Tx, tokens []string, found map[string]Standing) error {
	ids := make([]any, standingsAtOnce)
	places := make([]string, standingsAtOnce)
	for i := range ids {
		ids[i], places[i] = "", "$"+strconv.Itoa(i+1)
		if i < len(tokens) {
			ids[i] = tokens[i]
		}
	}
	these := ` AND k.id IN (` + strings.Join(places, ", ") + `)`

	sums := make(map[string]hash.Hash, len(tokens)) // of the rights
	inbox := make(map[string]string, len(tokens))
	rows, err := tx.Query(ctx, `SELECT k.id, k.kind, k.workspace_id, k.only_caps, m.role, m.denied, m.all_tenants,
		(SELECT COUNT(*) FROM notifications n WHERE n.workspace_id = k.workspace_id AND n.user_id = k.user_id AND n.read_at IS NULL),
		(SELECT COALESCE(MAX(n.id), '') FROM notifications n WHERE n.workspace_id = k.workspace_id AND n.user_id = k.user_id AND n.read_at IS NULL)
		`+working+these, ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, kind, workspace, only, role, denied, newest string
		var everything bool
		var unread int64
		if err := rows.Scan(&id, &kind, &workspace, &only, &role, &denied, &everything, &unread, &newest); err != nil {
			return err
		}
		sums[id] = sha256.New()
		add(sums[id], kind, workspace, only, role, denied, strconv.FormatBool(everything))
		inbox[id] = strconv.FormatInt(unread, 10) + " " + newest
	}
	if err := rows.Err(); err != nil {
		return err
	}

	rows, err = tx.Query(ctx, `SELECT k.id, mt.tenant_id FROM tokens k
		JOIN members m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id AND NOT m.all_tenants
		JOIN member_tenants mt ON mt.workspace_id = m.workspace_id AND mt.user_id = m.user_id
		WHERE TRUE`+these+` ORDER BY k.id, mt.tenant_id`, ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, tenant string
		if err := rows.Scan(&id, &tenant); err != nil {
			return err
		}
		if sum, ok := sums[id]; ok {
			add(sum, tenant)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for id, sum := range sums {
		found[id] = Standing{Rights: hex.EncodeToString(sum.Sum(nil)), Inbox: inbox[id]}
	}
	return nil
}

// add adds fields to a hash, each with its length, so that no two lists of fields give
// the same input.
func add(h hash.Hash, fields ...string) {
	for _, f := range fields {
		_, _ = fmt.Fprintf(h, "%d:%s,", len(f), f) // a hash takes everything
	}
}
