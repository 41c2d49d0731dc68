// Package e2e tests the product as its operators use it: the real program in its own
// processes, over HTTP and by its commands, with a simulated Microsoft 365 that
// outlives them. Results are read from the database, not taken from what the program
// says about itself.
package e2e
