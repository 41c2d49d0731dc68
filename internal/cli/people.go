package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
)

const freshHelp = `

Changes need a sign-in from the last 15 minutes with interlock login; API tokens can't
make them. If your sign-in is older, you are asked to confirm your identity.`

// roles are the roles of a workspace, for completion. The server refuses others.
var roles = []string{"owner\teverything", "operator\tstarts and cancels operations", "viewer\tlooks only"}

func (a *app) members() *cobra.Command {
	c := &cobra.Command{
		Use:   "members",
		Short: "List and change the members of the workspace",
		Long:  "List and change the members of the workspace. MEMBER is an email address or an id. To add someone, see interlock invitations." + freshHelp,
		Args:  cobra.NoArgs,
	}
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List the members of the workspace",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			members, err := cl.Members(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "NAME", "EMAIL", "ROLE", "EXCEPT", "TENANTS", "ACCOUNT")
			for _, m := range members.Items {
				account := "open"
				if m.Disabled {
					account = "closed"
				}
				t.row(m.ID, m.Name, m.Email, m.Role, strings.Join(m.Denied, ","), sees(m.AllTenants, len(m.Tenants)), account)
			}
			return t.print()
		},
	}, a.changeMember(), a.member("reset-factors", "Remove all second factors of a member who lost them; their sessions end", func(ctx context.Context, cl *client.Client, id string) error {
		return cl.ResetFactors(ctx, id)
	}), a.member("reset-link", "Create a one-time link by which a member chooses a new password", a.resetLink),
		a.member("disable", "Close a member's account; their sessions and tokens end", func(ctx context.Context, cl *client.Client, id string) error {
			_, err := cl.DisableMember(ctx, id)
			return err
		}),
		a.member("enable", "Open a member's account again", func(ctx context.Context, cl *client.Client, id string) error {
			_, err := cl.EnableMember(ctx, id)
			return err
		}),
		a.member("remove", "Take somebody out of the workspace; an invitation brings them back", func(ctx context.Context, cl *client.Client, id string) error {
			return cl.RemoveMember(ctx, id)
		}))
	return c
}

func sees(all bool, n int) string {
	if all {
		return "all"
	}
	return fmt.Sprint(n)
}

// member returns a command about one member.
func (a *app) member(verb, short string, do func(context.Context, *client.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " MEMBER", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeMembers,
		RunE: func(c *cobra.Command, args []string) error {
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				id, err := memberID(c.Context(), cl, args[0])
				if err != nil {
					return err
				}
				return do(ctx, cl, id)
			})
		},
	}
}

// memberID returns the id of a member, given an e-mail address or an id.
func memberID(ctx context.Context, cl *client.Client, who string) (string, error) {
	if !strings.Contains(who, "@") {
		return who, nil
	}
	members, err := cl.Members(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(members.Items, func(m client.Member) bool { return strings.EqualFold(m.Email, who) })
	if i < 0 {
		return "", fmt.Errorf("no member has the address %s: see interlock members list", who)
	}
	return members.Items[i].ID, nil
}

func (a *app) completeMembers(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
		members, err := cl.Members(ctx)
		return each(members.Items, func(m client.Member) string { return m.Email + "\t" + m.Name }), err
	})
}

// accessFlags adds the flags for what somebody may see and do.
func (a *app) accessFlags(c *cobra.Command, role *string, denied, tenants *[]string) {
	f := c.Flags()
	f.StringVar(role, "role", "", "owner, operator or viewer")
	f.StringSliceVar(denied, "except", nil, "permissions that the role normally has and this member lacks, such as inventory.sync")
	f.StringSliceVarP(tenants, "tenant", "t", nil, "id or name of a tenant that they see; can be given more than once")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roles, cobra.ShellCompDirectiveNoFileComp)) // the flags are there
	_ = c.RegisterFlagCompletionFunc("except", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
			me, err := cl.Me(ctx)
			return me.Capabilities, err
		})
	})
	a.completeTenants(c)
}

