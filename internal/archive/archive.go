// Package archive writes backup sets as zip files and reads policies from zip files and
// folders: from its own, and from those of IntuneCD, IntuneManagement and CIPP. The
// content of a file decides which type of policy it is, not its folder.
//
// A reader takes each policy whole or not at all, and names every file that it did not
// take with the reason. It refuses the whole archive if that is damaged or dangerous.
//
// The package has no clock, no database and no network.
package archive

import (
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
)

// Limits of what is read. A zip file and all that is in it are held in memory.
const (
	MaxUpload = 64 << 20  // bytes of a zip file
	MaxTotal  = 256 << 20 // bytes of all files, uncompressed
	MaxFiles  = 20_000    // files, and policies in them
	maxRatio  = 100       // uncompressed to compressed bytes, above freeRatio
	freeRatio = 16 << 20  // bytes, uncompressed, that any ratio may have
	maxPath   = 1_024     // bytes of a path
)

// Errors for an archive of which nothing is taken. [FileError] wraps those that are about
// one file.
var (
	ErrNotZip     = errors.New("the file is not a zip archive, or it is damaged")
	ErrTooLarge   = fmt.Errorf("the archive is larger than %d MiB", MaxUpload>>20)
	ErrTooMany    = fmt.Errorf("the archive has more than %d files or policies", MaxFiles)
	ErrExpands    = fmt.Errorf("the archive expands to more than %d MiB, or to more than %d times its size", MaxTotal>>20, maxRatio)
	ErrEncrypted  = errors.New("is encrypted: upload the archive without a password")
	ErrPath       = errors.New("has a path that leaves its folder")
	ErrLink       = errors.New("is a link")
	ErrTwice      = errors.New("occurs twice")
	ErrDamaged    = errors.New("is damaged")
	ErrCompressed = errors.New("is compressed by a method other than deflate")
	ErrNothing    = errors.New("the archive has no policy that Interlock can read")
	ErrManifest   = fmt.Errorf("is not a manifest that this version of Interlock reads (layout %d)", Layout)
)

// FileError is what is wrong with a file, so that nothing of its archive is taken.
type FileError struct {
	Path string
	Err  error
}

// Error names the file and says what is wrong.
func (e *FileError) Error() string { return fmt.Sprintf("%.200q %v", e.Path, e.Err) }

// Unwrap returns what is wrong.
func (e *FileError) Unwrap() error { return e.Err }

// SameIDError says that two files hold policies of one type with one id.
type SameIDError struct{ Type, ID, First, Second string }

// Error names both files.
func (e *SameIDError) Error() string {
	return fmt.Sprintf("%.200q and %.200q hold the same policy: %s %.100q", e.First, e.Second, e.Type, e.ID)
}

// Tool is what wrote an archive.
type Tool string

// The tools whose files are recognised. Files is any other origin.
const (
	Interlock        Tool = "interlock"
	IntuneCD         Tool = "intunecd"
	IntuneManagement Tool = "intunemanagement"
	CIPP             Tool = "cipp"
	Files            Tool = "files"
)

// Item is one policy with the bytes that the provider sent.
type Item struct {
	policy.Item
	Name    string   // empty if the policy has none
	File    string   // path in the archive; of one of several policies in a file with its number, as in "all.json#2"
	Missing []string // parts that the backup could not read, with reasons
}

// Meta describes the backup set of an archive. What its files don't say is empty.
type Meta struct {
	Set       string    // id
	Tenant    string    // name
	Directory string    // GUID
	AsOf      time.Time // when reading the tenant began
	Complete  bool
	Types     []TypeMeta // that were asked for
}

// TypeMeta says whether all policies of a type are in the backup set.
type TypeMeta struct {
	Type     string `json:"type"`
	Complete bool   `json:"complete"`
	Why      string `json:"why,omitempty"` // it is not
}

// Bundle is what was read from an archive.
type Bundle struct {
	Meta
	Tool    Tool
	Layout  int    // of our own archives; 0 for others
	Items   []Item // ids are unique within a type, without regard to case
	Skipped []Skipped
}

// Skipped is a file, or a part of one, that was not taken.
type Skipped struct {
	Path string `json:"path"`
	Why  string `json:"why"` // a clause with the file as its subject, such as "is not valid JSON"
}
