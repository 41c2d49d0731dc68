package op

import "net/http"

// HTTPStatus returns the status of the answer: 500 for an unknown outcome.
func (o Outcome) HTTPStatus() int {
	switch o {
	case Accepted:
		return http.StatusAccepted
	case Deduped:
		return http.StatusOK
	case ScopeBusy:
		return http.StatusConflict
	case Blocked:
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

// ExitCode returns the exit code of the CLI: 0 when a run is queued or running, 3 when
// the connection is busy, 4 when the start is blocked, 1 for an unknown outcome.
func (o Outcome) ExitCode() int {
	switch o {
	case Accepted, Deduped:
		return 0
	case ScopeBusy:
		return 3
	case Blocked:
		return 4
	}
	return 1
}

// HTTPStatus returns the status of the problem: 500 for an unknown one.
func (p Problem) HTTPStatus() int {
	switch p {
	case ProblemForbidden, ProblemNotFresh, ProblemSessionOnly, ProblemFactorMissing, ProblemBeyondAccess:
		return http.StatusForbidden
	case ProblemNotFound, ProblemLink:
		return http.StatusNotFound
	case ProblemSessionEnded, ProblemSignedOut, ProblemSecondFactor, ProblemSignInOver, ProblemJoinRefused, ProblemPasskeyRefused:
		return http.StatusUnauthorized
	case ProblemFormStale, ProblemCursor:
		return http.StatusBadRequest
	case ProblemTooManyStarts, ProblemTooManyRequests, ProblemTooManyTries, ProblemTooManyStreams:
		return http.StatusTooManyRequests
	case ProblemKeyReused, ProblemField:
		return http.StatusUnprocessableEntity
	case ProblemTooLarge:
		return http.StatusRequestEntityTooLarge
	case ProblemConflict, ProblemNoAddress, ProblemNoPasskeys:
		return http.StatusConflict
	case ProblemUpdating, ProblemUnavailable, ProblemLiveLost, ProblemCrowded, ProblemReconnecting, ProblemUnreachable:
		return http.StatusServiceUnavailable
	case ProblemFault:
	}
	return http.StatusInternalServerError
}

// ExitCode returns the exit code of the CLI: 5 for a key that was used before, else 1.
func (p Problem) ExitCode() int {
	if p == ProblemKeyReused {
		return 5
	}
	return 1
}
