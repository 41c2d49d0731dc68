package op

import "testing"

func TestCodesOfNoOutcome(t *testing.T) {
	if Outcome("").HTTPStatus() != 500 || Outcome("").ExitCode() != 1 || Problem("").HTTPStatus() != 500 || Problem("").ExitCode() != 1 {
		t.Error("what is no answer has the code of one")
	}
}

func TestKeyReuseHasItsOwnExitCode(t *testing.T) {
	if ProblemKeyReused.ExitCode() != 5 || ProblemField.ExitCode() != 1 {
		t.Errorf("exit codes are %d and %d, want 5 and 1", ProblemKeyReused.ExitCode(), ProblemField.ExitCode())
	}
}