func (a *app) changeMember() *cobra.Command {
	var role string
	var denied, tenants []string
	var all bool
	c := &cobra.Command{
		Use:   "change MEMBER",
		Short: "Change what a member may see and do",
		Long: `Change what a member may see and do. Only what you name is changed. It takes
effect on their next request; work in progress is rechecked before it continues.` + freshHelp,
		Example: `  interlock members change ana@example.com --role operator
  interlock members change ana@example.com --tenant kestrel --tenant marlow
  interlock members change ana@example.com --all-tenants --except ""`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeMembers,
		RunE: func(c *cobra.Command, args []string) error {
			var change client.MemberChange
			f := c.Flags()
			if f.Changed("role") {
				change.Role = &role
			}
			if f.Changed("except") {
				denied = slices.DeleteFunc(append([]string{}, denied...), func(s string) bool { return s == "" })
				change.Denied = &denied
			}
			if f.Changed("tenant") {
				change.Tenants = &tenants
			}
			if f.Changed("all-tenants") {
				change.AllTenants = &all
			}
			if change == (client.MemberChange{}) {
				return usagef("nothing to change: give --role, --except, --tenant or --all-tenants")
			}
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				id, err := memberID(c.Context(), cl, args[0])
				if err != nil {
					return err
				}
				m, err := cl.ChangeMember(ctx, id, change)
				if err != nil || a.json() {
					return err
				}
				c.PrintErrf("%s is %s and sees %s of the tenants.\n", m.Name, m.Role, sees(m.AllTenants, len(m.Tenants)))
				return nil
			})
		},
	}
	a.accessFlags(c, &role, &denied, &tenants)
	c.Flags().BoolVar(&all, "all-tenants", false, "allow all tenants, including those added later")
	c.MarkFlagsMutuallyExclusive("tenant", "all-tenants")
	return c
}

// link shows a one-time link.
func (a *app) link(c *cobra.Command, l client.Link) {
	c.PrintErrf("It works once, until %s, and is shown this once:\n", moment(l.ExpiresAt))
	c.Println(a.page(a.Out).base + l.Href)
}

func (a *app) resetLink(ctx context.Context, cl *client.Client, id string) error {
	l, err := cl.ResetLink(ctx, id)
	if err != nil || a.json() {
		return err
	}
	_, _ = fmt.Fprintf(a.Err, "Whoever has this link can set the password. It works once, until %s, and is shown this once:\n", moment(l.ExpiresAt))
	_, _ = fmt.Fprintln(a.Out, a.page(a.Out).base+l.Href)
	return nil
}

func (a *app) invitations() *cobra.Command {
	c := &cobra.Command{
		Use:   "invitations",
		Short: "Invite people to the workspace by one-time links",
		Long:  "Invite people to the workspace by one-time links, which work for 24 hours." + freshHelp,
		Args:  cobra.NoArgs,
	}
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List the open invitations",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			open, err := cl.Invitations(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "EMAIL", "ROLE", "EXCEPT", "TENANTS", "INVITED BY", "EXPIRES")
			for _, i := range open.Items {
				t.row(i.ID, i.Email, i.Role, strings.Join(i.Denied, ","), sees(i.AllTenants, len(i.Tenants)), i.InvitedBy.Name, moment(i.ExpiresAt))
			}
			return t.print()
		},
	})
	var who client.Invite
	create := &cobra.Command{
		Use:   "create EMAIL --role ROLE",
		Short: "Create an invitation link, which is printed once",
		Long: `Create an invitation to the workspace. The link is printed once; send it to the person.
They choose their own password, or join with their existing account. It replaces an open
invitation for the same address.` + freshHelp,
		Example: `  interlock invitations create ana@example.com --role operator
  interlock invitations create ana@example.com --role viewer --tenant kestrel`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need("role", who.Role); err != nil {
				return err
			}
			who.Email = args[0]
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				i, err := cl.Invite(ctx, who)
				if err != nil || a.json() {
					return err
				}
				c.PrintErrf("Send this link to %s. ", i.Invitation.Email)
				a.link(c, i.Link)
				return nil
			})
		},
	}
	a.accessFlags(create, &who.Role, &who.Denied, &who.Tenants)
	c.AddCommand(create, &cobra.Command{
		Use:   "revoke INVITATION",
		Short: "Revoke an open invitation, by its id or email address",
		Args:  cobra.ExactArgs(1),
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
				open, err := cl.Invitations(ctx)
				return each(open.Items, func(i client.Invitation) string { return i.Email + "\t" + i.Role }), err
			})
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				id := args[0]
				if strings.Contains(id, "@") {
					open, err := cl.Invitations(c.Context())
					if err != nil {
						return err
					}
					i := slices.IndexFunc(open.Items, func(i client.Invitation) bool { return strings.EqualFold(i.Email, id) })
					if i < 0 {
						return fmt.Errorf("no invitation for %s is open: see interlock invitations list", id)
					}
					id = open.Items[i].ID
				}
				return cl.RevokeInvitation(ctx, id)
			})
		},
	})
	return c
}

