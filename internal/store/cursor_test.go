package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestCursor(t *testing.T) {
	c := cursor("tenants", "näme", "id")
	if key, err := after("tenants", c, 2); err != nil || !slices.Equal(key, []string{"näme", "id"}) {
		t.Errorf("%q, %v", key, err)
	}
	if key, err := after("tenants", "", 2); err != nil || key != nil {
		t.Errorf("%q, %v", key, err)
	}
	for _, bad := range []string{
		"x", "????", c + "=", c[:len(c)-2], cursor("runs", "näme", "id"), cursor("tenants", "näme"), cursor("tenants", "a", "b", "c"),
		cursor("tenants", "a\x00", "b"), strings.Repeat("A", 5000),
	} {
		if _, err := after("tenants", bad, 2); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	for _, bad := range []string{cursor("items", "x"), cursor("items", "0"), cursor("items", "-1"), cursor("items", "99999999999999999999")} {
		if _, err := afterNumber("items", bad); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor("tenants", "a", "b"))
	f.Add("W10")
	f.Fuzz(func(t *testing.T, c string) {
		key, err := after("tenants", c, 2)
		if err == nil && c != "" && len(key) != 2 || err != nil && !errors.Is(err, ErrBadCursor) {
			t.Errorf("%q, %v", key, err)
		}
	})
}
