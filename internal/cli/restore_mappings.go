package cli

import (
	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
)

func (a *app) mappings() *cobra.Command {
	c := &cobra.Command{Use: "mappings", Short: "Manage which objects of other directories correspond to objects of a tenant", Args: cobra.NoArgs}
	c.AddCommand(a.mappingList(), a.mappingSet(), a.mappingRemove())
	return c
}

func (a *app) mappingList() *cobra.Command {
	var tenant string
	var p client.Paging
	c := &cobra.Command{
		Use: "list --tenant TENANT", Short: "List the mappings to a tenant", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			all, err := cl.Mappings(a.verbatim(c.Context()), tenant, p)
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "KIND", "FROM DIRECTORY", "SOURCE", "TARGET", "FOUND", "BY", "AT")
			for _, m := range all.Items {
				t.row(m.ID, m.Kind, m.SourceDirectory, m.Source, m.Target, m.How, m.By.Name, moment(m.At))
			}
			a.more(all.Next)
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	pagingFlags(c, &p)
	return c
}

func (a *app) mappingSet() *cobra.Command {
	var tenant string
	var m client.Mapping
	c := &cobra.Command{
		Use:     "set KIND SOURCE TARGET --tenant TENANT",
		Short:   "Say which object of the tenant corresponds to an object of another directory",
		Example: "  interlock restore mappings set groups 11a0… 7c22… --tenant kestrel --from 8c4e0b1a-5d0f-4f0e-9d61-2f7a60be91d2",
		Args:    cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			m.Kind, m.Source, m.Target = args[0], args[1], args[2]
			out, err := cl.SetMapping(a.verbatim(c.Context()), tenant, m)
			if err != nil || a.json() {
				return err
			}
			c.Println(out.ID)
			return nil
		},
	}
	a.tenantFlag(c, &tenant)
	c.Flags().StringVar(&m.SourceDirectory, "from", "", "GUID of the directory of the backup (default a backup from files)")
	return c
}

func (a *app) mappingRemove() *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use: "remove ID --tenant TENANT", Short: "Remove a mapping; stored previews don't change", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			return cl.RemoveMapping(a.verbatim(c.Context()), tenant, args[0])
		},
	}
	a.tenantFlag(c, &tenant)
	return c
}
