// Package archtest holds the rules of the house that no compiler knows: who may
// import whom and why, what only one place may do, where the words live, which
// lane a test belongs to, and which tests prove which promise. It has tests
// only. Each rule is a function from parsed files to what it finds wrong in
// them, and [TestRulesSee] shows every one of them a file that breaks it.
package archtest

//go:generate go test -run ^(TestDepguard|TestMutations)$ -update
