package graph

import (
	"context"
	"errors"

	"github.com/interlock-dev/interlock/internal/provider"
)

// Batch implements [provider.Client].
func (c *Client) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	results := make([]provider.Result, len(paths))
	for i, path := range paths {
		body, err := c.read(ctx, path)
		var pe *provider.Error
		if err != nil && !errors.As(err, &pe) {
			return nil, err
		}
		results[i] = provider.Result{Path: path, Body: body, Err: err}
	}
	return results, nil
}
