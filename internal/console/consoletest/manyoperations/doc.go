// Package manyoperations tests the console with 30 operations. It registers them in its own
// process, where no other test sees them.
package manyoperations
