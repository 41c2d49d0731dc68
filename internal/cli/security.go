package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
)

func (a *app) security() *cobra.Command {
	c := &cobra.Command{
		Use:   "security",
		Short: "Manage your second factors, recovery codes and sessions",
		Long:  "Manage your second factors, recovery codes and sessions. Passkeys are added in the console." + freshHelp,
		Args:  cobra.NoArgs,
	}
	c.AddCommand(a.factorList(), a.factorAdd(), a.factorRename(), a.factorRemove(), a.recoveryCodes(), a.endSessions())
	return c
}

func (a *app) factorList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your second factors and the number of recovery codes left",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			s, err := cl.Security(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "KIND", "NAME", "ADDED", "LAST USED")
			for _, f := range s.Factors {
				used := "never"
				if f.LastUsedAt != nil {
					used = moment(*f.LastUsedAt)
				}
				t.row(f.ID, f.Kind, f.Name, day(f.CreatedAt), used)
			}
			if err := t.print(); err != nil {
				return err
			}
			if len(s.Factors) > 0 {
				c.PrintErrf("Recovery codes left: %d\n", s.RecoveryCodes)
			}
			if len(s.RequiredBy) > 0 {
				c.PrintErrf("Required by: %s\n", strings.Join(s.RequiredBy, ", "))
			}
			return nil
		},
	}
}

func (a *app) factorAdd() *cobra.Command {
	return &cobra.Command{
		Use:     "add NAME",
		Short:   "Add an authenticator app; your other sessions end",
		Example: `  interlock security add "My phone"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var n client.NewAuthenticator
			err := a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) (err error) {
				n, err = cl.BeginAuthenticator(client.Verbatim(ctx, func([]byte) {}))
				return err
			})
			if err != nil {
				return err
			}
			c.PrintErrf("Add this key to your authenticator app: %s\nOr open it there: %s\n", n.Secret, n.Address)
			_, _ = fmt.Fprint(a.Err, "Code that the app shows: ")
			code, err := a.line()
			if err != nil {
				return fmt.Errorf("read the code: %w", err)
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			r, err := cl.ConfirmAuthenticator(a.verbatim(c.Context()), args[0], code)
			if err != nil || a.json() {
				return err
			}
			c.PrintErrln("Your authenticator app was added.")
			printCodes(c, r)
			return nil
		},
	}
}

// printCodes prints recovery codes, if there are new ones.
func printCodes(c *cobra.Command, r client.RecoveryCodes) {
	if len(r.RecoveryCodes) == 0 {
		return
	}
	c.PrintErrln("Recovery codes. Each lets you in once when you lose your second factors. They are shown this once:")
	for _, code := range r.RecoveryCodes {
		c.Println(code)
	}
}

func (a *app) factorRename() *cobra.Command {
	return &cobra.Command{
		Use:               "rename ID NAME",
		Short:             "Rename one of your second factors",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeFactors,
		RunE: func(c *cobra.Command, args []string) error {
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				_, err := cl.RenameFactor(ctx, args[0], args[1])
				return err
			})
		},
	}
}

func (a *app) factorRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove ID",
		Short:             "Remove one of your second factors; your other sessions end",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeFactors,
		RunE: func(c *cobra.Command, args []string) error {
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error { return cl.RemoveFactor(ctx, args[0]) })
		},
	}
}

func (a *app) completeFactors(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
		s, err := cl.Security(ctx)
		return each(s.Factors, func(f client.Factor) string { return f.ID + "\t" + f.Name }), err
	})
}

func (a *app) recoveryCodes() *cobra.Command {
	return &cobra.Command{
		Use:   "recovery-codes",
		Short: "Replace your recovery codes, which are printed once",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				r, err := cl.NewRecoveryCodes(ctx)
				if err != nil || a.json() {
					return err
				}
				printCodes(c, r)
				return nil
			})
		},
	}
}

func (a *app) endSessions() *cobra.Command {
	return &cobra.Command{
		Use:   "end-sessions",
		Short: "End all your other sessions, in every workspace; API tokens keep working",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			if err := cl.EndOtherSessions(a.verbatim(c.Context())); err != nil {
				return err
			}
			c.PrintErrln("Your other sessions have ended.")
			return nil
		},
	}
}

func (a *app) policy() *cobra.Command {
	var second string
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show or change the sign-in policy of the workspace",
		Long: `Show or change the sign-in policy of the workspace. If it requires a second factor,
members without one must add one before they can do anything, and their API tokens
don't work until then. You need a second factor yourself to require it.` + freshHelp,
		Example: `  interlock policy
  interlock policy --second-factor=true`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var p client.Policy
			if c.Flags().Changed("second-factor") {
				required, err := strconv.ParseBool(second)
				if err != nil {
					return usagef("--second-factor must be true or false, not %q", second)
				}
				err = a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) (err error) {
					p, err = cl.SetPolicy(ctx, client.Policy{SecondFactor: required})
					return err
				})
				if err != nil || a.json() {
					return err
				}
			} else {
				cl, err := a.client()
				if err != nil {
					return err
				}
				if p, err = cl.Policy(a.verbatim(c.Context())); err != nil || a.json() {
					return err
				}
			}
			is := "not required"
			if p.SecondFactor {
				is = "required"
			}
			c.Printf("Second factor: %s\n", is)
			return nil
		},
	}
	c.Flags().StringVar(&second, "second-factor", "", "true or false: whether members need a second factor")
	_ = c.RegisterFlagCompletionFunc("second-factor", cobra.FixedCompletions([]string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}
