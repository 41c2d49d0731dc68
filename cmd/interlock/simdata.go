package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/policy"
)

// simData reads the policies of a folder or a zip file for the simulator, and the id of the
// tenant they come from, if the files say so. It returns nil for a folder with
// policies/index.json, which the simulator reads itself.
func simData(path string) (data *graphsim.Data, directory string, err error) {
	fail := func(err error) (*graphsim.Data, string, error) {
		return nil, "", fmt.Errorf("--data %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fail(errors.Unwrap(err))
	}
	var bundle archive.Bundle
	if info.IsDir() {
		_, err := os.Stat(filepath.Join(path, "policies", "index.json"))
		if err == nil {
			return nil, "", nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fail(err)
		}
		if bundle, err = archive.Folder(os.DirFS(path)); err != nil {
			return fail(err)
		}
	} else if bundle, err = readZip(path); err != nil {
		return fail(err)
	}
	if data, err = fromBundle(bundle); err != nil {
		return fail(err)
	}
	data.Folder = path
	return data, bundle.Directory, nil
}

// unpack reads the policies of a zip file that the control API loads.
func unpack(file []byte) (*graphsim.Data, error) {
	bundle, err := archive.Zip(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	return fromBundle(bundle)
}

func fromBundle(bundle archive.Bundle) (*graphsim.Data, error) {
	if len(bundle.Items) == 0 {
		return nil, fmt.Errorf("no file has a policy that is known; %d files were skipped", len(bundle.Skipped))
	}
	data := &graphsim.Data{}
	for _, s := range bundle.Skipped {
		data.LeftOut = append(data.LeftOut, graphsim.LeftOut{File: s.Path, Reason: s.Why})
	}
	for _, item := range bundle.Items {
		parts := map[string]json.RawMessage{}
		maps.Copy(parts, item.Parts)
		if item.Assignments != nil {
			parts["assignments"] = item.Assignments
		}
		data.Documents = append(data.Documents, graphsim.Document{
			Collection: policy.Lookup(item.Type).Path, File: item.File, ID: item.ID, Body: item.Body, Parts: parts,
		})
	}
	return data, nil
}

func readZip(path string) (archive.Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return archive.Bundle{}, errors.Unwrap(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return archive.Bundle{}, errors.Unwrap(err)
	}
	return archive.Zip(f, info.Size())
}
