// Package cli holds the commands that speak to an Interlock server. They can do nothing
// that other programs with the Go client can't. What the gate answers is shown in the
// server's words.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

// IO is where commands read and write.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit codes beside those of the gate's outcomes, which package op has.
const (
	exitFailure = 1 // every other failure
	exitUsage   = 2 // the command was not understood
	exitDiffers = 1 // of a comparison
	exitTrouble = 2 // of a comparison: what exitFailure is to others
	exitPartial = 6 // with --wait or --follow: the run partly succeeded
	exitEnded   = 7 // with --wait or --follow: the run failed, was blocked, cancelled or lost

	exitInterrupted = 130 // as shells report an interrupt
)

const exitHelp = `Exit codes:
  0  accepted, or already running; with --wait: succeeded
  1  any other error
  2  the command was not understood
  3  the connection is busy
  4  blocked: something must be fixed first
  5  the idempotency key was used before with other values
  6  with --wait or --follow: partly succeeded
  7  with --wait or --follow: failed, blocked before it ran, cancelled or lost
  130  interrupted
`

// app is what the commands share.
type app struct {
	IO
	lines               *bufio.Reader // the one reader of In: a second would miss what the first has buffered
	url, caFile, output string        // flags
}

// Root returns the command "interlock" with all client commands below it.
func Root(streams IO) *cobra.Command {
	a := &app{IO: streams, lines: bufio.NewReader(streams.In)}
	root := &cobra.Command{
		Use:   "interlock",
		Short: "Start operations on Microsoft 365 tenants, through one gate",
		Long: `Interlock starts operations on Microsoft 365 tenants. Every start goes through one
gate, which answers accepted, already running, connection busy or blocked, with why
and what to do next.

` + exitHelp + `
Environment:
  INTERLOCK_URL      address of the server, instead of the saved one
  INTERLOCK_TOKEN    token, instead of the saved one
  INTERLOCK_CA_FILE  PEM file with the certificate authority of the server
  INTERLOCK_CONFIG   file in which login saves address and token`,
		Example: `  interlock login --url https://interlock.example
  interlock tenants
  interlock start inventory.sync --tenant kestrel --wait`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.AddGroup(&cobra.Group{ID: "work", Title: "Work:"}, &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "people", Title: "People:"}, &cobra.Group{ID: "account", Title: "Account:"})
	for group, commands := range map[string][]*cobra.Command{
		"work":    {a.start(), a.preflight(), a.restore(), a.backups(), a.cancel(), a.release(), a.credential()},
		"look":    {a.run(), a.runs(), a.attempts(), a.operations(), a.tenants(), a.connections(), a.list(), a.groups(), a.inventory(), a.compliance(), a.verification(), a.notifications()},
		"people":  {a.members(), a.invitations()},
		"account": {a.login(), a.logout(), a.whoami(), a.account(), a.join(), a.tokens(), a.security(), a.policy()},
	} {
		for _, c := range commands {
			c.GroupID = group
			a.remote(c)
			onlyCommands(c)
			root.AddCommand(c)
		}
	}
	return root
}

// onlyCommands makes a command that has commands, and does nothing by itself, refuse other
// words.
func onlyCommands(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q", args[0], c.CommandPath())
			}
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		onlyCommands(sub)
	}
}

// remote adds the flags of commands that speak to a server.
func (a *app) remote(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&a.url, "url", "", "address of the server, such as https://interlock.example")
	f.StringVar(&a.caFile, "ca-file", "", "PEM file with the certificate authority of the server")
	f.StringVarP(&a.output, "output", "o", "text", "text, or json: the API's responses unchanged")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	run := c.PersistentPreRunE
	c.PersistentPreRunE = func(c *cobra.Command, args []string) error {
		if a.output != "text" && a.output != "json" {
			return usagef("--output must be text or json, not %q", a.output)
		}
		if run != nil {
			return run(c, args)
		}
		return nil
	}
}

// json reports whether answers are shown as JSON, as received.
func (a *app) json() bool { return a.output == "json" }

// verbatim returns a context that shows bodies as received, if --output json was given.
func (a *app) verbatim(ctx context.Context) context.Context {
	if !a.json() {
		return ctx
	}
	return client.Verbatim(ctx, func(body []byte) { _, _ = a.Out.Write(body) })
}

// usage is the error of a command that was not understood.
type usage struct{ error }

// Unwrap returns the cause.
func (u usage) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// exit ends the command with a code. Everything has been printed already.
type exit int

// Error names the code.
func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Execute runs the command line and returns the exit code of the process. It prints
// errors on standard error.
func Execute(ctx context.Context, root *cobra.Command) int {
	understood := false
	watch(root, &understood)
	at, err := root.ExecuteContextC(ctx)
	code := end(ctx, root, at, err, understood)
	var ended exit
	if at.Annotations[compares] != "" && code == exitFailure && !errors.As(err, &ended) {
		return exitTrouble
	}
	return code
}

// compares marks a command with the exit codes of diff: 1 means that its arguments differ,
// so that a failure is 2.
const compares = "compares"

// end reports how a command ended, and returns its exit code.
func end(ctx context.Context, root, at *cobra.Command, err error, understood bool) int {
	var code exit
	var bad usage
	var p *client.Problem
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &bad), !understood:
		at.PrintErrf("interlock: %v\nSee: %s --help\n", err, at.CommandPath())
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &p):
		printProblem(root.ErrOrStderr(), p)
		return op.Problem(p.Code).ExitCode()
	}
	at.PrintErrf("interlock: %v\n", err)
	return exitFailure
}

// watch sets understood when a command begins to run. An error before that means that
// the command was not understood.
func watch(c *cobra.Command, understood *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*understood = true
			return run(c, args)
		}
	}
	for _, child := range c.Commands() {
		watch(child, understood)
	}
}

// terminal returns the file behind w if it is a terminal.
func terminal(w any) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// need returns an error if a required flag is empty.
func need(flag, value string) error {
	if strings.TrimSpace(value) == "" {
		return usagef("--%s is missing", flag)
	}
	return nil
}
