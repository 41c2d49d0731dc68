package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// HeldError names the process that has the database file open.
type HeldError struct {
	Path  string    `json:"-"` // the database file
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("database file %s is in use by another process", e.Path)
	}
	return fmt.Sprintf("database file %s is in use by process %d on host %s since %s",
		e.Path, e.PID, e.Host, e.Since.Format(time.RFC3339))
}

// heldFile is the lock beside a database file. The kernel releases it when the process
// ends, however it ends, and a copy of the folder is not locked. The content of the
// lock file is for people only.
type heldFile struct{ lock *flock.Flock }

// holdFile locks the database file at path, or returns a [HeldError].
func holdFile(path string) (*heldFile, error) {
	name := path + ".lock"
	lock := flock.New(name, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the database file: %w", err)
	}
	if !ok {
		holder := &HeldError{Path: path}
		if data, err := os.ReadFile(name); err == nil {
			_ = json.Unmarshal(data, holder) // half-written: still refused, without a name
		}
		return nil, holder
	}
	host, _ := os.Hostname() // an unknown host is an empty name
	data, err := json.Marshal(HeldError{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second)})
	if err == nil {
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the database file: %w", err), lock.Unlock())
	}
	return &heldFile{lock}, nil
}

func (h *heldFile) release() error { return h.lock.Unlock() }
