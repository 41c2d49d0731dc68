package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/op"
)

// config is what login saves.
type config struct {
	URL    string `json:"url"`
	Token  string `json:"token"`
	CAFile string `json:"ca_file,omitempty"`
}

func configPath() (string, error) {
	if path := os.Getenv("INTERLOCK_CONFIG"); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where to save the login: %w", err)
	}
	return filepath.Join(dir, "interlock", "config.json"), nil
}

// loadConfig returns what login saved; the zero config if nobody logged in.
func loadConfig() (config, error) {
	path, err := configPath()
	if err != nil {
		return config{}, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	} else if err != nil {
		return config{}, fmt.Errorf("saved login: %w", err)
	}
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return config{}, fmt.Errorf("saved login in %s is damaged: remove the file and log in again: %w", path, err)
	}
	return c, nil
}

// save writes c, readable by this user only. The file is replaced as a whole.
func (c config) save() (path string, err error) {
	if path, err = configPath(); err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", fmt.Errorf("save the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("save the login: %w", err)
	}
	if err := durable.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("save the login: %w", err)
	}
	return path, nil
}

// tokenVariable is the environment variable with a token.
const tokenVariable = "INTERLOCK_TOKEN" //nolint:gosec // a name

// where returns the server and the token to use. Flags take precedence over the
// environment, and the environment over what login saved. A saved token is only sent to
// the server that it belongs to.
func (a *app) where() (config, error) {
	saved, err := loadConfig()
	if err != nil {
		return config{}, err
	}
	c := config{
		URL:    cmp.Or(a.url, os.Getenv("INTERLOCK_URL"), saved.URL),
		Token:  os.Getenv(tokenVariable),
		CAFile: cmp.Or(a.caFile, os.Getenv("INTERLOCK_CA_FILE")),
	}
	if c.URL == saved.URL {
		c.Token, c.CAFile = cmp.Or(c.Token, saved.Token), cmp.Or(c.CAFile, saved.CAFile)
	}
	return c, nil
}

func (c config) client() (*client.Client, error) {
	return client.New(c.URL, c.Token, client.Options{CAFile: c.CAFile, Surface: string(op.SurfaceCLI)})
}

// client returns a client of the server from [app.where].
func (a *app) client() (*client.Client, error) {
	c, err := a.where()
	if err != nil {
		return nil, err
	}
	if c.URL == "" || c.Token == "" {
		return nil, errors.New("you are not logged in: see interlock login --help")
	}
	return c.client()
}
