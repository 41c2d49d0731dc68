package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) operations() *cobra.Command {
	return &cobra.Command{
		Use:   "operations",
		Short: "List the operations, with the capability and permissions they need",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			operations, err := cl.Operations(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			t := a.table("KIND", "WHAT IT DOES", "NEEDS", "YOU MAY")
			for _, o := range operations.Items {
				may := "no"
				if o.Allowed {
					may = "yes"
				}
				t.row(string(o.Kind), o.Does, o.CapabilityName, may)
			}
			return t.print()
		},
	}
}

func (a *app) tenants() *cobra.Command {
	var f client.TenantFilter
	c := &cobra.Command{
		Use:     "tenants",
		Short:   "List the tenants that you may see, with their readiness",
		Example: "  interlock tenants --readiness blocked",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			tenants, err := cl.Tenants(a.verbatim(c.Context()), f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("TENANT", "NAME", "READINESS", "CHECKED", "IN THE WAY", "ACTIVE RUN")
			for _, n := range tenants.Items {
				active := ""
				if n.Active != nil {
					active = n.Active.Code + " " + n.Active.Operation.Name()
				}
				t.row(n.Slug, n.Name, n.Readiness, age(n.CheckedAt, n.ChangedSince), inTheWay(n.Blockers), active)
			}
			a.more(tenants.Next)
			return t.print()
		},
	}
	c.Flags().StringVarP(&f.Query, "query", "q", "", "part of the name or the domain")
	c.Flags().StringVar(&f.Status, "status", "", "onboarding, active or archived")
	c.Flags().StringVar(&f.Readiness, "readiness", "", "ready, blocked, needs_care, onboarding or archived")
	pagingFlags(c, &f.Paging)
	return c
}

// age describes the age of what is known about a connection.
func age(checked *time.Time, changed bool) string { return op.Age(checked, changed, time.Now()) }

func inTheWay(blockers []client.Blocker) string {
	return strings.Join(each(blockers, func(b client.Blocker) string { return b.Title }), ", ")
}

func (a *app) connections() *cobra.Command {
	var tenant string
	var p client.Paging
	c := &cobra.Command{
		Use:   "connections --tenant TENANT",
		Short: "List the connections of a tenant, with their readiness",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			connections, err := cl.Connections(a.verbatim(c.Context()), tenant, p)
			if err != nil || a.json() {
				return err
			}
			t := a.table("CONNECTION", "NAME", "DEFAULT", "READINESS", "CHECKED", "IN THE WAY", "HELD BY")
			for _, n := range connections.Items {
				standard, held := "", ""
				if n.Default {
					standard = "default"
				}
				if n.Active != nil {
					held = n.Active.Code + " " + n.Active.Operation.Name()
				}
				t.row(n.Slug, n.Provider+" · "+n.Name, standard, n.Readiness, age(n.CheckedAt, n.ChangedSince), inTheWay(n.Blockers), held)
			}
			a.more(connections.Next)
			return t.print()
		},
	}
	c.Flags().StringVarP(&tenant, "tenant", "t", "", "id or name of the tenant")
	pagingFlags(c, &p)
	a.completeTenants(c)
	return c
}

// dataFlags adds the flags of commands that show data from a directory.
func (a *app) dataFlags(c *cobra.Command, tenant *string, f *client.DataFilter) {
	c.Flags().StringVarP(tenant, "tenant", "t", "", "id or name of the tenant")
	c.Flags().StringVarP(&f.Connection, "connection", "c", "", "connection that read it (default the tenant's default connection)")
	c.Flags().StringVarP(&f.Query, "query", "q", "", "part of the name")
	pagingFlags(c, &f.Paging)
	a.completeTenants(c)
}

// groupTypes are the types of group for completion. The server refuses others.
var groupTypes = []string{"security", "microsoft_365", "mail_enabled_security", "distribution", "dynamic"}

