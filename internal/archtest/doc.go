// Package archtest checks the rules that the compiler doesn't know: who may import whom
// and why, what only one place may do, where the words are, which lane a test belongs
// to, and which tests prove which promise. It has tests only. Each rule is a function
// from parsed files to findings, and [TestRulesSee] gives every rule a file that breaks
// it.
package archtest

//go:generate go test -run ^(TestDepguard|TestManualTables|TestMutations)$ -update
