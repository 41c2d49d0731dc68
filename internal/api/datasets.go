package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Listed is one row of a dataset.
type Listed struct {
	Kind string `json:"kind,omitempty" doc:"Of a dataset in parts: the part, such as a type of the inventory."`
	mirror.Record
}

// Part is how far one part of a dataset is.
type Part struct {
	Type  string     `json:"type"`
	AsOf  *time.Time `json:"as_of" doc:"When the type was last read completely; null: never."`
	Count int64      `json:"count"`

	Unreadable int64     `json:"unreadable" doc:"Number of objects of the last read that could not be stored, such as objects without an id. The type is then incomplete."`
	Stale      op.Reason `json:"stale_reason,omitempty" doc:"Why the last read failed and the earlier objects were kept."`
}

// typed narrows a list to a type or a part of the dataset.
type typed struct {
	DataRequest
	Type string `query:"type"`
}

// serveDataset adds the routes of one dataset, as its description says.
func (s *server) serveDataset(set *catalogue.DatasetInfo) {
	route := Route{
		ID: "list-" + set.Name, Method: http.MethodGet, Path: "/tenants/{tenant}/" + set.Name, Object: Tenant, Needs: tenancy.View,
		Summary: set.Title + " as last read, " + set.Order(),
	}
	if len(set.Types)+len(set.Parts) == 0 {
		serve(s, route, func(ctx context.Context, in *DataRequest) (*list[Listed], error) {
			return s.rows(ctx, set, in.filter())
		})
		return
	}
	serve(s, route, func(ctx context.Context, in *typed) (*list[Listed], error) {
		f := in.filter()
		f.Type = in.Type
		return s.rows(ctx, set, f)
	})
	s.describeType(route, set)
	if len(set.Parts) == 0 {
		return
	}
	serve(s, Route{
		ID: route.ID + "-types", Method: http.MethodGet, Path: route.Path + "/types", Object: Tenant, Needs: tenancy.View,
		Summary: "The types of " + lower(set.Title) + ": how many there are, as of when, and why one is stale",
	}, func(ctx context.Context, in *Through) (*list[Part], error) { return s.parts(ctx, set, in.Connection) })
}

// describeType adds to the document what a list can be narrowed to.
func (s *server) describeType(r Route, set *catalogue.DatasetInfo) {
	for _, p := range s.huma.OpenAPI().Paths[Base+r.Path].Get.Parameters {
		if p.Name != "type" {
			continue
		}
		p.Description = set.TypeHelp
		for _, t := range set.Types {
			p.Schema.Enum = append(p.Schema.Enum, t.Key)
		}
		if len(set.Parts) > 0 {
			p.Description = cmp.Or(p.Description, fmt.Sprintf("One type only, such as %q.", set.Parts[0].Key))
		}
		p.Schema.PrecomputeMessages() // the framework checks requests by the same schema
	}
}

func (s *server) rows(ctx context.Context, set *catalogue.DatasetInfo, f mirror.Filter) (*list[Listed], error) {
	rows, next, err := s.mirror.List(ctx, at(ctx).tenant, set, f)
	if err != nil {
		return nil, err
	}
	return page(each(rows, func(r mirror.Record) Listed { return Listed{Kind: r.Part, Record: r} }), next), nil
}

func (s *server) parts(ctx context.Context, set *catalogue.DatasetInfo, connection string) (*list[Part], error) {
	stored, err := s.mirror.Datasets(ctx, at(ctx).tenant, connection)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for _, d := range stored {
		name, ok := set.PartOf(d.Name)
		if !ok {
			continue
		}
		p := Part{Type: name, Count: d.Count, Unreadable: d.Unreadable, Stale: d.Stale}
		if !d.AsOf.IsZero() {
			p.AsOf = &d.AsOf
		}
		parts = append(parts, p)
	}
	return page(parts, ""), nil
}

// lower is text as it stands inside a sentence.
func lower(text string) string { return strings.ToLower(text[:1]) + text[1:] }
