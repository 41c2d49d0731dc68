package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

const complianceSnapshot op.Kind = "compliance.snapshot"

// compliance shows the last compliance snapshot and the history of snapshots.
func (a *app) compliance() *cobra.Command {
	var tenant, connection string
	c := &cobra.Command{
		Use:   "compliance --tenant TENANT",
		Short: "Show the last compliance snapshot, its policies, and the history of snapshots",
		Example: "  interlock compliance --tenant kestrel\n  interlock compliance policies --tenant kestrel\n" +
			"  interlock compliance history --tenant kestrel\n  interlock list compliance --tenant kestrel --type failures",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			types, err := cl.ComplianceTypes(a.verbatim(c.Context()), tenant, connection)
			if err != nil || a.json() {
				return err
			}
			t := a.table("TYPE", "OBJECTS", "UNREADABLE", "AS OF", "STALE")
			for _, n := range types.Items {
				asOf := "never"
				if n.AsOf != nil {
					asOf = moment(*n.AsOf)
				}
				t.row(n.Type, fmt.Sprint(n.Count), fmt.Sprint(n.Unreadable), asOf, string(n.Stale))
			}
			if len(types.Items) == 0 {
				a.none("snapshots", complianceSnapshot, tenant)
			}
			return t.print()
		},
	}
	c.Flags().StringVarP(&tenant, "tenant", "t", "", "id or name of the tenant")
	c.Flags().StringVarP(&connection, "connection", "c", "", "connection that read it (default the tenant's default connection)")
	a.completeTenants(c)
	c.AddCommand(a.compliancePolicies(), a.complianceHistory())
	return c
}

func (a *app) compliancePolicies() *cobra.Command {
	var tenant string
	var f client.DataFilter
	c := &cobra.Command{
		Use:   "policies --tenant TENANT",
		Short: "List the compliance policies, with the number of devices in each state",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			policies, err := cl.CompliancePolicies(a.verbatim(c.Context()), tenant, f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("NAME", "COMPLIANT", "NOT COMPLIANT", "ERROR", "CONFLICT", "PENDING", "ID")
			for _, p := range policies.Items {
				t.row(p.Name, fmt.Sprint(p.Compliant), fmt.Sprint(p.Noncompliant), fmt.Sprint(p.Error), fmt.Sprint(p.Conflict), fmt.Sprint(p.Pending), p.ID)
			}
			if len(policies.Items) == 0 {
				a.none("compliance policies", complianceSnapshot, tenant)
			}
			a.more(policies.Next)
			return t.print()
		},
	}
	a.dataFlags(c, &tenant, &f)
	return c
}

func (a *app) complianceHistory() *cobra.Command {
	var tenant, connection string
	var p client.Paging
	c := &cobra.Command{
		Use:   "history --tenant TENANT",
		Short: "List the compliance snapshots as counts, newest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			moments, err := cl.ComplianceHistory(a.verbatim(c.Context()), tenant, connection, p)
			if err != nil || a.json() {
				return err
			}
			t := a.table("AT", "DEVICES", "COMPLIANT", "NOT COMPLIANT", "IN GRACE PERIOD", "OTHER", "COMPLETE")
			for _, m := range moments.Items {
				complete := "yes"
				if !m.Complete {
					complete = "no"
				}
				n := m.Counts
				t.row(moment(m.At), fmt.Sprint(m.Devices), fmt.Sprint(n.Compliant), fmt.Sprint(n.Noncompliant), fmt.Sprint(n.InGracePeriod),
					fmt.Sprint(m.Devices-n.Compliant-n.Noncompliant-n.InGracePeriod), complete)
			}
			if len(moments.Items) == 0 {
				a.none("snapshots", complianceSnapshot, tenant)
			}
			a.more(moments.Next)
			return t.print()
		},
	}
	c.Flags().StringVarP(&tenant, "tenant", "t", "", "id or name of the tenant")
	c.Flags().StringVarP(&connection, "connection", "c", "", "id or name of the connection (default the tenant's default connection)")
	pagingFlags(c, &p)
	a.completeTenants(c)
	return c
}
