package page

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/op"
)

func TestCursor(t *testing.T) {
	c := Cursor("tenants", "näme", "id")
	if key, err := After("tenants", c, 2); err != nil || !slices.Equal(key, []string{"näme", "id"}) {
		t.Errorf("%q, %v", key, err)
	}
	if key, err := After("tenants", "", 2); err != nil || key != nil {
		t.Errorf("%q, %v", key, err)
	}
	for _, bad := range []string{
		"x", "????", c + "=", c[:len(c)-2], Cursor("runs", "näme", "id"), Cursor("tenants", "näme"), Cursor("tenants", "a", "b", "c"),
		Cursor("tenants", "a\x00", "b"), strings.Repeat("A", 5000),
	} {
		if _, err := After("tenants", bad, 2); !errors.Is(err, op.ErrBadCursor) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	for _, bad := range []string{Cursor("items", "x"), Cursor("items", "0"), Cursor("items", "-1"), Cursor("items", "99999999999999999999")} {
		if _, err := AfterNumber("items", bad); !errors.Is(err, op.ErrBadCursor) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(Cursor("tenants", "a", "b"))
	f.Add("W10")
	f.Fuzz(func(t *testing.T, c string) {
		key, err := After("tenants", c, 2)
		if err == nil && c != "" && len(key) != 2 || err != nil && !errors.Is(err, op.ErrBadCursor) {
			t.Errorf("%q, %v", key, err)
		}
	})
}