func (a *app) groups() *cobra.Command {
	var tenant string
	var f client.DataFilter
	list := func(items string, ask func(*client.Client) (client.Page[client.Record], error)) error {
		if err := need("tenant", tenant); err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		records, err := ask(cl)
		if err != nil || a.json() {
			return err
		}
		t := a.table("ID", "NAME", "TYPE")
		for _, r := range records.Items {
			t.row(r.ID, r.Name, strings.TrimPrefix(r.Type, "#microsoft.graph."))
		}
		if len(records.Items) == 0 {
			a.none(items, op.DirectoryGroupsSync, tenant)
		}
		a.more(records.Next)
		return t.print()
	}
	c := &cobra.Command{
		Use:     "groups --tenant TENANT",
		Short:   "List directory groups and their members",
		Example: "  interlock groups --tenant kestrel -q finance --type security\n  interlock groups members GROUP --tenant kestrel",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return list("groups", func(cl *client.Client) (client.Page[client.Record], error) {
				return cl.Groups(a.verbatim(c.Context()), tenant, f)
			})
		},
	}
	a.dataFlags(c, &tenant, &f)
	c.Flags().StringVar(&f.Type, "type", "", "only this type: "+strings.Join(groupTypes, ", "))
	_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(groupTypes, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	members := &cobra.Command{
		Use:   "members GROUP --tenant TENANT",
		Short: "List the members of a group, by its id",
		Long:  "List the members of a group, by its id. Members that are groups have names.\n-q matches part of such a name, or the whole id of any member.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return list("members", func(cl *client.Client) (client.Page[client.Record], error) {
				return cl.GroupMembers(a.verbatim(c.Context()), tenant, args[0], f)
			})
		},
	}
	a.dataFlags(members, &tenant, &f)
	c.AddCommand(members)
	return c
}

func (a *app) inventory() *cobra.Command {
	var tenant string
	var f client.DataFilter
	c := &cobra.Command{
		Use:     "inventory --tenant TENANT",
		Short:   "List the inventory: its types, or the objects of one type",
		Example: "  interlock inventory --tenant kestrel\n  interlock inventory --tenant kestrel --type deviceConfigurations",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			if f.Type == "" && f.Query == "" {
				types, err := cl.InventoryTypes(a.verbatim(c.Context()), tenant, f.Connection)
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
				return t.print()
			}
			records, err := cl.Inventory(a.verbatim(c.Context()), tenant, f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("TYPE", "NAME", "CHANGED", "ID")
			for _, r := range records.Items {
				t.row(r.Kind, r.Name, r.ModifiedAt, r.ID)
			}
			a.more(records.Next)
			return t.print()
		},
	}
	a.dataFlags(c, &tenant, &f)
	c.Flags().StringVar(&f.Type, "type", "", "list the objects of this type")
	return c
}

func (a *app) verification() *cobra.Command {
	var tenant, connection string
	var details bool
	c := &cobra.Command{
		Use:     "verification --tenant TENANT",
		Short:   "Show the last verification of a connection",
		Example: "  interlock verification --tenant kestrel\n  interlock verification --tenant kestrel --details",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			v, err := cl.Verification(a.verbatim(c.Context()), tenant, connection)
			if err != nil || a.json() {
				return err
			}
			c.Printf("%s: %s at %s\n\n", v.Connection.Name, v.Verdict, moment(v.At))
			t := a.table("CHECK", "RESULT", "DETAIL")
			for _, k := range v.Checks {
				t.row(k.Name, strings.ReplaceAll(k.Result, "_", " "), strings.TrimSpace(k.Detail+" "+k.Next))
			}
			if err := t.print(); err != nil || !details {
				return err
			}
			for _, k := range v.Checks {
				a.page(a.Out).evidence(k.Name, k.Evidence)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&details, "details", false, detailsHelp)
	c.Flags().StringVarP(&tenant, "tenant", "t", "", "id or name of the tenant")
	c.Flags().StringVarP(&connection, "connection", "c", "", "id or name of the connection (default the tenant's default connection)")
	a.completeTenants(c)
	return c
}

func (a *app) notifications() *cobra.Command {
	var unread bool
	var p client.Paging
	c := &cobra.Command{
		Use:   "notifications",
		Short: "List your notifications about finished runs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			notes, err := cl.Notifications(a.verbatim(c.Context()), unread, p)
			if err != nil || a.json() {
				return err
			}
			for i, n := range notes.Items {
				if i > 0 {
					c.Println()
				}
				c.Printf("%s\n%s\n%s\n%s\n", n.Title, n.Text, n.Next, n.Where)
				if n.ReadAt == nil {
					c.Printf("unread: interlock notifications read %s\n", n.ID)
				}
			}
			a.more(notes.Next)
			return nil
		},
	}
	c.Flags().BoolVar(&unread, "unread", false, "only unread notifications")
	pagingFlags(c, &p)
	c.AddCommand(&cobra.Command{
		Use:   "read ID",
		Short: "Mark a notification as read",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			return cl.ReadNotification(a.verbatim(c.Context()), args[0])
		},
	})
	return c
}
