package api

import (
	"context"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/mirror"
)

// CompliancePolicy is a compliance policy with the devices that it reports on.
type CompliancePolicy struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type" doc:"The @odata.type."`
	catalogue.PolicyCounts
}

func (s *server) compliancePolicies(ctx context.Context, in *DataRequest) (*list[CompliancePolicy], error) {
	set, _, err := catalogue.LookupDataset("compliance")
	if err != nil {
		return nil, err
	}
	f := in.filter()
	f.Type = "policies"
	rows, next, err := s.mirror.List(ctx, at(ctx).tenant, set, f)
	if err != nil {
		return nil, err
	}
	return page(each(rows, func(r mirror.Record) CompliancePolicy {
		counts, _ := catalogue.PolicyCountsOf(catalogue.Row{Data: r.Data}) // a row without counts is not kept
		return CompliancePolicy{ID: r.ID, Name: r.Name, Type: r.Type, PolicyCounts: counts}
	}), next), nil
}

// ComplianceMoment is one compliance snapshot, as counts.
type ComplianceMoment struct {
	At       time.Time `json:"at" doc:"When the snapshot began to read."`
	Run      string    `json:"run_id" doc:"The run that took it, which may have been deleted since."`
	Complete bool      `json:"complete" doc:"Every part of the snapshot was read. Otherwise the lists of some parts are older."`
	Devices  int64     `json:"devices" doc:"The sum of the counts."`

	Counts catalogue.ComplianceCounts `json:"counts" doc:"Devices by compliance state, as the provider counts them."`
}

func (s *server) complianceHistory(ctx context.Context, in *struct {
	Through
	Paging
},
) (*list[ComplianceMoment], error) {
	moments, next, err := s.mirror.History(ctx, at(ctx).tenant, mirror.HistoryFilter{Connection: in.Connection, Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return page(each(moments, func(m mirror.Moment) ComplianceMoment {
		return ComplianceMoment{At: m.At, Run: m.Run, Complete: m.Complete, Devices: m.Counts.Total(), Counts: m.Counts}
	}), next), nil
}
