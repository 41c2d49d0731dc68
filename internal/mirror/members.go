package mirror

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
)

// Member is an object in a group.
type Member struct {
	Group, Member string
	Type          string // of the member, as the provider wrote it; an object never changes it
}

// A tenant has about twenty times as many memberships as groups, so their rows are
// small: two ids of 16 bytes and a letter.

// guidBytes is the length of a key that is a GUID; other keys are longer.
const guidBytes = 16

// rowKey returns an id as its row stores it: the bytes of a GUID, or else the text,
// padded with NUL bytes so that it can't be mistaken for one. The bytes sort like the ids.
func rowKey(id string) []byte {
	if len(id) == 36 {
		if u, err := uuid.Parse(id); err == nil && u.String() == id {
			return u[:]
		}
	}
	key := []byte(storable(id))
	return append(key, make([]byte, max(0, guidBytes+1-len(key)))...)
}

// rowID returns the id of a key.
func rowID(key []byte) string {
	if len(key) == guidBytes {
		return uuid.UUID(key).String()
	}
	return string(bytes.TrimRight(key, "\x00"))
}

// nested is the letter of a member that is a group.
const nested = "g"

// graphType is the prefix of types of Microsoft Graph.
const graphType = "#microsoft.graph."

// typeLetters are the types that members have. docs: "List group members".
var typeLetters = map[string]string{
	graphType + "user":             "u",
	graphType + "device":           "d",
	graphType + "group":            nested,
	graphType + "servicePrincipal": "s",
	graphType + "orgContact":       "c",
}

func letterOf(of string) string { return cmp.Or(typeLetters[of], storable(of)) }

func typeOf(letter string) string {
	for of, l := range typeLetters {
		if l == letter {
			return of
		}
	}
	return letter
}

// MemberBatches splits memberships into batches, each for one transaction that writes
// or removes them. A removal takes two statements for each group.
func MemberBatches(list []Member) iter.Seq[[]Member] {
	const groups = 50
	return func(yield func([]Member) bool) {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b Member) int {
			return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Member, b.Member))
		})
		from, seen := 0, 0
		for i := range list {
			if i == from || list[i].Group != list[i-1].Group {
				seen++
			}
			if i-from == batchRows || seen > groups {
				if !yield(list[from:i]) {
					return
				}
				from, seen = i, 1
			}
		}
		if from < len(list) {
			yield(list[from:])
		}
	}
}

var (
	insertMembers = query.ManyRows(`INSERT INTO memberships (generation, group_id, member_id, type) VALUES `, `($1`, 1, 3,
		` ON CONFLICT DO NOTHING RETURNING group_id`)
	addToSizes = query.ManyRows(`INSERT INTO group_sizes (generation, group_id, members) VALUES `, `($1`, 1, 2,
		` ON CONFLICT (generation, group_id) DO UPDATE SET members = group_sizes.members + excluded.members`)
)

// PutMembers writes the memberships of one of [MemberBatches]. Existing ones stay. It is
// [op.ErrConflict] when the round is over.
func PutMembers(ctx context.Context, tx db.Tx, generation int64, list []Member) error {
	var total int64
	more := make(map[string]int64) // by the key of the group
	for n := range query.Sizes(len(list)) {
		args := make([]any, 0, 1+3*n)
		args = append(args, generation)
		for _, m := range list[:n] {
			if len(m.Group) > maxRecordID || len(m.Member) > maxRecordID {
				return fmt.Errorf("put members: an id has %d bytes, at most %d can be kept", max(len(m.Group), len(m.Member)), maxRecordID)
			}
			args = append(args, rowKey(m.Group), rowKey(m.Member), letterOf(m.Type))
		}
		list = list[n:]
		rows, err := tx.Query(ctx, insertMembers(n), args...)
		if err != nil {
			return fmt.Errorf("put members: %w", err)
		}
		for rows.Next() {
			var group []byte
			if err = rows.Scan(&group); err != nil {
				break
			}
			more[string(group)]++
			total++
		}
		rows.Close()
		if err == nil {
			err = rows.Err()
		}
		if err != nil {
			return fmt.Errorf("put members: %w", err)
		}
	}
	groups := make([]string, 0, len(more))
	for group := range more {
		groups = append(groups, group)
	}
	slices.Sort(groups) // one order of locks
	for n := range query.Sizes(len(groups)) {
		args := make([]any, 0, 1+2*n)
		args = append(args, generation)
		for _, group := range groups[:n] {
			args = append(args, []byte(group), more[group])
		}
		groups = groups[n:]
		if _, err := tx.Exec(ctx, addToSizes(n), args...); err != nil {
			return fmt.Errorf("put members: %w", err)
		}
	}
	if err := counted(ctx, tx, generation, 0, total); err != nil {
		return fmt.Errorf("put members: %w", err)
	}
	return nil
}

