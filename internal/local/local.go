// Package local lets the administrator's commands on this machine be run by the
// server that holds the database file, over a socket beside it. A file of SQLite
// belongs to one process, so that a command can't open it while the server works.
package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Handler runs a command of the administrator's. What it writes is shown to them.
type Handler func(ctx context.Context, command string, args json.RawMessage, out io.Writer) error

// ErrUnknown is returned by a [Handler] for a command that it does not know.
var ErrUnknown = errors.New("the server that runs does not know this command: it is of another version")

// ErrNobody is returned by [Call] when no server answers at the socket.
var ErrNobody = errors.New("no server answers at its socket")

// failed is the trailer that tells how a command ended.
const failed = "Interlock-Error"

// Listen runs commands that come to the socket at path until stop is called. Only
// the user whose process this is can reach it. A socket that is there already is
// taken over: the caller holds the database file, so that its owner is gone.
func Listen(ctx context.Context, path string, handle Handler) (stop func(), err error) {
	// In a folder that is closed to others it is made, and moved once it is closed too.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s") // 0700
	if err != nil {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	made := filepath.Join(dir, "s")
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", made)
	if err != nil {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("local socket: %w", err), ln.Close())
	}
	s := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			args, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			w.Header().Set("Trailer", failed)
			w.WriteHeader(http.StatusOK)
			if err == nil {
				err = handle(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), args, flushed{w, http.NewResponseController(w)})
			}
			if err != nil {
				w.Header().Set(failed, url.QueryEscape(err.Error()))
			}
		}),
	}
	go func() { _ = s.Serve(ln) }()
	return func() {
		_ = s.Close()
		_ = os.Remove(path)
	}, nil
}

// flushed sends what is written at once.
type flushed struct {
	io.Writer
	c *http.ResponseController
}

// Write writes and sends.
func (f flushed) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	return n, errors.Join(err, f.c.Flush())
}

// Call has the server at the socket run a command. What the command writes goes to
// out; its error is returned with its text.
func Call(ctx context.Context, path, command string, args any, out io.Writer) error {
	body, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://server/"+url.PathEscape(command), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	resp, err := client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w (%s)", ErrNobody, path)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("the server stopped in the middle of it: %w", err)
	}
	if text, err := url.QueryUnescape(resp.Trailer.Get(failed)); err != nil || text != "" {
		return errors.Join(err, errors.New(text))
	}
	return nil
}
