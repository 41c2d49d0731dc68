package httpx

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is a certificate with its key, in two PEM files. Replaced files are used from
// the next connection on. While they are invalid, the previous certificate stays in use.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]fileStamp // of the files when they were last read
	refused bool         // the files were invalid
}

// fileStamp changes when the file changes.
type fileStamp struct {
	at   time.Time
	size int64
}

// LoadCertificate reads the files. A nil log means slog.Default().
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	if log == nil {
		log = slog.Default()
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	stamp, err := c.look()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	c.pair, c.stamp = &pair, stamp
	return c, nil
}

// TLS returns the TLS configuration of a server with the certificate and HTTP/2.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
}

func (c *Certificate) look() (s [2]fileStamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name) // follows links: renewal tools replace files by links
		if err != nil {
			return s, fmt.Errorf("certificate: %w", err)
		}
		s[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

// get checks the files at each handshake. The handshake costs much more.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp, err := c.look()
	if err == nil && stamp == c.stamp {
		return c.pair, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile)
	}
	if err == nil && pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		err = errors.New("it has expired")
	}
	if err == nil {
		c.log.Info("took a renewed certificate", "certificate", c.certFile, "expires", pair.Leaf.NotAfter)
		c.pair, c.stamp, c.refused = &pair, stamp, false
		return c.pair, nil
	}
	if !c.refused || stamp != c.stamp {
		c.log.Error("the renewed certificate can't be used; the one before stays in use", "certificate", c.certFile, "key", c.keyFile, "error", err)
	}
	c.refused, c.stamp = true, stamp
	return c.pair, nil
}
