package access

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/interlock-dev/interlock/internal/op"
)

// The limits of a password: characters at least, bytes at most.
const (
	minPassword = 12
	maxPassword = 512
)

// passwordCost is what one guess costs.
// docs: OWASP Password Storage Cheat Sheet, Argon2id with 19 MiB, 2 passes, 1 lane.
var passwordCost = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashing bounds the memory that guesses can make us use at a time.
var hashing = make(chan struct{}, runtime.NumCPU())

// nobody is a hash that no password matches, for the accounts that don't exist.
var nobody = sync.OnceValues(func() (string, error) {
	secret, _ := newSecret("")
	return argon2id.CreateHash(secret, passwordCost)
})

// checkPassword returns an [*op.FieldError] for what can't be a password.
func checkPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return &op.FieldError{Field: "password", Detail: fmt.Sprintf("needs at least %d characters", minPassword)}
	case len(password) > maxPassword:
		return &op.FieldError{Field: "password", Detail: fmt.Sprintf("has %d bytes, at most %d are allowed", len(password), maxPassword)}
	}
	return nil
}

// hashPassword hashes a password that was checked.
func hashPassword(ctx context.Context, password string) (string, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return argon2id.CreateHash(password, passwordCost)
}

// passwordMatches compares in constant time. An empty hash matches nothing, at
// the same cost.
func passwordMatches(ctx context.Context, password, hash string) (bool, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	known := hash != ""
	if !known {
		var err error
		if hash, err = nobody(); err != nil {
			return false, err
		}
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	return match && known, err
}
