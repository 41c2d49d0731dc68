package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

// list shows a dataset that the server knows, whatever it is.
func (a *app) list() *cobra.Command {
	var tenant string
	var f client.DataFilter
	c := &cobra.Command{
		Use:     "list DATASET --tenant TENANT",
		Short:   "What an operation last read, such as groups, inventory or roles",
		Long:    "What an operation last read. \"interlock operations\" names the datasets.",
		Example: "  interlock list roles --tenant kestrel\n  interlock list inventory --tenant kestrel --type deviceConfigurations -q wifi",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			sets, err := datasets(c.Context(), cl)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(sets, func(d dataset) bool { return d.Name == args[0] })
			if i < 0 {
				names := each(sets, func(d dataset) string { return d.Name })
				return usagef("there is no dataset %q: use one of %s", args[0], strings.Join(names, ", "))
			}
			rows, err := cl.List(a.verbatim(c.Context()), tenant, args[0], f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "NAME", "TYPE")
			for _, r := range rows.Items {
				t.row(r.ID, r.Name, cmp.Or(r.Kind, strings.TrimPrefix(r.Type, "#microsoft.graph.")))
			}
			if len(rows.Items) == 0 {
				a.none(sets[i].Items, sets[i].reads, tenant)
			}
			a.more(rows.Next)
			return t.print()
		},
	}
	a.dataFlags(c, &tenant, &f)
	c.Flags().StringVar(&f.Type, "type", "", "only this type")
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
			sets, err := datasets(ctx, cl)
			return each(sets, func(d dataset) string { return d.Name + "\t" + d.Title }), err
		})
	}
	_ = c.RegisterFlagCompletionFunc("type", func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) { // the flag is there
		return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
			sets, err := datasets(ctx, cl)
			var types []string
			for _, d := range sets {
				if len(args) > 0 && d.Name == args[0] {
					types = d.Types
				}
			}
			return types, err
		})
	})
	return c
}

// dataset is a dataset with the operation that reads it.
type dataset struct {
	client.Dataset
	reads op.Kind
}

// datasets returns the datasets of every operation that the server has.
func datasets(ctx context.Context, cl *client.Client) (sets []dataset, err error) {
	operations, err := cl.Operations(ctx)
	for _, o := range operations.Items {
		for _, d := range o.Datasets {
			sets = append(sets, dataset{d, o.Kind})
		}
	}
	return sets, err
}
