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
	"github.com/interlock-dev/interlock/internal/store"
)

// refuse returns err as the problem that answers it.
func refuse(ctx context.Context, err error) error {
	var reused *gate.KeyReusedError
	switch {
	case errors.As(err, &reused):
		p := httpx.NewProblem(op.ProblemKeyReused, op.Args{"fields": strings.Join(reused.Fields, ",")})
		p.Fields = reused.Fields
		return p
	case errors.Is(err, store.ErrBadCursor):
		return httpx.NewProblem(op.ProblemCursor, nil).Naming(httpx.Wrong{Field: "cursor", Detail: store.ErrBadCursor.Error()})
	}
	x := httpx.Of(ctx)
	x.Failed(ctx, err)
	return httpx.Explain(err, x.ID)
}

// docs: the framework asks this variable, and nothing of an API's configuration,
// for what it answers to a request of the wrong shape.
func init() { huma.NewErrorWithContext = misshapen }

// misshapen turns what the framework has to say about a request into a problem
// that names the fields. Their values are left out: they may be secrets.
func misshapen(hc huma.Context, status int, message string, errs ...error) huma.StatusError {
	x := &httpx.Exchange{}
	if hc != nil {
		x = httpx.Of(hc.Context())
	}
	var wrong []httpx.Wrong
	switch status {
	case http.StatusRequestEntityTooLarge:
		return httpx.Explain(&http.MaxBytesError{Limit: maxBody}, x.ID)
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
		err := errors.Join(append(errs, errors.New(message))...)
		if hc != nil {
			x.Failed(hc.Context(), err)
		}
		return httpx.Explain(err, x.ID)
	}
	return httpx.NewProblem(op.ProblemField, op.Args{"field": wrong[0].Field, "detail": wrong[0].Detail}).Naming(wrong...)
}

// wrongField says where and why, without the value.
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
	case detail == "unexpected property", detail == "unknown query parameter":
		detail = "is not known here"
	case strings.HasPrefix(detail, "required ") && strings.HasSuffix(detail, " is missing"):
		detail = "is missing"
	case field == "" && where == "body":
		field = "body"
		if !strings.HasPrefix(detail, "expected ") {
			detail = "is not valid JSON: " + detail
		}
	}
	if rest, ok := strings.CutPrefix(detail, "expected "); ok {
		detail = "must be " + rest
	}
	if field == "" {
		field = where
	}
	return httpx.Wrong{Field: field, Detail: detail}
}
