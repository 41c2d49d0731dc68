package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) login() *cobra.Command {
	var token, email, workspace string
	c := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a server and save the session",
		Long: `Sign in to a server and save its address and a token in a file that only you can read.

With --token the given token is saved; "-" reads it from standard input, where other
users of the machine can't see it. Otherwise you are asked for email address and
password, and for a code if your account has a second factor. The session ends after
7 days, or after 12 hours without a request. Passkeys only work in a browser: use an
authenticator app or a recovery code here.`,
		Example: `  interlock login --url https://interlock.example
  interlock login --url https://interlock.example --token - < token.txt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := a.where()
			if err != nil {
				return err
			}
			if err := need("url", conf.URL); err != nil {
				return err
			}
			if token == "-" {
				if token, err = a.line(); err != nil {
					return err
				}
			}
			if token == "" {
				conf.Token = ""
				token, err = a.signIn(c.Context(), conf, email, workspace)
				if err != nil {
					return err
				}
			}
			conf.Token = token
			cl, err := conf.client()
			if err != nil {
				return err
			}
			me, err := cl.Me(a.verbatim(c.Context()))
			if err != nil {
				return err
			}
			path, err := conf.save()
			if err != nil {
				return err
			}
			c.PrintErrf("Logged in to %s as %s (%s of %s). Saved in %s\n", conf.URL, me.Name, me.Role, me.Workspace.Name, path)
			if os.Getenv(tokenVariable) != "" {
				c.PrintErrf("%s is set and used instead: unset it to work as %s.\n", tokenVariable, me.Name)
			}
			return nil
		},
	}
	c.Flags().StringVar(&token, "token", "", `API token instead of a password; "-" reads it from standard input`)
	c.Flags().StringVar(&email, "email", "", "email address of your account (default asks for it)")
	c.Flags().StringVar(&workspace, "workspace", "", "workspace to sign in to (default your first)")
	return c
}

// signIn asks for what is missing and opens a session.
func (a *app) signIn(ctx context.Context, conf config, email, workspace string) (token string, err error) {
	cl, err := conf.client()
	if err != nil {
		return "", err
	}
	if email == "" {
		_, _ = fmt.Fprint(a.Err, "E-mail: ")
		if email, err = a.line(); err != nil {
			return "", err
		}
	}
	password, err := a.hiddenLine("Password: ")
	if err != nil {
		return "", err
	}
	s, err := cl.SignIn(ctx, email, password, workspace)
	if asksFactor(err) {
		var code string
		if code, err = a.hiddenLine("Code of your authenticator app, or a recovery code: "); err != nil {
			return "", err
		}
		s, err = cl.SignInWithCode(ctx, email, password, workspace, code)
	}
	return s.Token, err
}

func asksFactor(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Code == string(op.ProblemSecondFactor)
}

// hiddenLine prompts for a line and does not echo it on a terminal.
func (a *app) hiddenLine(prompt string) (text string, err error) {
	_, _ = fmt.Fprint(a.Err, prompt)
	if f, ok := terminal(a.In); ok {
		var b []byte
		b, err = term.ReadPassword(int(f.Fd()))
		text = string(b)
		_, _ = fmt.Fprintln(a.Err)
	} else {
		text, err = a.line()
	}
	if err != nil {
		return "", fmt.Errorf("read the answer to %q: %w", strings.TrimSuffix(prompt, ": "), err)
	}
	return text, nil
}

// fresh runs do, which may need a fresh sign-in. If the server asks for one and the
// user is logged in with a session, fresh asks the user to confirm who they are, saves
// the session's new secret and runs do again.
func (a *app) fresh(ctx context.Context, do func(context.Context, *client.Client) error) error {
	conf, err := a.where()
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	if a.json() { // show the last body only
		var body []byte
		ctx = client.Verbatim(ctx, func(b []byte) { body = b })
		defer func() { _, _ = a.Out.Write(body) }()
	}
	err = do(ctx, cl)
	var p *client.Problem
	saved, unread := loadConfig()
	if !errors.As(err, &p) || p.Code != string(op.ProblemNotFresh) || unread != nil || saved.Token != conf.Token {
		return err
	}
	_, _ = fmt.Fprintln(a.Err, p.Title+". "+p.Detail)
	quiet := client.Verbatim(ctx, func([]byte) {})
	security, err := cl.Security(quiet)
	if err != nil {
		return err
	}
	var password, code string
	if len(security.Factors) > 0 {
		code, err = a.hiddenLine("Code of your authenticator app, or a recovery code: ")
	} else {
		password, err = a.hiddenLine("Password: ")
	}
	if err != nil {
		return err
	}
	s, err := cl.Confirm(quiet, password, code)
	if err != nil {
		return err
	}
	saved.Token, conf.Token = s.Token, s.Token
	if _, err := saved.save(); err != nil {
		return err
	}
	if cl, err = conf.client(); err != nil {
		return err
	}
	return do(ctx, cl)
}

// line reads one line of standard input, without the line break.
func (a *app) line() (string, error) {
	s, err := a.lines.ReadString('\n')
	if s = strings.TrimRight(s, "\r\n"); s == "" {
		return "", cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return s, nil
}

func (a *app) logout() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the session and delete the saved token",
		Long:  "End the session on the server and delete the saved token. An API token stays valid: see interlock tokens revoke.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			saved, err := loadConfig()
			if err != nil {
				return err
			}
			if saved.Token == "" {
				return errors.New("you are not logged in")
			}
			gone := endSession(c.Context(), saved)
			saved.Token = ""
			if _, err := saved.save(); err != nil {
				return err
			}
			if gone != nil {
				return fmt.Errorf("the saved token was deleted, but the server did not end the session: %w", gone)
			}
			c.PrintErrln("Logged out.")
			return nil
		},
	}
}

// endSession ends the session of a login. A token that someone created stays valid.
func endSession(ctx context.Context, saved config) error {
	cl, err := saved.client()
	if err != nil {
		return err
	}
	tokens, err := cl.Tokens(ctx)
	if err != nil {
		var p *client.Problem
		if errors.As(err, &p) && p.Status == 401 { // it had ended before
			return nil
		}
		return err
	}
	for _, t := range tokens.Items {
		if t.Current && t.Kind != "session" {
			return nil
		}
	}
	return cl.SignOut(ctx)
}

func (a *app) whoami() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show your name, workspace, role and capabilities",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			me, err := cl.Me(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			c.Printf("%s <%s>\n%s of %s\nMay: %s\n", me.Name, me.Email, me.Role, me.Workspace.Name, strings.Join(me.Capabilities, ", "))
			return nil
		},
	}
}

func (a *app) tokens() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokens",
		Short: "Create, list and revoke your API tokens",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List your active tokens and sessions",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			tokens, err := cl.Tokens(a.verbatim(c.Context()))
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "KIND", "NAME", "EXPIRES", "LAST USED", "ONLY")
			for _, k := range tokens.Items {
				t.row(k.ID, k.Kind, k.Name, day(k.ExpiresAt), moment(k.LastUsedAt), strings.Join(k.Only, ","))
			}
			return t.print()
		},
	})
	var ttl time.Duration
	var only []string
	create := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a token; its secret is printed once",
		Example: `  interlock tokens create nightly-sync --ttl 720h --only inventory.sync`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			t, err := cl.CreateToken(a.verbatim(c.Context()), args[0], ttl, only)
			if err != nil || a.json() {
				return err
			}
			c.PrintErrf("%s, until %s. The secret is shown this once:\n", t.Token.Name, day(t.Token.ExpiresAt))
			c.Println(t.Secret)
			return nil
		},
	}
	create.Flags().DurationVar(&ttl, "ttl", 90*24*time.Hour, "how long it is valid, at most 8760h")
	create.Flags().StringSliceVar(&only, "only", nil, "limit it to these capabilities (default everything you can do)")
	c.AddCommand(create, &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke one of your tokens or sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			return cl.RevokeToken(a.verbatim(c.Context()), args[0])
		},
	})
	return c
}
