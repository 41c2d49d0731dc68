// Package local runs administrator commands in the server process, over a Unix socket
// beside the database file. Only one process can use an SQLite file, so that a command
// can't open it while the server is running.
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

// Handler runs an administrator command. Its output goes to out and is shown to the
// administrator.
type Handler func(ctx context.Context, command string, args json.RawMessage, out io.Writer) error

// ErrUnknown is returned by a [Handler] for an unknown command.
var ErrUnknown = errors.New("the running server does not know this command: it is another version")

// ErrNobody is returned by [Call] when no server answers at the socket.
var ErrNobody = errors.New("no server listens at its socket")

// failed is the HTTP trailer that holds the command's error; empty after success.
const failed = "Interlock-Error"

// Listen runs commands that arrive at the socket at path until stop is called. Only the
// user of this process can connect. It replaces a socket that exists: the caller holds
// the lock of the database file, so the process that made the socket is gone. Arguments
// of a command are limited to 1 MiB.
func Listen(ctx context.Context, path string, handle Handler) (stop func(), err error) {
	// The socket is created in a private folder, closed to others and then moved.
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

// flushed is a writer that sends every write immediately.
type flushed struct {
	io.Writer
	c *http.ResponseController
}

// Write writes b and flushes it.
func (f flushed) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	return n, errors.Join(err, f.c.Flush())
}

// Call runs a command in the server at the socket. The command's output goes to out. An
// error of the command is returned with its text only. It returns [ErrNobody] when no
// server answers.
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
	defer func() { _ = resp.Body.Close() }() // only read
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("the server stopped while it ran the command: %w", err)
	}
	if text, err := url.QueryUnescape(resp.Trailer.Get(failed)); err != nil || text != "" {
		return errors.Join(err, errors.New(text))
	}
	return nil
}