// ofLink splits a one-time link into the address of its server and the secret.
func (a *app) ofLink(text string) (conf config, secret string, err error) {
	if conf, err = a.where(); err != nil {
		return config{}, "", err
	}
	u, err := url.Parse(text)
	if err != nil || u.Query().Get("link") == "" {
		return config{}, "", usagef("the link must be the complete address that you received")
	}
	if u.Host != "" {
		server := u.Scheme + "://" + u.Host
		if a.url == "" && server != conf.URL {
			conf.URL, conf.Token = server, ""
		}
	}
	return conf, u.Query().Get("link"), need("url", conf.URL)
}

func (a *app) join() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "join LINK",
		Short: "Accept an invitation",
		Long: `Accept an invitation to a workspace. If you are logged in with the invited address, you
join with that account. Otherwise you are asked for its password. With --name, a new
account is created with that password.`,
		Example: `  interlock join 'https://interlock.example/invitation?link=ili_...' --name "Ana Ruiz"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			conf, link, err := a.ofLink(args[0])
			if err != nil {
				return err
			}
			cl, err := conf.client()
			if err != nil {
				return err
			}
			offer, err := cl.OpenInvitation(ctx, link)
			if err != nil {
				return err
			}
			c.PrintErrf("%s invites %s to %s as %s.\n", offer.InvitedBy, offer.Email, offer.Name, offer.Role)
			if me, err := cl.Me(ctx); err == nil && name == "" && me.Email == offer.Email {
				err := a.fresh(ctx, func(ctx context.Context, cl *client.Client) error {
					_, err := cl.JoinWorkspace(ctx, link)
					return err
				})
				if err != nil {
					return err
				}
			} else {
				password, err := a.hiddenLine("Password: ")
				if err != nil {
					return err
				}
				if name != "" {
					if err := a.again(password); err != nil {
						return err
					}
				}
				if _, err := cl.AcceptInvitation(a.verbatim(ctx), link, name, password); err != nil {
					return err
				}
			}
			c.PrintErrf("You are a member. Log in with: interlock login --url %s --email %s --workspace %s\n", conf.URL, offer.Email, offer.Workspace)
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "", "your name, for a new account")
	return c
}

// again asks for a new password a second time, on a terminal.
func (a *app) again(password string) error {
	if _, ok := terminal(a.In); !ok {
		return nil
	}
	repeated, err := a.hiddenLine("Once more: ")
	if err != nil {
		return err
	}
	if repeated != password {
		return errors.New("password: the two are not the same")
	}
	return nil
}

func (a *app) workspaces() *cobra.Command {
	return &cobra.Command{
		Use:   "workspaces",
		Short: "List your workspaces",
		Long:  "List your workspaces. A login is for one of them: see interlock login --workspace.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			places, err := cl.Workspaces(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			t := a.table("WORKSPACE", "NAME", "ROLE", "TENANTS")
			for _, p := range places.Items {
				t.row(p.Slug, p.Name, p.Role, fmt.Sprint(p.Tenants))
			}
			return t.print()
		},
	}
}

func (a *app) account() *cobra.Command {
	c := &cobra.Command{Use: "account", Short: "List your workspaces, change your name and password", Args: cobra.NoArgs}
	c.AddCommand(a.workspaces(), &cobra.Command{
		Use:   "rename NAME",
		Short: "Change your name",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			_, err = cl.Rename(a.verbatim(c.Context()), args[0])
			return err
		},
	}, &cobra.Command{
		Use:   "password",
		Short: "Change your password; your other sessions end",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			current, err := a.hiddenLine("Current password: ")
			if err != nil {
				return err
			}
			password, err := a.hiddenLine("New password: ")
			if err != nil {
				return err
			}
			if err := a.again(password); err != nil {
				return err
			}
			err = a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error { return cl.ChangePassword(ctx, current, password) })
			if err == nil {
				c.PrintErrln("Your password was changed.")
			}
			return err
		},
	}, &cobra.Command{
		Use:   "reset LINK",
		Short: "Set a new password with a reset link",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conf, link, err := a.ofLink(args[0])
			if err != nil {
				return err
			}
			cl, err := conf.client()
			if err != nil {
				return err
			}
			password, err := a.hiddenLine("New password: ")
			if err != nil {
				return err
			}
			if err := a.again(password); err != nil {
				return err
			}
			if err := cl.ResetPassword(a.verbatim(c.Context()), link, password); err != nil {
				return err
			}
			c.PrintErrln("Your password was changed. Your sessions and API tokens have ended: log in again.")
			return nil
		},
	})
	return c
}
