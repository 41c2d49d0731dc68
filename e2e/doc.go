// Package e2e proves the product as its operators and their machines meet it:
// the real program in processes of its own, asked over HTTP and by its commands,
// with a simulated Microsoft 365 beside it that outlives them. What came of it is
// judged by reading the database, never by what the program says of itself.
package e2e
