// Package restorechain has tests only: each step of a restore on each surface, without
// each of its prerequisites.
package restorechain
