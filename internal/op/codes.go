package op

import "net/http"

// HTTPStatus returns the status that carries the answer: 500 when it is none of the four.
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

// ExitCode returns what the CLI ends with: 0 when a run is on its way, 3 when the
// connection is busy, 4 when something has to be mended, 1 when it is none of the four.
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

// HTTPStatus returns the status that carries the problem: 500 when it is unknown.
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

// ExitCode returns what the CLI ends with: 5 for a key that was used before, else 1.
func (p Problem) ExitCode() int {
	if p == ProblemKeyReused {
		return 5
	}
	return 1
}