// RemoveMembers removes the memberships of one of [MemberBatches]. A missing one is no
// error. It is [op.ErrConflict] when the round is over.
func RemoveMembers(ctx context.Context, tx db.Tx, generation int64, list []Member) error {
	var total int64
	for len(list) > 0 {
		group, keys := list[0].Group, [][]byte(nil)
		for len(list) > 0 && list[0].Group == group {
			keys = append(keys, rowKey(list[0].Member))
			list = list[1:]
		}
		n, err := removeThese(ctx, tx, generation, rowKey(group), keys)
		if err != nil {
			return fmt.Errorf("remove members: %w", err)
		}
		total += n
	}
	if err := counted(ctx, tx, generation, 0, -total); err != nil {
		return fmt.Errorf("remove members: %w", err)
	}
	return nil
}

// removeThese removes members of one group and returns how many it removed.
func removeThese(ctx context.Context, tx db.Tx, generation int64, group []byte, members [][]byte) (total int64, err error) {
	for some := range query.Lists(members) {
		// One plan for all groups would read every member of a large one.
		q := query.Of(`DELETE FROM memberships WHERE generation = $1 AND group_id = $2 AND member_id IN (`+query.Placeholders(3, len(some))+`) RETURNING type`,
			append([]any{generation, group}, some...)...).PlanAnew()
		gone, err := query.All(ctx, tx, q, query.ScanText)
		if err != nil {
			return 0, err
		}
		total += int64(len(gone))
	}
	if total == 0 {
		return 0, nil
	}
	return total, shrink(ctx, tx, generation, group, total)
}

// shrink reduces the stored size of a group.
func shrink(ctx context.Context, tx db.Tx, generation int64, group []byte, by int64) error {
	_, err := tx.Exec(ctx, `UPDATE group_sizes SET members = members - $3 WHERE generation = $1 AND group_id = $2`, generation, group, by)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM group_sizes WHERE generation = $1 AND group_id = $2 AND members <= 0`, generation, group)
	}
	return err
}

// groupSize is one row of group_sizes.
type groupSize struct {
	group   []byte
	members int64
}

func scanSize(row db.Row) (z groupSize, err error) {
	err = row.Scan(&z.group, &z.members)
	return z, err
}

// sizes returns the sizes of those of the groups that have members.
func sizes(ctx context.Context, tx db.Tx, generation int64, ids []string) (list []groupSize, err error) {
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = rowKey(id)
	}
	for some := range query.Lists(keys) {
		q := query.Of(`SELECT group_id, members FROM group_sizes WHERE generation = $1 AND group_id IN (`+query.Placeholders(2, len(some))+`)`,
			append([]any{generation}, some...)...)
		found, err := query.All(ctx, tx, q, scanSize)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// removeMembersOf removes the members of groups until one transaction has done
// enough. It returns how many of the groups are done.
func removeMembersOf(ctx context.Context, tx db.Tx, generation int64, groups []string) (done int, removed int64, err error) {
	list, err := sizes(ctx, tx, generation, groups)
	if err != nil {
		return 0, 0, err
	}
	size := make(map[string]int64, len(list))
	for _, z := range list {
		size[string(z.group)] = z.members
	}
	for i, id := range groups {
		key := rowKey(id)
		if size[string(key)] == 0 {
			continue
		}
		if removed > 0 && removed+size[string(key)] > batchRows {
			return i, removed, nil
		}
		n, err := removeSome(ctx, tx, generation, key, size[string(key)], batchRows)
		if err != nil {
			return 0, 0, err
		}
		if removed += n; n < size[string(key)] {
			return i, removed, nil
		}
		delete(size, string(key))
	}
	return len(groups), removed, nil
}

// removeSome removes up to limit members of a group that has size of them.
func removeSome(ctx context.Context, tx db.Tx, generation int64, group []byte, size, limit int64) (n int64, err error) {
	const of = `generation = $1 AND group_id = $2`
	if size <= limit {
		n, err = tx.Exec(ctx, `DELETE FROM memberships WHERE `+of, generation, group)
	} else {
		var rest []byte
		err = tx.QueryRow(ctx, `SELECT member_id FROM memberships WHERE `+of+` ORDER BY member_id LIMIT 1 OFFSET $3`, generation, group, limit).Scan(&rest)
		if err == nil {
			n, err = tx.Exec(ctx, `DELETE FROM memberships WHERE `+of+` AND member_id < $3`, generation, group, rest)
		}
	}
	if err == nil {
		err = shrink(ctx, tx, generation, group, n)
	}
	return n, err
}

// sweepMembers deletes up to limit members of a generation: of several small
// groups at once, of a large one in parts.
func sweepMembers(ctx context.Context, tx db.Tx, generation, limit int64) (swept int64, err error) {
	list, err := query.All(ctx, tx, new(query.Query).Add(`SELECT group_id, members FROM group_sizes WHERE generation = %s ORDER BY group_id LIMIT 100`, generation), scanSize)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	if list[0].members > limit {
		return removeSome(ctx, tx, generation, list[0].group, list[0].members, limit)
	}
	first, last := list[0].group, list[0].group
	for _, z := range list {
		if swept+z.members > limit {
			break
		}
		swept, last = swept+z.members, z.group
	}
	for _, table := range []string{"memberships", "group_sizes"} {
		// With both ends of the range, a planner without statistics expects a short one.
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE generation = $1 AND group_id >= $2 AND group_id <= $3`, generation, first, last); err != nil {
			return 0, err
		}
	}
	return max(swept, 1), nil
}
