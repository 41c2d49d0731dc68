package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// file is one file of an archive or a folder.
type file struct {
	path string
	size int64 // as declared
	open func() (io.ReadCloser, error)
}

// Zip reads a zip file of size bytes.
//
// Errors are the values above, alone or in a [*FileError], and [*SameIDError]: nothing is
// taken then.
func Zip(r io.ReaderAt, size int64) (Bundle, error) {
	if size > MaxUpload {
		return Bundle{}, ErrTooLarge
	}
	if err := count(io.NewSectionReader(r, 0, size)); err != nil {
		return Bundle{}, err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return Bundle{}, ErrNotZip // err says no more
	}
	var files []file
	var total uint64
	seen := make(map[string]bool)
	for _, f := range z.File {
		name, err := clean(f)
		if err != nil {
			return Bundle{}, &FileError{f.Name, err}
		}
		if f.FileInfo().IsDir() || strings.HasSuffix(name, "/") {
			continue
		}
		if seen[name] {
			return Bundle{}, &FileError{f.Name, ErrTwice}
		}
		seen[name] = true
		if f.UncompressedSize64 > MaxTotal-total {
			return Bundle{}, ErrExpands
		}
		if total += f.UncompressedSize64; total > freeRatio && total > maxRatio*uint64(size) {
			return Bundle{}, ErrExpands
		}
		files = append(files, file{name, int64(f.UncompressedSize64), f.Open})
	}
	return read(files, nil, false)
}

// count refuses a zip file with too many entries before their directory is held in memory.
func count(r io.Reader) error {
	mark := []byte("PK\x01\x02")
	buffer := make([]byte, 1<<20)
	n, kept := 0, 0
	for {
		got, err := io.ReadFull(r, buffer[kept:])
		part := buffer[:kept+got]
		if n += bytes.Count(part, mark); n > MaxFiles {
			return ErrTooMany
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("archive: %w", err)
		}
		kept = copy(buffer, part[len(part)-len(mark)+1:])
	}
}

// clean returns the path of an entry with slashes, or why it is dangerous. Old tools on
// Windows write backslashes.
func clean(f *zip.File) (string, error) {
	name := strings.ReplaceAll(f.Name, `\`, "/")
	drive := len(name) > 1 && name[1] == ':'
	switch {
	case name == "" || len(name) > maxPath || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return "", ErrDamaged
	case name[0] == '/' || drive || slices.Contains(strings.Split(name, "/"), ".."):
		return "", ErrPath
	case f.Mode()&fs.ModeSymlink != 0:
		return "", ErrLink
	case f.Flags&1 != 0:
		return "", ErrEncrypted
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return "", ErrCompressed
	}
	if strings.HasSuffix(name, "/") {
		return path.Clean(name) + "/", nil
	}
	return path.Clean(name), nil
}

// Folder reads a folder with all folders below it, within the limits of [Zip]. It does not
// follow links and skips folders of version control. Public collections hold several
// versions of a policy: the first by path counts, and the others are named.
func Folder(dir fs.FS) (Bundle, error) {
	var files []file
	var skipped []Skipped
	var total int64
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			skipped = append(skipped, Skipped{name, "belongs to version control"})
			return fs.SkipDir
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			skipped = append(skipped, Skipped{name, "is a link or no regular file"})
			return nil
		case len(files) == MaxFiles:
			return ErrTooMany
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if isJSON(name) {
			if total += info.Size(); total > MaxTotal {
				return ErrExpands
			}
		}
		files = append(files, file{name, info.Size(), func() (io.ReadCloser, error) { return dir.Open(name) }})
		return nil
	})
	if err != nil {
		return Bundle{}, fmt.Errorf("archive: %w", err)
	}
	return read(files, skipped, true)
}

func isJSON(name string) bool { return strings.EqualFold(path.Ext(name), ".json") }
