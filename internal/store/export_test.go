package store

import "github.com/interlock-dev/interlock/internal/vault"

// IsSealed reports whether a column is changed with the keys.
func IsSealed(table, column string) bool {
	if table == "credentials" && column == "sealed" { // see rekeyCredentials
		return true
	}
	for _, c := range rootColumns {
		if c.table == table && c.column == column {
			return true
		}
	}
	return false
}

// SecretOf is what a credential is saved as.
func SecretOf(n NewCredential) vault.Secret { return n.secret }
