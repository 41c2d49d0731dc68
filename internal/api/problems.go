package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// refuse returns the problem that answers err, and logs it if it is our fault.
func refuse(ctx context.Context, err error) *httpx.Problem {
	var reused *gate.KeyReusedError
	switch {
	case errors.As(err, &reused):
		p := httpx.NewProblem(op.ProblemKeyReused, op.Args{"fields": strings.Join(reused.Fields, ",")})
		p.Fields = reused.Fields
		return p
	case errors.Is(err, op.ErrBadCursor):
		return httpx.NewProblem(op.ProblemCursor, nil).Naming(httpx.Wrong{Field: "cursor", Detail: op.ErrBadCursor.Error()})
	}
	return httpx.Refuse(ctx, err)
}

// docs: the framework reads this variable, and no setting of an API, for its answer to
// a malformed request.
func init() {
	huma.NewErrorWithContext = misshapen
	huma.ValidateStrictCasing = true // "Operation" is not "operation"
}

// misshapen converts the framework's findings into a problem that names the fields. It
// leaves out their values, which may be secrets.
func misshapen(hc huma.Context, status int, message string, errs ...error) huma.StatusError {
	var wrong []httpx.Wrong
	switch status {
	case http.StatusRequestEntityTooLarge:
		return httpx.Refuse(hc.Context(), &http.MaxBytesError{Limit: maxBody})
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		for _, err := range errs {
			wrong = append(wrong, wrongField(err))
		}
		if len(wrong) == 0 {
			wrong = []httpx.Wrong{{Field: "body", Detail: "is missing"}}
		}
	case http.StatusUnsupportedMediaType:
		wrong = []httpx.Wrong{{Field: "Content-Type", Detail: "must be application/json"}}
	case http.StatusRequestTimeout:
		wrong = []httpx.Wrong{{Field: "body", Detail: "did not arrive in time"}}
	default:
		return httpx.Refuse(hc.Context(), errors.Join(append(errs, errors.New(message))...))
	}
	return httpx.NewProblem(op.ProblemField, op.Args{"field": wrong[0].Field, "detail": wrong[0].Detail}).Naming(wrong...)
}

// wrongField returns a field and what is wrong with it, without its value.
func wrongField(err error) httpx.Wrong {
	var d *huma.ErrorDetail
	if !errors.As(err, &d) {
		return httpx.Wrong{Field: "body", Detail: err.Error()}
	}
	where, field, _ := strings.Cut(d.Location, ".")
	detail := d.Message
	if name, ok := strings.CutPrefix(detail, "expected required property "); ok {
		name, _, _ = strings.Cut(name, " ")
		field, detail = strings.TrimPrefix(field+"."+name, "."), "is missing"
	}
	switch {
	case field != "":
		return httpx.Wrong{Field: field, Detail: predicate(detail)}
	case where == "body" && !strings.HasPrefix(detail, "expected "):
		return httpx.Wrong{Field: "body", Detail: "is not valid JSON: " + detail}
	}
	return httpx.Wrong{Field: where, Detail: predicate(detail)}
}

// predicate rewrites a message of the framework so that it continues a sentence that
// begins with the field's name. Unknown messages stay as they are.
func predicate(detail string) string {
	for _, w := range []struct{ said, means string }{
		{"unexpected property", "is not known here"},
		{"unknown query parameter", "is not known here"},
		{"required query parameter is missing", "is missing"},
		{"required header parameter is missing", "is missing"},
		{"invalid integer", "must be a whole number"},
		{"invalid boolean", "must be true or false"},
		{"invalid date/time", "must be a time, such as 2026-11-23T14:02:31Z"},
		{"expected string to be RFC 3339 date-time", "must be a time, such as 2026-11-23T14:02:31Z"},
		{"expected string", "must be text"},
		{"expected integer", "must be a whole number"},
		{"expected boolean", "must be true or false"},
		{"expected array", "must be a list"},
		{"expected object", "must be an object"},
	} {
		if detail == w.said || strings.HasPrefix(w.said, "invalid ") && strings.HasPrefix(detail, w.said) {
			return w.means
		}
	}
	for _, w := range []struct{ begins, means string }{
		{"expected value to be one of ", "must be one of "},
		{"expected number >= ", "must be at least "},
		{"expected number <= ", "must be at most "},
		{"expected length >= ", "must not be shorter than "},
		{"expected length <= ", "must not be longer than "},
		{"expected array length >= ", "must not have fewer members than "},
		{"expected array length <= ", "must not have more members than "},
		{"expected string to be ", "must be "},
		{"expected ", "must be "},
	} {
		if rest, ok := strings.CutPrefix(detail, w.begins); ok {
			return w.means + strings.Trim(rest, `"`)
		}
	}
	return detail
}
